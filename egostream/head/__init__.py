"""The head and the room: the headset's pose in, poses in the room out; and what sends a headset's pose."""
