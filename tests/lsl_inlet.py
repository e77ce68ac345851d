"""An LSL inlet in a process of its own, by pylsl: prints the outlet's description, then its samples, as lines of JSON.

python lsl_inlet.py NAME
"""

from __future__ import annotations

import json
import sys

import pylsl


def main() -> None:
    found = pylsl.resolve_byprop("name", sys.argv[1], timeout=30)
    inlet = pylsl.StreamInlet(found[0], recover=False)
    info = inlet.info()
    channels, channel = [], info.desc().child("channels").child("channel")
    while not channel.empty():
        channels.append([channel.child_value(key) for key in ("label", "unit", "type")])
        channel = channel.next_sibling()
    about = info.desc().child("acquisition")
    facts = {key: about.child_value(key) for key in ("publisher_clock_offset_ns", "unix_minus_lsl_s", "axes")}
    print(json.dumps([info.source_id(), info.type(), info.nominal_srate(), channels, facts]), flush=True)
    while True:
        sample, stamp = inlet.pull_sample()
        print(json.dumps([sample, stamp, pylsl.local_clock()]), flush=True)


if __name__ == "__main__":
    main()
