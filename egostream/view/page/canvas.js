// A canvas that is as sharp as the screen, and is drawn at most once for each frame of the screen.

const SHARPEST = 2; // pixels of the canvas for one of the page: more is not seen and costs time

export class Canvas {
  /** draw(context, width, height, now): sizes in pixels of the page, now in ms. Returns whether to go on drawing. */
  constructor(element, draw) {
    this.element = element;
    this.context = element.getContext("2d");
    this.drawing = draw;
    this.drawn = 0; // counts frames
    this.request = 0;
    this.resizing = new ResizeObserver(() => this.fit());
    this.resizing.observe(element);
    this.fit();
  }

  /** Take the size that the page gives. */
  fit() {
    this.ratio = Math.min(SHARPEST, window.devicePixelRatio || 1);
    this.width = this.element.clientWidth;
    this.height = this.element.clientHeight;
    this.element.width = Math.max(1, Math.round(this.width * this.ratio));
    this.element.height = Math.max(1, Math.round(this.height * this.ratio));
    this.change();
  }

  /** Something has changed: draw with the next frame of the screen. */
  change() {
    if (!this.request) this.request = requestAnimationFrame((now) => this.draw(now));
  }

  draw(now) {
    this.request = 0;
    if (!this.width || !this.height) return;
    this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    const goesOn = this.drawing(this.context, this.width, this.height, now);
    this.drawn += 1;
    if (goesOn) this.change();
  }

  close() {
    cancelAnimationFrame(this.request);
    this.request = -1;
    this.resizing.disconnect();
  }
}
