"""Inference, the second process: rings -> network over the causal window -> poses. Network inputs in, poses out."""
