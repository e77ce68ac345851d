// Latency of each stage over the last seconds, as stacked areas.

import { Canvas } from "./canvas.js";
import { stageColour, themeColours } from "./palette.js";

const SECONDS = 10;
const MOST = 1024; // poses kept: ten seconds of a 100 fps camera
const PERIOD_MS = 200; // between drawings
const GAP_MS = 500; // without a pose: the areas are interrupted
const TOPS = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
const LEFT = 56, BOTTOM = 18, TOP = 6, RIGHT = 8;

export class LatencyChart {
  constructor(element, legend, stages) {
    this.legend = legend;
    this.stages = stages;
    this.samples = [];
    this.top = TOPS[1];
    this.recolour();
    this.makeLegend();
    this.canvas = new Canvas(element, (...drawing) => this.draw(...drawing));
    this.timer = setInterval(() => this.refresh(), PERIOD_MS);
  }

  makeLegend() {
    this.values = {};
    for (const stage of [...this.stages].reverse()) {
      const item = document.createElement("li"), swatch = document.createElement("i");
      const value = (this.values[stage] = document.createElement("b"));
      swatch.style.background = stageColour(stage);
      item.append(swatch, stage, value);
      this.legend.append(item);
    }
  }

  recolour() {
    this.colours = themeColours();
  }

  take({ stages_ms }) {
    this.samples.push({ at: performance.now(), values: this.stages.map((stage) => stages_ms[stage] ?? 0) });
    if (this.samples.length > MOST) this.samples.shift();
  }

  refresh() {
    const oldest = performance.now() - 1000 * SECONDS;
    const fresh = this.samples.findIndex(({ at }) => at >= oldest);
    if (this.samples.length) this.samples.splice(0, fresh < 0 ? this.samples.length : fresh);
    if (document.hidden) return;
    this.stages.forEach((stage, n) => {
      const middle = median(this.samples.map(({ values }) => values[n]));
      this.values[stage].textContent = middle === null ? "" : `${middle.toFixed(1)} ms`;
    });
    this.canvas.change();
  }

  draw(context, width, height) {
    const totals = this.samples.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
    const highest = Math.max(0, ...totals);
    this.top = TOPS.find((top) => top >= highest * 1.05) ?? highest;
    const now = performance.now();
    const x = (at) => LEFT + (width - LEFT - RIGHT) * (1 - (now - at) / (1000 * SECONDS));
    const y = (ms) => height - BOTTOM - ((height - BOTTOM - TOP) * ms) / this.top;
    context.clearRect(0, 0, width, height);
    this.drawAxes(context, x, y, now, width);
    for (const run of this.runs()) this.drawRun(context, run, x, y);
  }

  drawAxes(context, x, y, now, width) {
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = this.colours.soft;
    context.strokeStyle = this.colours.line;
    context.lineWidth = 1;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const ms of [0, this.top / 2, this.top]) {
      context.beginPath();
      context.moveTo(LEFT, Math.round(y(ms)) + 0.5);
      context.lineTo(width - RIGHT, Math.round(y(ms)) + 0.5);
      context.stroke();
      context.fillText(ms === this.top ? `${ms} ms` : `${ms}`, LEFT - 6, Math.max(TOP + 2, y(ms)));
    }
    context.textBaseline = "top";
    for (const [seconds, align] of [[10, "left"], [5, "center"], [0, "right"]]) {
      context.textAlign = align;
      context.fillText(seconds ? `${seconds} s ago` : "now", x(now - 1000 * seconds), y(0) + 5);
    }
  }

  /** Samples that follow each other without a gap. */
  runs() {
    const runs = [];
    this.samples.forEach((sample, n) => {
      if (!n || sample.at - this.samples[n - 1].at > GAP_MS) runs.push([]);
      runs.at(-1).push(sample);
    });
    return runs;
  }

  drawRun(context, run, x, y) {
    let below = run.map(() => 0);
    this.stages.forEach((stage, n) => {
      const above = run.map(({ values }, at) => below[at] + values[n]);
      context.fillStyle = stageColour(stage);
      context.beginPath();
      run.forEach(({ at }, k) => context.lineTo(x(at), y(above[k])));
      for (let k = run.length - 1; k >= 0; k--) context.lineTo(x(run[k].at), y(below[k]));
      context.fill();
      below = above;
    });
  }

  close() {
    clearInterval(this.timer);
    this.canvas.close();
  }
}

/** The middle value, or null of none. */
function median(values) {
  return values.length ? values.sort((one, other) => one - other)[values.length >> 1] : null;
}
