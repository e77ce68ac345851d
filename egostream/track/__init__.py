"""Poses in this process: frames or whole recordings in, poses out, by the estimator of a run. No sockets."""
