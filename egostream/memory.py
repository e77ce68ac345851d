"""What is kept of past frames, and its hand-over to the step engine: features, or cached keys and values."""

from __future__ import annotations

import numpy as np

from egostream.window import CausalWindow


class WindowMemory:
    """Window form: one feature [384] per kept frame."""

    output = "feature"

    def __init__(self, inputs: dict[str, np.ndarray], window: CausalWindow):
        self.window = window
        self.past, self.valid = inputs["past"][0], inputs["valid"][0]
        self.features = np.zeros((window.capacity, self.past.shape[-1]), np.float32)

    def gather(self, t_ns: int) -> None:
        """Fill the engine's inputs for a frame captured at ``t_ns``."""
        rows, self.valid[:] = self.window.select(t_ns)
        np.take(self.features, rows, axis=0, out=self.past)

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray]) -> None:
        """Keep what the engine made of that frame."""
        self.features[self.window.keep(t_ns)] = outputs[self.output][0]


class CausalMemory:
    """Causal form: per kept frame and block its normalised input (for the left-padded convolution), key and value."""

    output = "state"

    def __init__(self, inputs: dict[str, np.ndarray], window: CausalWindow):
        self.window = window
        self.conv, self.local, self.globals_ = (inputs[f"{name}_cache"][0] for name in ("conv", "local", "global"))
        self.valid = inputs["valid"][0]
        blocks, _, channels = self.conv.shape
        # Rows innermost but one, so that a gather copies whole rows into the engine's layout in one go.
        self.states = np.zeros((blocks, 3, window.capacity, channels), np.float32)

    def gather(self, t_ns: int) -> None:
        rows, self.valid[:] = self.window.select(t_ns)
        local = len(self.local)
        np.take(self.states[:, 0], rows[-2:], axis=1, out=self.conv)
        np.take(self.states[:local, 1:], rows[-self.local.shape[2] :], axis=2, out=self.local)
        np.take(self.states[local:, 1:], rows, axis=2, out=self.globals_)

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray]) -> None:
        self.states[:, :, self.window.keep(t_ns)] = outputs[self.output][0]


def memory_for(temporal: str, inputs: dict[str, np.ndarray], window: CausalWindow) -> WindowMemory | CausalMemory:
    return {"window": WindowMemory, "causal": CausalMemory}[temporal](inputs, window)
