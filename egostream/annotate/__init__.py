"""Whole recordings to files of poses: every frame, as fast as the machine goes, on one machine or on many."""
