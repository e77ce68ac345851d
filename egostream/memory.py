"""What is kept of past frames, and its hand-over to the step engine: features, or cached keys and values."""

from __future__ import annotations

import numpy as np

from egostream.window import CausalWindow


class WindowMemory:
    """Window form: one feature [384] per kept frame."""

    output = "feature"

    def __init__(self, inputs: dict[str, np.ndarray], window: CausalWindow):
        self.window = window
        self.past = inputs["past"][0]
        # a network without its motion branch ignores the mask, and some backends drop what nothing reads
        self.valid = inputs["valid"][0] if "valid" in inputs else np.zeros(window.slots - 1, bool)
        self.features = np.zeros((window.capacity, self.past.shape[-1]), np.float32)

    def gather(self, t_ns: int) -> None:
        """Fill the engine's inputs for a frame captured at ``t_ns``."""
        rows, self.valid[:] = self.window.select(t_ns)
        np.take(self.features, rows, axis=0, out=self.past, mode="clip")

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray]) -> None:
        """Keep what the engine made of that frame."""
        self.features[self.window.keep(t_ns)] = outputs[self.output][0]


class CausalMemory:
    """Causal form: per kept frame and block its normalised input (for the left-padded convolution), key and value."""

    output = "state"

    def __init__(self, inputs: dict[str, np.ndarray], window: CausalWindow):
        self.window = window
        self.valid = inputs["valid"][0]
        self.caches = [inputs[f"{name}_cache"][0] for name in ("conv", "local", "global")]
        # Each ring is laid out as the engine's cache, with all kept rows where the cache has its few: one contiguous
        # source per gather, which ``np.take`` would otherwise copy whole.
        self.rings = [np.zeros((*cache.shape[:-2], window.capacity, cache.shape[-1]), np.float32) for cache in self.caches]

    def gather(self, t_ns: int) -> None:
        """Fill the engine's inputs for a frame captured at ``t_ns``."""
        rows, self.valid[:] = self.window.select(t_ns)
        for ring, cache in zip(self.rings, self.caches):
            newest = rows[-cache.shape[-2] :]
            np.take(ring, newest, axis=-2, out=cache, mode="clip")  # the default mode buffers its output

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray]) -> None:
        """Keep what the engine made of that frame."""
        row = self.window.keep(t_ns)
        state = outputs[self.output][0]  # [blocks, (input, key, value), channels]
        conv, local, global_ = self.rings
        blocks = len(local)
        conv[:, row] = state[:, 0]
        local[:, :, row] = state[:blocks, 1:]
        global_[:, :, row] = state[blocks:, 1:]


def memory_for(temporal: str, inputs: dict[str, np.ndarray], window: CausalWindow) -> WindowMemory | CausalMemory:
    return {"window": WindowMemory, "causal": CausalMemory}[temporal](inputs, window)
