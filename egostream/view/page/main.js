// The page: streams as tabs or side by side, the connection, the theme.

import { Link } from "./link.js";
import { Panel } from "./panel.js";
import { followTheme } from "./theme.js";
import { setText, showWords } from "./words.js";

const ALL = "all"; // of the tab that shows every stream
const panels = new Map();
const tabs = document.querySelector(".tabs");
const dot = document.querySelector(".dot"), linkText = document.querySelector(".link-text");
let chosen = new URLSearchParams(location.search).get("stream");
let names = [];

const tell = (isOpen, text) => {
  dot.className = `dot ${isOpen ? "good" : "bad"}`;
  setText(linkText, isOpen ? text : "not connected");
  document.querySelector(".panels").classList.toggle("stale", !isOpen);
  if (!isOpen) showWords(document.querySelector(".general"), [{ level: "error", text }]);
};

/** Show what the viewer tells of the run. */
function takeState(state) {
  showWords(document.querySelector(".general"), state.words);
  setText(linkText, state.endpoint.replace(/^tcp:\/\//, ""));
  const isGood = state.streams.some(({ camera, is_silent }) => camera?.state === "streaming" && !is_silent);
  dot.className = `dot ${isGood ? "good" : "bad"}`;
  const found = state.streams.map(({ name }) => name).sort((one, other) => one.localeCompare(other, "en", { numeric: true }));
  if (found.join("\0") !== names.join("\0")) change(found, state);
  for (const stream of state.streams) panels.get(stream.name).tell(stream);
}

/** Other streams than before. */
function change(found, state) {
  names = found;
  for (const [name, panel] of panels) {
    if (found.includes(name)) continue;
    panel.close();
    panels.delete(name);
  }
  for (const name of found) if (!panels.has(name)) panels.set(name, new Panel(link, name, state));
  if (!found.includes(chosen) && chosen !== ALL) chosen = found[0];
  makeTabs();
  choose(chosen);
}

function makeTabs() {
  const several = names.length > 1 ? [...names.map((name) => [name, name]), [ALL, "All"]] : [];
  tabs.replaceChildren(...several.map(([name, text]) => makeTab(name, text)));
}

function makeTab(name, text) {
  const tab = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  tab.setAttribute("role", "tab");
  tab.dataset.name = name;
  tab.addEventListener("click", () => choose(name));
  return tab;
}

/** Show one stream, or all side by side. */
function choose(name) {
  chosen = name;
  const isMany = name === ALL && names.length > 1;
  document.querySelector(".panels").classList.toggle("many", isMany);
  for (const [one, panel] of panels) panel.show(isMany || one === name);
  for (const tab of tabs.children) {
    tab.setAttribute("aria-selected", tab.dataset.name === name);
    tab.tabIndex = tab.dataset.name === name ? 0 : -1;
  }
}

tabs.addEventListener("keydown", ({ key }) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
  if (!step) return;
  const all = [...tabs.children];
  const next = all[(all.indexOf(document.activeElement) + step + all.length) % all.length];
  next.focus();
  next.click();
});

followTheme(document.querySelector(".theme"), () => panels.forEach((panel) => panel.recolour()));
const link = new Link(tell);
link.pull("state", "", takeState);
window.egostream = { panels, link }; // for people who look closer, and for tests
