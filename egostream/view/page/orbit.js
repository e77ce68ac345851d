// Where the skeleton is looked at from, by mouse, touch, keys and buttons.

/** Azimuth: 0 in front of the wearer, 90 at the wearer's right. Degrees, metres. */
export const VIEWS = {
  free: { azimuth: 38, elevation: 12 },
  front: { azimuth: 0, elevation: 0 },
  side: { azimuth: 90, elevation: 0 },
  top: { azimuth: 0, elevation: 89.9 },
};
const KEYS = { 1: "free", 2: "front", 3: "side", 4: "top", 0: "free" };
const FAR = 3.6, NEAREST = 1.2, FARTHEST = 12;
const TURN = 0.4; // degrees for a pixel
const STEP = 6; // degrees for a key
const MOVES = { ArrowLeft: [STEP, 0], ArrowRight: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] };

export class Orbit {
  /** change(): called when the eye has moved. choose(view): when a view was chosen, or left ("free" without a name). */
  constructor(element, change, choose) {
    this.change = change;
    this.choose = choose;
    this.pointers = new Map();
    this.look("free");
    element.addEventListener("pointerdown", (event) => this.press(element, event));
    element.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"])
      element.addEventListener(end, ({ pointerId }) => this.pointers.delete(pointerId));
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.key(event));
  }

  /** Look from one of the views. */
  look(view) {
    Object.assign(this, VIEWS[view], { distance: FAR });
    this.choose(view);
    this.change();
  }

  turn(right, up) {
    this.azimuth = (this.azimuth + right) % 360;
    this.elevation = Math.min(89.9, Math.max(-20, this.elevation + up));
    this.choose("");
    this.change();
  }

  zoom(times) {
    this.distance = Math.min(FARTHEST, Math.max(NEAREST, this.distance * times));
    this.change();
  }

  press(element, event) {
    element.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }

  /** One pointer turns, two zoom. */
  drag({ pointerId, clientX, clientY }) {
    const old = this.pointers.get(pointerId);
    if (!old) return;
    const apart = this.spread();
    this.pointers.set(pointerId, [clientX, clientY]);
    if (apart) this.zoom(apart / (this.spread() || 1));
    else this.turn(-TURN * (clientX - old[0]), TURN * (clientY - old[1]));
  }

  /** How far two pointers are apart, pixels; 0 where there is one. */
  spread() {
    const [first, second] = this.pointers.values();
    return second ? Math.hypot(first[0] - second[0], first[1] - second[1]) : 0;
  }

  wheel(event) {
    event.preventDefault();
    this.zoom(Math.exp(Math.sign(event.deltaY) * Math.min(0.2, Math.abs(event.deltaY) / 500)));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in MOVES) this.turn(...MOVES[event.key]);
    else if ("+=".includes(event.key)) this.zoom(1 / 1.1);
    else if (event.key === "-") this.zoom(1.1);
    else if (event.key in KEYS) this.look(KEYS[event.key]);
    else return;
    event.preventDefault();
  }

  /** A function from a point [3] to pixels on a screen and distance: [x, y, depth, pixels for a metre]. */
  projection(width, height) {
    const [a, e] = [this.azimuth, this.elevation].map((degrees) => (degrees * Math.PI) / 180);
    const back = [Math.sin(a) * Math.cos(e), Math.sin(e), -Math.cos(a) * Math.cos(e)]; // towards the eye
    const right = [-Math.cos(a), 0, -Math.sin(a)];
    const up = [-Math.sin(a) * Math.sin(e), Math.cos(e), Math.cos(a) * Math.sin(e)];
    const focal = 1.72 * Math.min(height, 1.15 * width);
    const along = (axis, x, y, z) => axis[0] * x + axis[1] * y + axis[2] * z;
    return ([x, height_m, z]) => {
      const y = height_m - TARGET_M;
      const depth = this.distance - along(back, x, y, z);
      const scale = focal / Math.max(0.1, depth);
      return [width / 2 + scale * along(right, x, y, z), height / 2 - scale * along(up, x, y, z), depth, scale];
    };
  }
}

/** The height that the eye looks at, metres. */
const TARGET_M = 0.8;
