// What is wrong, in words.

/** Set an element's text. One that stays the same is left alone, so that screen readers do not repeat it. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show words [{level, text}]; those that stay are left alone. */
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
