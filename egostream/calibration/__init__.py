"""Calibration: a file in, a camera's lens and where the network looks through it out."""
