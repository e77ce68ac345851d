// The page: the newest pose as a skeleton, seen from behind the wearer's right shoulder. Drag to turn it.
// A pose that is not in the room stands upright where the camera looks down: the optical axis is drawn downwards.
// ?url=ws://HOST:PORT chooses another bridge.
import { Missed, PARENTS, ageMs, followWebSocket } from "./pose.mjs";

const DEFAULT_URL = "ws://127.0.0.1:5581";
const RIGHT = "#ff8c42", LEFT = "#4fb3ff", MIDDLE = "#ddd"; // the wearer's right and left
const VIEW_M = 2.4; // what the shorter side of the picture shows
const canvas = document.getElementById("picture"), figures = document.getElementById("figures");
const missed = new Missed();
const view = { yaw: 0.6, pitch: 0.25 }; // radians
let newest = null, isDrawn = true;

function colour(joint) {
  if (PARENTS[joint] === joint) return MIDDLE;
  return [1, 2, 3, 7, 8, 9, 10].includes(joint) ? RIGHT : LEFT;
}

// [x, y] in pixels of a point in WebXR axes (y up in the room; on a camera z is), turned about the body's middle.
function project([x, y, z], [middleX, middleY, middleZ]) {
  const [sinYaw, cosYaw, sinPitch, cosPitch] = [
    Math.sin(view.yaw), Math.cos(view.yaw), Math.sin(view.pitch), Math.cos(view.pitch),
  ];
  const [dx, dy, dz] = newest.isInRoom
    ? [x - middleX, y - middleY, z - middleZ] // right, up, towards the viewer
    : [x - middleX, z - middleZ, middleY - y];
  const scale = Math.min(canvas.width, canvas.height) / VIEW_M;
  const across = dx * cosYaw - dz * sinYaw, depth = dx * sinYaw + dz * cosYaw;
  return [canvas.width / 2 + across * scale, canvas.height / 2 - (dy * cosPitch - depth * sinPitch) * scale];
}

function draw() {
  requestAnimationFrame(draw);
  if (isDrawn || newest === null) return;
  isDrawn = true;
  [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight];
  const context = canvas.getContext("2d");
  const middle = [0, 1, 2].map((axis) => newest.joints.reduce((sum, joint) => sum + joint[axis] / 15, 0));
  const points = newest.joints.map((joint) => project(joint, middle));
  context.lineWidth = 5;
  points.forEach((point, joint) => {
    context.globalAlpha = 0.25 + 0.75 * Math.min(1, Math.max(0, newest.confidence[joint]));
    context.strokeStyle = context.fillStyle = colour(joint);
    context.beginPath();
    context.moveTo(...points[PARENTS[joint]]);
    context.lineTo(...point);
    context.stroke();
    context.beginPath();
    context.arc(...point, 6, 0, 2 * Math.PI);
    context.fill();
  });
}

function show(pose) {
  const wallNs = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1000n;
  const again = missed.saw(pose.seq);
  if (again) note(again);
  newest = pose;
  isDrawn = false;
  figures.textContent = `stream ${pose.stream}, seq ${pose.seq}, missed ${missed.count}, `
    + `age ${ageMs(pose, wallNs).toFixed(1)} ms`;
}

function note(text) {
  document.getElementById("note").textContent = text;
}

canvas.addEventListener("pointermove", (event) => {
  if (!event.buttons) return;
  view.yaw += event.movementX / 200;
  view.pitch += event.movementY / 200;
  isDrawn = false;
});
window.addEventListener("resize", () => { isDrawn = false; });
followWebSocket(new URLSearchParams(location.search).get("url") ?? DEFAULT_URL, show, note);
draw();
