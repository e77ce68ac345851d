"""Capture, the first process: camera -> decode -> rectify -> ring. A source's name in, the network's input out."""
