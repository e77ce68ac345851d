"""Cameras: devices, network streams, recordings. ``choose_camera`` is the one way in."""

from egostream.camera.contract import Camera, CameraLost, Pace, check_source, choose_camera, clip_path, recording_of

__all__ = ["Camera", "CameraLost", "Pace", "check_source", "choose_camera", "clip_path", "recording_of"]
