"""MCAP recordings of a run: the file's writer and reader, usable alone, and the client that records."""
