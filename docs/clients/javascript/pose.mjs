// What a pose message of egostream holds, for Node and the browser alike. The messages: ../../messages.md.
import { decode } from "@msgpack/msgpack";

export const JOINTS = [
  "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
  "right_hip", "right_knee", "right_ankle", "right_foot", "left_hip", "left_knee", "left_ankle", "left_foot",
];
export const PARENTS = [0, 0, 1, 2, 0, 4, 5, 1, 7, 8, 9, 4, 11, 12, 13];
const VERSION = 1;
const SAME_CLOCK_NS = 1e9; // wall clocks that differ by less belong to one monotonic clock
const WEBXR = [1, -1, -1]; // camera axes (x right, y down, z forward) times this: x right, y up, z backward

// A pose from one message: the publisher's (topic, NUL, msgpack map), or a bridge's as msgpack or as JSON text.
// Joints are in the axes of WebXR and three.js: the publisher's on the head's camera, a bridge's in the room.
// Keys that are unknown here are left alone: later releases add some.
// Throws an Error for what is no pose of this version.
export function readPose(message) {
  const map = typeof message === "string" ? JSON.parse(message) : decode(mapOf(message), { useBigInt64: true });
  if (map?.v !== VERSION) throw new Error(`message version ${map?.v}, this client knows ${VERSION}`);
  const isInRoom = "axes" in map; // a bridge's message: it has turned the joints into our axes
  if (isInRoom ? map.axes !== "openxr" : map.frame !== "camera")
    throw new Error(`unknown axes ${isInRoom ? map.axes : map.frame}`);
  if (typeof map.stream !== "string") throw new Error("the stream's name is no text");
  if (!isNumbers(map.confidence, 15) || map.joints?.length !== 15 || !map.joints.every((joint) => isNumbers(joint, 3)))
    throw new Error("not 15 joints of three finite numbers, and a confidence for each");
  return {
    stream: map.stream,
    seq: Number(whole(map, "seq")),
    captureNs: whole(map, "t_capture_ns"),
    clockOffsetNs: whole(map, "clock_offset_ns"),
    isInRoom,
    joints: map.joints.map((joint) => joint.map((value, axis) => (isInRoom ? value : value * WEBXR[axis]))), // metres
    confidence: map.confidence, // [15] 0..1
  };
}

function mapOf(message) {
  const bytes = new Uint8Array(message.buffer ?? message, message.byteOffset ?? 0, message.byteLength);
  return bytes[0] < 0x80 ? bytes.subarray(bytes.indexOf(0) + 1) : bytes; // no msgpack map begins as a topic does
}

function isNumbers(list, count) {
  return Array.isArray(list) && list.length === count && list.every(Number.isFinite);
}

// Nanoseconds are BigInt: Unix time has more digits than a Number keeps.
function whole(map, key) {
  if (typeof map[key] === "bigint" || Number.isInteger(map[key])) return BigInt(map[key]);
  throw new Error(`${key} is no whole number`);
}

// Time since capture: by the monotonic clock where it is the publisher's, else by the wall clocks.
// A browser has no monotonic clock of the machine: leave monotonicNs out there.
export function ageMs(pose, wallNs, monotonicNs) {
  const isSameClock = monotonicNs !== undefined
    && Math.abs(Number(wallNs - monotonicNs - pose.clockOffsetNs)) < SAME_CLOCK_NS;
  const age = isSameClock ? monotonicNs - pose.captureNs : wallNs - pose.clockOffsetNs - pose.captureNs;
  return Number(age) / 1e6;
}

// Counts the frames that went by without a pose here: dropped by the run, lost on the way, or replaced unread.
export class Missed {
  count = 0;
  #lastSeq = -1;

  // Count the gap before a pose. Returns a note where the publisher began anew, else "".
  saw(seq) {
    const last = this.#lastSeq;
    this.#lastSeq = seq;
    if (seq <= last) return `the publisher began anew: seq ${seq} after ${last}`;
    if (last >= 0) this.count += seq - last - 1;
    return "";
  }
}

// The newest pose of an `egostream bridge websocket`, for ever: connects again when the bridge restarts.
// onPose(pose) for each, onNote(text) for what is worth a line. Needs the WebSocket of browsers, Deno or Node 22.
export function followWebSocket(url, onPose, onNote, hasTold = false) {
  const wish = new URL(url);
  wish.searchParams.set("axes", "openxr"); // format=msgpack, and token=... where it is needed, are the caller's
  const socket = new WebSocket(wish);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    hasTold = false;
    onNote(`connected to ${url}`);
  };
  socket.onmessage = ({ data }) => {
    let pose;
    try {
      pose = readPose(data);
    } catch (error) {
      return onNote(`message skipped: ${error.message}`);
    }
    onPose(pose);
  };
  let isOver = false;
  socket.onclose = socket.onerror = () => {
    if (isOver) return; // some tell both, some one of them
    isOver = true;
    if (!hasTold) onNote(`not connected to ${url}`);
    setTimeout(followWebSocket, 500, url, onPose, onNote, true);
  };
}
