// The camera's own picture, with keypoints and bones.

import { Canvas } from "./canvas.js";
import { UNSURE, confidenceColour } from "./palette.js";

export class PictureView {
  constructor(element, skeleton) {
    this.skeleton = skeleton;
    this.bitmap = null;
    this.answer = null;
    this.canvas = new Canvas(element, (...drawing) => this.draw(...drawing));
  }

  /** Show a picture once it is decoded. A broken one is left out. */
  async take(answer) {
    let bitmap;
    try {
      const picture = new Blob([asDelivered(answer.bytes)], { type: `image/${answer.format}` });
      bitmap = await createImageBitmap(picture, this.smaller(answer));
    } catch {
      return;
    }
    this.bitmap?.close();
    this.bitmap = bitmap;
    this.answer = { ...answer, bytes: null };
    this.canvas.change();
  }

  /** Options that decode a large picture at the size in which it is shown. */
  smaller({ size }) {
    const shown = this.canvas.element.width;
    return size && size[0] > 1.5 * shown ? { resizeWidth: shown, resizeQuality: "low" } : {};
  }

  draw(context, width, height) {
    context.clearRect(0, 0, width, height);
    if (!this.bitmap) return;
    const { size, keypoints, confidence } = this.answer;
    const [fullWidth, fullHeight] = size ?? [this.bitmap.width, this.bitmap.height];
    const scale = Math.min(width / fullWidth, height / fullHeight);
    const left = (width - fullWidth * scale) / 2, top = (height - fullHeight * scale) / 2;
    context.drawImage(this.bitmap, left, top, fullWidth * scale, fullHeight * scale);
    if (!keypoints) return;
    // A keypoint's origin is the centre of the first pixel. One that the camera cannot see may have no place (null).
    const points = keypoints.map(([x, y]) => (x === null ? null : [left + (x + 0.5) * scale, top + (y + 0.5) * scale]));
    drawBones(context, this.skeleton.parents, points, confidence, Math.max(2, width / 220));
  }

  close() {
    this.canvas.close();
    this.bitmap?.close();
  }
}

const APP1 = 0xe1, APP15 = 0xef, SCAN = 0xda;

/**
 * A JPEG that no browser turns by what its Exif says: keypoints are found on the picture as it lies in the file.
 * The segments of Exif get a number that means nothing.
 */
function asDelivered(bytes) {
  for (let at = 2; bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[at] === 0xff && bytes[at + 1] !== SCAN; ) {
    if (bytes[at + 1] === APP1) bytes[at + 1] = APP15;
    at += 2 + 256 * bytes[at + 2] + bytes[at + 3];
  }
  return bytes;
}

/** Bones and joints on a picture, each half of a bone in the colour of its joint. */
function drawBones(context, parents, points, confidence, width) {
  context.lineCap = "round";
  const isSeen = (joint) => points[joint] !== null;
  for (const [outline, grown] of [[true, 2.5], [false, 0]]) {
    context.lineWidth = width + grown;
    parents.forEach((parent, child) => {
      if (parent === child || !isSeen(child) || !isSeen(parent)) return;
      const middle = points[child].map((value, axis) => (value + points[parent][axis]) / 2);
      for (const joint of [child, parent]) {
        context.globalAlpha = confidence[joint] < UNSURE ? 0.35 : 1;
        context.strokeStyle = outline ? "#000000a0" : confidenceColour(confidence[joint]);
        context.beginPath();
        context.moveTo(...points[joint]);
        context.lineTo(...middle);
        context.stroke();
      }
    });
  }
  context.globalAlpha = 1;
  points.forEach((point, joint) => point && drawJoint(context, point, confidence[joint], width * 1.35));
}

/** A joint: a dot, hollow where it is hardly seen. */
export function drawJoint(context, [x, y], confidence, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.lineWidth = 1.5;
  context.strokeStyle = confidence < UNSURE ? confidenceColour(confidence) : "#00000090";
  context.fillStyle = confidenceColour(confidence);
  if (confidence >= UNSURE) context.fill();
  context.stroke();
}
