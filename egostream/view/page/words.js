// What is wrong, in words.

/** Show words [{level, text}]. What stays the same is left alone, so that screen readers do not repeat it. */
export function showWords(element, words) {
  const key = JSON.stringify(words);
  if (element.dataset.shown === key) return;
  element.dataset.shown = key;
  element.replaceChildren(
    ...words.map(({ level, text }) =>
      Object.assign(document.createElement("p"), { className: `word ${level}`, textContent: text }),
    ),
  );
}
