"""A WebSocket client in a process of its own, by the websockets library: prints what comes, a line of JSON each.

python websocket_client.py URL [PAUSE_S]      PAUSE_S: between two reads
"""

from __future__ import annotations

import json
import sys
import time

import msgpack
from websockets.sync.client import connect


def main() -> None:
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    with connect(sys.argv[1], max_queue=1) as client:
        client.send("garbage")
        for message in client:
            is_text = isinstance(message, str)
            found = json.loads(message) if is_text else msgpack.unpackb(message)
            print(json.dumps([is_text, time.monotonic_ns(), found]), flush=True)
            time.sleep(pause)


if __name__ == "__main__":
    main()
