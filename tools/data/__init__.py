"""Recordings of people with their joints: datasets and clips in, sequences of frames out."""
