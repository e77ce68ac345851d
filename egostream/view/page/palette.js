// Colours: of confidence, of stages, and those that the style sheet names.

/** From unsure to sure: orange, yellow, blue-green. People who do not tell red from green tell these apart. */
const CONFIDENCE = [[0, [255, 112, 67]], [0.35, [255, 200, 60]], [0.7, [52, 208, 190]], [1, [64, 196, 255]]];
/** Below this a joint is drawn hollow: it is hardly seen, or not at all. */
export const UNSURE = 0.15;

const STAGES = {
  grab: "#8d99ae", decode: "#3d8bfd", rectify: "#22b8cf", handover: "#f2b134", window: "#c792ea",
  network: "#17a3a3", keypoints: "#7bc950", publish: "#e07a5f", transport: "#b56576",
};

export const stageColour = (name) => STAGES[name] ?? "#999999";

/** The colour of a confidence 0..1. */
export function confidenceColour(confidence) {
  const value = Math.min(1, Math.max(0, confidence || 0));
  const end = Math.max(1, CONFIDENCE.findIndex(([at]) => at >= value));
  const [[from, first], [to, last]] = [CONFIDENCE[end - 1], CONFIDENCE[end]];
  const share = (value - from) / (to - from);
  const [red, green, blue] = first.map((one, n) => Math.round(one + share * (last[n] - one)));
  return `rgb(${red},${green},${blue})`;
}

/** The scale of confidence as a CSS background. */
export const confidenceScale = () =>
  `linear-gradient(90deg, ${CONFIDENCE.map(([at]) => `${confidenceColour(at)} ${100 * at}%`).join(", ")})`;

/** Colours of the theme that is on now, by their names in the style sheet. */
export function themeColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["page", "card", "line", "text", "soft", "accent", "floor", "shadow"];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}
