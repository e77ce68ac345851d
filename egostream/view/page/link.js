// The socket to the viewer. The page asks for the newest of a lane, and asks again when it has dealt with the answer.

const FIRST_PAUSE_MS = 500, LONGEST_PAUSE_MS = 4000;
const WRONG_TOKEN = 4001, TOO_MANY = 4002;

class Lane {
  constructor(question, take) {
    Object.assign(this, { question, take, isAsked: false, isBusy: false, next: null });
  }
}

export class Link {
  /** tell(isOpen, text): called when the connection opens or ends, with what to say. */
  constructor(tell) {
    this.tell = tell;
    this.lanes = new Map();
    this.pause = FIRST_PAUSE_MS;
    document.addEventListener("visibilitychange", () => this.askAll());
    this.open();
  }

  open() {
    const url = new URL("socket", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    url.search = new URLSearchParams({ token: new URLSearchParams(location.search).get("token") ?? "" });
    this.socket = new WebSocket(url);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.begin();
    this.socket.onmessage = ({ data }) => this.receive(typeof data === "string" ? JSON.parse(data) : unpack(data));
    this.socket.onclose = ({ code }) => this.end(code);
  }

  begin() {
    this.pause = FIRST_PAUSE_MS;
    for (const lane of this.lanes.values()) lane.isAsked = false;
    this.tell(true, "connected");
    this.askAll();
  }

  end(code) {
    if (code === WRONG_TOKEN) {
      this.tell(false, "Wrong token. Open the whole address that egostream view has printed.");
      return;
    }
    const why = code === TOO_MANY ? "Too many pages are open." : "The viewer is not running. Start it: egostream view";
    this.tell(false, `${why} This page tries again by itself.`);
    setTimeout(() => this.open(), this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
  }

  /** Go on taking the newest of a lane. take(answer) may return a promise; meanwhile one more answer is fetched. */
  pull(want, stream, take) {
    const lane = new Lane({ want, stream }, take);
    this.lanes.set(`${want}/${stream}`, lane);
    this.ask(lane);
  }

  /** Ask no more for anything of a stream. */
  drop(stream) {
    for (const [key, lane] of this.lanes) if (lane.question.stream === stream) this.lanes.delete(key);
  }

  askAll() {
    for (const lane of this.lanes.values()) this.ask(lane);
  }

  /** Ask, unless an answer is on its way or waits, nobody looks, or there is no connection. */
  ask(lane) {
    if (lane.isAsked || lane.next || document.hidden || this.socket.readyState !== WebSocket.OPEN) return;
    lane.isAsked = true;
    this.socket.send(JSON.stringify(lane.question));
  }

  receive(answer) {
    const lane = this.lanes.get(`${answer.lane}/${answer.stream ?? ""}`);
    if (!lane) return;
    lane.isAsked = false;
    lane.next = answer;
    this.work(lane);
  }

  async work(lane) {
    if (lane.isBusy || !lane.next) return;
    const answer = lane.next;
    lane.next = null;
    lane.isBusy = true;
    this.ask(lane);
    try {
      await lane.take(answer);
    } finally {
      lane.isBusy = false;
    }
    this.work(lane);
  }
}

/** A picture's message: length of the header, header, bytes. */
function unpack(data) {
  const length = new DataView(data).getUint32(0);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  return { ...head, bytes: new Uint8Array(data, 4 + length) };
}
