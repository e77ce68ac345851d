"""What is kept of past frames, and its hand-over to an engine: features, or cached keys and values."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from egostream.graph.ports import BODY_FORM
from egostream.infer.window import CausalWindow


class Memory(Protocol):
    """One stream's kept past, in the form that a temporal graph takes it."""

    def gather(self, t_ns: int, inputs: dict[str, np.ndarray], place: int) -> None:
        """Fill one place of a batch's inputs with the past of a frame captured at ``t_ns``."""

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray], place: int) -> None:
        """Keep what the engine made of that frame, from its place in the batch's outputs."""


class WindowMemory:
    """Window form: one feature [384] per kept frame."""

    output = "feature"

    def __init__(self, inputs: dict[str, np.ndarray], window: CausalWindow):
        self.window = window
        self.features = np.zeros((window.capacity, inputs["past"].shape[-1]), np.float32)

    def gather(self, t_ns: int, inputs: dict[str, np.ndarray], place: int) -> None:
        """Fill ``past`` [N, T-1, 384] and ``valid`` [N, T-1] at one place of the batch."""
        rows, valid = self.window.select(t_ns)
        if "valid" in inputs:  # without a motion branch nothing reads the mask, and some backends drop such inputs
            inputs["valid"][place] = valid
        np.take(self.features, rows, axis=0, out=inputs["past"][place], mode="clip")

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray], place: int) -> None:
        """Keep the frame's feature."""
        self.features[self.window.keep(t_ns)] = outputs[self.output][place]


class CausalMemory:
    """Causal form: per kept frame and block its normalised input (for the left-padded convolution), key and value."""

    output = "state"
    caches = ("conv_cache", "local_cache", "global_cache")

    def __init__(self, inputs: dict[str, np.ndarray], window: CausalWindow):
        self.window = window
        # Each ring is laid out as the engine's cache, with all kept rows where the cache has its few: one contiguous
        # source per gather, which ``np.take`` would otherwise copy whole.
        shapes = [inputs[name].shape[1:] for name in self.caches]
        self.rings = [np.zeros((*shape[:-2], window.capacity, shape[-1]), np.float32) for shape in shapes]

    def gather(self, t_ns: int, inputs: dict[str, np.ndarray], place: int) -> None:
        """Fill the three caches and ``valid`` [N, T-1] at one place of the batch."""
        rows, inputs["valid"][place] = self.window.select(t_ns)
        for ring, name in zip(self.rings, self.caches):
            cache = inputs[name][place]
            newest = rows[-cache.shape[-2] :]
            np.take(ring, newest, axis=-2, out=cache, mode="clip")  # the default mode buffers its output

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray], place: int) -> None:
        """Keep the frame's state [blocks, (input, key, value), channels], each part in its ring."""
        row = self.window.keep(t_ns)
        state = outputs[self.output][place]
        conv, local, global_ = self.rings
        blocks = len(local)
        conv[:, row] = state[:, 0]
        local[:, :, row] = state[:blocks, 1:]
        global_[:, :, row] = state[blocks:, 1:]


class BodyMemory:
    """Form without a backbone: per kept frame and block its key and value."""

    output = "state"

    def __init__(self, inputs: dict[str, np.ndarray], window: CausalWindow):
        self.window = window
        blocks, two, _, channels = inputs["body_cache"].shape[1:]
        self.ring = np.zeros((blocks, two, window.capacity, channels), np.float32)

    def gather(self, t_ns: int, inputs: dict[str, np.ndarray], place: int) -> None:
        """Fill ``body_cache`` [N, blocks, 2, T-1, d] and ``valid`` [N, T-1] at one place of the batch."""
        rows, inputs["valid"][place] = self.window.select(t_ns)
        np.take(self.ring, rows, axis=-2, out=inputs["body_cache"][place], mode="clip")

    def keep(self, t_ns: int, outputs: dict[str, np.ndarray], place: int) -> None:
        """Keep the frame's keys and values [blocks, 2, d]."""
        self.ring[:, :, self.window.keep(t_ns)] = outputs[self.output][place]


def memory_for(form: str, inputs: dict[str, np.ndarray], window: CausalWindow) -> Memory:
    """The memory of a form, "window", "causal" or ``BODY_FORM``. inputs: an engine's, whose shapes count."""
    forms: dict[str, type[WindowMemory] | type[CausalMemory] | type[BodyMemory]] = {
        "window": WindowMemory,
        "causal": CausalMemory,
        BODY_FORM: BodyMemory,
    }
    return forms[form](inputs, window)
