"""Readers of calibration files, one family of formats a file. ``calibration.file`` asks them in turn."""
