"""An OSC receiver in a process of its own, by python-osc: prints a line of JSON for each datagram.

    python osc_receiver.py [PORT]      0: a free one, printed first

A line is [size of the datagram, [[address, arguments], ...], types of the arguments].
"""

from __future__ import annotations

import json
import socket
import sys

from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_message import OscMessage


def messages(data: bytes) -> list[OscMessage]:
    if OscBundle.dgram_is_bundle(data):
        return list(OscBundle(data))
    return [OscMessage(data)]


def main() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        receiver.bind(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
        print(receiver.getsockname()[1], flush=True)
        while True:
            data, sender = receiver.recvfrom(65536)
            receiver.sendto(b"\xff\x00garbage /,", sender)  # receivers may answer anything
            found = messages(data)
            listed = [[one.address, one.params] for one in found]
            kinds = [[type(value).__name__ for value in one.params] for one in found]
            print(json.dumps([len(data), listed, kinds]), flush=True)


if __name__ == "__main__":
    main()
