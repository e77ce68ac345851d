// Prints a line for each pose of egostream, as ../README.md specifies it, and notes on standard error.
//
//     npm install
//     node node.mjs [ENDPOINT [STREAM [PAUSE_MS]]]
//
// ENDPOINT: of the publisher, or ws://... of an `egostream bridge websocket`. PAUSE_MS: a pause after each pose, as a
// program makes that draws between two poses.
import { setTimeout as sleep } from "node:timers/promises";
import { JOINTS, Missed, ageMs, followWebSocket, readPose } from "./pose.mjs";

const SHOWN = ["neck", "left_wrist", "right_wrist"];
const SILENCE_MS = 2000;
const [endpoint = "tcp://127.0.0.1:5570", stream = "0", pauseMs = "0"] = process.argv.slice(2);
const missed = new Missed();

const note = (text) => console.error(`note: ${text.replace(/\s+/g, " ")}`);

function show(pose) {
  const again = missed.saw(pose.seq);
  if (again) note(again);
  const age = ageMs(pose, BigInt(Date.now()) * 1_000_000n, process.hrtime.bigint());
  const confidence = pose.confidence.reduce((sum, one) => sum + one, 0) / pose.confidence.length;
  const place = (name) => pose.joints[JOINTS.indexOf(name)].map((value) => value.toFixed(4)).join(",");
  console.log(
    `pose stream=${pose.stream} seq=${pose.seq} missed=${missed.count} age_ms=${age.toFixed(1)} ` +
      `confidence=${confidence.toFixed(2)} ${SHOWN.map((name) => `${name}=${place(name)}`).join(" ")}`,
  );
}

async function followZeroMq() {
  const zmq = await import("zeromq");
  const socket = new zmq.Subscriber({ conflate: true, linger: 0 }); // conflate: before connect, or it has no effect
  socket.subscribe(`pose/${stream}\0`); // with the NUL, or pose/1 also matches pose/10
  socket.connect(endpoint); // ZeroMQ connects again by itself when the publisher restarts
  let silence;
  while (true) {
    clearTimeout(silence);
    silence = setTimeout(() => note(`no pose for ${SILENCE_MS / 1000} s; still waiting`), SILENCE_MS);
    const [frame] = await socket.receive();
    try {
      show(readPose(frame));
    } catch (error) {
      note(`message skipped: ${error.message}`);
    }
    if (Number(pauseMs)) await sleep(Number(pauseMs));
  }
}

if (endpoint.startsWith("ws")) {
  followWebSocket(endpoint, show, note);
} else {
  followZeroMq().catch((error) => {
    console.error(`error: ${endpoint}: ${error.message}`);
    process.exit(1);
  });
}
