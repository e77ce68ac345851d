// Camera axes to upright ones. A camera on a head does not know where up is; this is a guess (docs/view.md).
//
// Camera axes: x right, y down in the picture, z forward along the optical axis.
// Upright axes: x towards the wearer's right, y up, z backward; the floor is y = 0, and the feet are near the origin.

/** Each joint's share of the body's mass: segments after Winter, divided between their ends. */
const ARM = [0.014, 0.022, 0.014], LEG = [0.17425, 0.07325, 0.0305, 0.00725];
const MASS = [0.3295, ...ARM, ...ARM, ...LEG, ...LEG];
const FEET = [9, 10, 13, 14];
/** How fast up, the place and the floor follow, seconds. */
const UP_S = 0.4, PLACE_S = 0.8, FLOOR_DOWN_S = 0.15, FLOOR_UP_S = 0.5;
/** A pause after which the past says nothing any more. */
const PAUSE_S = 1;
/** Up of a camera that looks straight down. */
const DOWNWARD = [0, 0, -1];

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const minus = (a, b, times = 1) => a.map((value, axis) => value - times * b[axis]);
const unit = (a) => a.map((value) => value / (Math.hypot(...a) || 1));
const mean = (points, weights) =>
  [0, 1, 2].map((axis) => points.reduce((sum, point, n) => sum + weights[n] * point[axis], 0));
const towards = (old, wanted, dt, time) => old.map((value, n) => value + (1 - Math.exp(-dt / time)) * (wanted[n] - value));

export class Upright {
  constructor() {
    this.byBalance = true; // off: the camera is taken to look straight down
    this.forget();
  }

  forget() {
    this.lastMs = null;
  }

  /** Joints [15][3] and the camera's place [3], upright, of joints in camera axes at a time in ms. */
  take(joints, tMs) {
    const feet = FEET.map((joint) => joints[joint]);
    const foot = mean(feet, feet.map(() => 1 / feet.length));
    const up = this.byBalance ? unit(minus(mean(joints, MASS), foot)) : DOWNWARD;
    const dt = (tMs - this.lastMs) / 1000;
    const isFresh = this.lastMs === null || dt < 0 || dt > PAUSE_S;
    this.lastMs = tMs;
    this.up = isFresh ? up : unit(towards(this.up, up, dt, UP_S));
    const right = unit(minus([1, 0, 0], this.up, this.up[0]));
    const back = cross(right, this.up);
    const turn = (point) => [dot(point, right), dot(point, this.up), dot(point, back)];
    const turned = joints.map(turn);
    const floor = Math.min(...FEET.map((joint) => turned[joint][1]));
    this.place = isFresh ? turn(foot) : towards(this.place, turn(foot), dt, PLACE_S);
    [this.floor] = isFresh ? [floor] : towards([this.floor], [floor], dt, floor < this.floor ? FLOOR_DOWN_S : FLOOR_UP_S);
    const origin = [this.place[0], this.floor, this.place[2]];
    const put = (point) => minus(point, origin);
    return { joints: turned.map(put), camera: CAMERA.map((point) => put(turn(point))), isFresh };
  }
}

/** A small pyramid for the camera, in camera axes: its tip, and the corners of its base. */
const CAMERA = [[0, 0, 0], [-0.07, -0.055, 0.11], [0.07, -0.055, 0.11], [0.07, 0.055, 0.11], [-0.07, 0.055, 0.11]];
