"""Hand-over: what processes share. A frame in on one side, the newest one out on the other; nothing queues."""
