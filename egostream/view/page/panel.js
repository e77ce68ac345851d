// One stream: its picture, its skeleton, its figures.

import { LatencyChart } from "./latency.js";
import { confidenceScale } from "./palette.js";
import { PictureView } from "./picture.js";
import { Scene } from "./scene.js";
import { setText, showWords } from "./words.js";

const DROPS_OVER_MS = 10_000;

export class Panel {
  constructor(link, name, { skeleton, stages }) {
    this.link = link;
    this.name = name;
    this.element = document.querySelector("#panel").content.firstElementChild.cloneNode(true);
    this.element.setAttribute("aria-label", `Stream ${name}`);
    this.find(".name").textContent = name;
    this.find(".scale i").style.background = confidenceScale();
    this.drops = [];
    document.querySelector(".panels").append(this.element);
    this.picture = new PictureView(this.find(".picture"), skeleton);
    this.scene = new Scene(this.find(".scene"), skeleton, (view) => this.press(view));
    this.chart = new LatencyChart(this.find(".latency"), this.find(".legend"), stages);
    this.element.addEventListener("click", ({ target }) => this.click(target));
  }

  find(selector) {
    return this.element.querySelector(selector);
  }

  /** Begin or end to pull poses and pictures: only what is shown is asked for. */
  show(isShown) {
    if (this.element.hidden === !isShown && this.isPulling === isShown) return;
    this.element.hidden = !isShown;
    this.isPulling = isShown;
    this.link.drop(this.name);
    if (!isShown) return;
    this.link.pull("pose", this.name, (answer) => this.takePose(answer));
    this.link.pull("picture", this.name, (answer) => this.takePicture(answer));
  }

  takePose(answer) {
    this.find(".body .empty").hidden = true;
    this.scene.take(answer);
    this.chart.take(answer);
  }

  async takePicture(answer) {
    await this.picture.take(answer);
    this.find(".camera .empty").hidden = this.picture.bitmap !== null;
  }

  click(target) {
    const { view, toggle } = target.dataset ?? {};
    if (view) this.scene.orbit.look(view);
    if (!toggle) return;
    const isOn = target.getAttribute("aria-pressed") !== "true";
    target.setAttribute("aria-pressed", isOn);
    if (toggle === "trails") this.scene.showTrails(isOn);
    if (toggle === "level") this.scene.standUpright(isOn);
  }

  /** Mark the button of a view; none after the skeleton was turned by hand. */
  press(view) {
    for (const button of this.element.querySelectorAll("[data-view]"))
      button.setAttribute("aria-pressed", button.dataset.view === view);
  }

  recolour() {
    this.scene.recolour();
    this.chart.recolour();
  }

  /** Show a stream's state. */
  tell(state) {
    showWords(this.find(".words"), state.words);
    if (!state.camera) return;
    const { camera, latency_ms: latency } = state;
    this.element.classList.toggle("stale", state.is_silent);
    setText(this.find(".source"), `${camera.source} · ${camera.size.join(" × ")}`);
    this.find(".source").title = `${camera.source}, ${camera.mode}, calibration ${camera.calibration}`;
    this.figure("fps", state.is_silent ? "0" : state.fps.toFixed(1), "/s");
    this.figure("fps-sub", `${state.poses.toLocaleString("en")} since the start`);
    this.figure("p50", latency.p50.toFixed(1), "ms");
    this.figure("p99", `99% under ${latency.p99.toFixed(1)} ms`);
    this.figure("drops", state.dropped_frames.toLocaleString("en"), "frames");
    this.figure("drops-sub", this.newDrops(state.dropped_frames));
    this.figure("state", camera.state);
    this.figure("state-sub", this.cameraText(camera));
    setText(this.find(".total"), state.engine);
  }

  figure(name, text, unit = "") {
    const element = this.find(`.${name}`);
    if (element.title === text) return;
    element.textContent = element.title = text;
    if (unit) element.append(Object.assign(document.createElement("small"), { textContent: unit }));
  }

  newDrops(count) {
    const now = performance.now();
    this.drops.push([now, count]);
    while (this.drops.length > 1 && (now - this.drops[0][0] > DROPS_OVER_MS || this.drops[0][1] > count)) this.drops.shift();
    const fresh = count - this.drops[0][1];
    return fresh ? `${fresh} in the last 10 s` : "none in the last 10 s";
  }

  cameraText({ fps, bad_frames, bad_frames_by_reason }) {
    const reasons = Object.entries(bad_frames_by_reason).map(([reason, count]) => `${count} ${reason}`);
    return `${fps.toFixed(1)} fps${bad_frames ? ` · not used: ${reasons.join(", ")}` : ""}`;
  }

  close() {
    this.link.drop(this.name);
    for (const part of [this.picture, this.scene, this.chart]) part.close();
    this.element.remove();
  }
}
