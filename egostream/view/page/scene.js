// The skeleton in 3D: floor, axes, shadow, bones, trails.

import { Canvas } from "./canvas.js";
import { Orbit } from "./orbit.js";
import { UNSURE, confidenceColour, themeColours } from "./palette.js";
import { drawJoint } from "./picture.js";
import { Upright } from "./upright.js";

const GRID_M = 2, GRID_STEP_M = 0.5;
const BONE_M = 0.034, JOINT_M = 0.028;
const TRAIL_JOINTS = [3, 6, 10, 14]; // wrists and feet
const TRAIL = 45; // poses
/** A pose is drawn over the time that poses are apart, so that movement is even between them: at most so long, ms. */
const LONGEST_STEP_MS = 120;
const AXES = [["right", [0.25, 0, 0], "#e0575b"], ["up", [0, 0.25, 0], "#4faf5a"], ["ahead", [0, 0, -0.25], "#4a86e8"]];

export class Scene {
  /** choose(view): called when a view is chosen, or left. */
  constructor(element, skeleton, choose) {
    this.parents = skeleton.parents;
    this.upright = new Upright();
    this.trails = null; // off
    this.from = this.to = null;
    this.arrivedMs = 0;
    this.stepMs = 33;
    this.recolour();
    this.canvas = new Canvas(element, (...drawing) => this.draw(...drawing));
    this.orbit = new Orbit(element, () => this.canvas.change(), choose);
  }

  recolour() {
    this.colours = themeColours();
    this.canvas?.change();
  }

  /** Draw a new pose from now on. */
  take({ joints, confidence, t_ms }) {
    const now = performance.now();
    const next = { ...this.upright.take(joints, t_ms), confidence };
    this.from = this.to && !next.isFresh ? this.between(now) : next;
    this.stepMs = 0.9 * this.stepMs + 0.1 * Math.min(LONGEST_STEP_MS, now - this.arrivedMs);
    this.to = next;
    this.arrivedMs = now;
    if (next.isFresh) this.trails &&= [];
    this.trails?.push(TRAIL_JOINTS.map((joint) => next.joints[joint]));
    if (this.trails?.length > TRAIL) this.trails.shift();
    this.canvas.change();
  }

  showTrails(isOn) {
    this.trails = isOn ? [] : null;
    this.canvas.change();
  }

  standUpright(isOn) {
    this.upright.byBalance = isOn;
    this.upright.forget();
  }

  /** What is shown at a time: on the way from the pose before to the newest. */
  between(now) {
    const share = Math.min(1, (now - this.arrivedMs) / this.stepMs);
    const blend = (from, to) => from.map((point, n) => point.map((value, axis) => value + share * (to[n][axis] - value)));
    return {
      joints: blend(this.from.joints, this.to.joints),
      camera: blend(this.from.camera, this.to.camera),
      confidence: this.to.confidence,
    };
  }

  draw(context, width, height, now) {
    context.fillStyle = this.colours.card;
    context.fillRect(0, 0, width, height);
    const project = this.orbit.projection(width, height);
    context.lineCap = "round";
    this.drawFloor(context, project);
    this.drawAxes(context, project);
    if (!this.to) return false;
    const shown = this.between(now);
    this.drawShadow(context, project, shown.joints);
    this.drawTrails(context, project);
    this.drawCamera(context, shown.camera.map(project));
    this.drawSkeleton(context, shown.joints.map(project), shown.confidence);
    return now - this.arrivedMs < this.stepMs;
  }

  drawFloor(context, project) {
    context.strokeStyle = this.colours.floor;
    context.lineWidth = 1;
    for (let at = -GRID_M; at <= GRID_M; at += GRID_STEP_M) {
      context.globalAlpha = 0.9 - (0.6 * Math.abs(at)) / GRID_M;
      line(context, project([at, 0, -GRID_M]), project([at, 0, GRID_M]));
      line(context, project([-GRID_M, 0, at]), project([GRID_M, 0, at]));
    }
    context.globalAlpha = 1;
  }

  drawAxes(context, project) {
    const corner = [0.6, 0, 0.5];
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 2;
    for (const [name, way, colour] of AXES) {
      const reach = (times) => project(corner.map((value, axis) => value + times * way[axis]));
      context.strokeStyle = context.fillStyle = colour;
      line(context, reach(0), reach(1));
      context.fillText(name, ...reach(1.4).slice(0, 2));
    }
  }

  drawShadow(context, project, joints) {
    const shadow = joints.map(([x, , z]) => project([x, 0, z]));
    context.strokeStyle = this.colours.shadow;
    context.beginPath();
    this.parents.forEach((parent, child) => path(context, shadow[child], shadow[parent]));
    context.lineWidth = 0.05 * shadow[0][3];
    context.stroke();
  }

  drawTrails(context, project) {
    if (!this.trails?.length) return;
    context.lineWidth = 2;
    context.strokeStyle = this.colours.accent;
    for (let n = 1; n < this.trails.length; n++) {
      context.globalAlpha = (0.8 * n) / this.trails.length;
      context.beginPath();
      TRAIL_JOINTS.forEach((_, limb) => path(context, project(this.trails[n - 1][limb]), project(this.trails[n][limb])));
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  drawCamera(context, [tip, ...base]) {
    context.strokeStyle = this.colours.soft;
    context.lineWidth = 1.25;
    context.beginPath();
    base.forEach((corner, n) => {
      path(context, tip, corner);
      path(context, corner, base[(n + 1) % base.length]);
    });
    context.stroke();
  }

  /** Bones and joints, the far ones first; each half of a bone in the colour of its joint. */
  drawSkeleton(context, points, confidence) {
    const parts = points.map((point, joint) => ({ depth: point[2] - 0.01, joint, to: null }));
    this.parents.forEach((parent, child) => {
      if (parent === child) return;
      const middle = points[child].map((value, n) => (value + points[parent][n]) / 2);
      for (const joint of [child, parent]) parts.push({ depth: (middle[2] + points[joint][2]) / 2, joint, to: middle });
    });
    parts.sort((one, other) => other.depth - one.depth);
    for (const { joint, to } of parts) {
      const point = points[joint];
      if (!to) drawJoint(context, point, confidence[joint], JOINT_M * point[3]);
      else this.drawHalf(context, point, to, confidence[joint]);
    }
  }

  drawHalf(context, point, middle, confidence) {
    context.globalAlpha = confidence < UNSURE ? 0.45 : 1;
    context.strokeStyle = confidenceColour(confidence);
    context.lineWidth = BONE_M * point[3];
    line(context, point, middle);
    context.globalAlpha = 1;
  }

  close() {
    this.canvas.close();
  }
}

function path(context, from, to) {
  context.moveTo(from[0], from[1]);
  context.lineTo(to[0], to[1]);
}

function line(context, from, to) {
  context.beginPath();
  path(context, from, to);
  context.stroke();
}
