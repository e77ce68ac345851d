"""Engines measured: how far each is from the PyTorch network, on this machine or emulated."""
