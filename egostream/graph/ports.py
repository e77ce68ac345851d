"""The contract of the graphs: their names, inputs, outputs, and which are made of which."""

from __future__ import annotations

from egostream.config import MAX_STREAMS
from egostream.skeleton import JOINTS

#: The four graphs that own tensors, in data-flow order.
GRAPHS = ("heatmap", "backbone", "temporal", "decoder")

#: Graphs that ``compose.py`` makes of the four: a frame's whole way, and its two halves. The halves meet at the motion
#: feature: what the wearer is doing, one vector of 384 numbers.
STEP_GRAPH, MOTION_GRAPH, POSE_GRAPH = "step", "motion", "pose"

#: What each composed graph is made of, in data-flow order.
COMPOSED_OF = {
    STEP_GRAPH: ("heatmap", "backbone", "temporal", "decoder"),
    MOTION_GRAPH: ("backbone", "temporal"),
    POSE_GRAPH: ("heatmap", "decoder"),
}

#: Form of networks without a backbone (``backbone: none``): motion is made of the body's keypoints, on every frame.
BODY_FORM = "body"
#: Graphs that such a network runs: the heatmaps alone, and all that follows from their keypoints.
LOOK_GRAPH, BODY_GRAPH = "look", "body"
BODY_COMPOSED_OF = {LOOK_GRAPH: ("heatmap",), BODY_GRAPH: ("temporal", "decoder")}
#: Inputs and outputs of its graphs, where they differ from ``GRAPH_IO``.
BODY_IO = {
    "temporal": (("rays", "confidence", "told", "body_cache", "valid"), ("motion", "state")),
    "decoder": (("motion", "rays"), ("joints", "sigma")),
    LOOK_GRAPH: (("frame",), ("heatmaps",)),
    BODY_GRAPH: (("rays", "confidence", "told", "body_cache", "valid"), ("joints", "sigma", "state")),
}

#: Inputs and outputs by graph, or by graph and temporal form. The contract that exporters keep and backends rely on.
GRAPH_IO = {
    "heatmap": (("frame",), ("heatmaps", "tokens")),
    "backbone": (("frame",), ("feature",)),
    "temporal/window": (("features", "valid"), ("motion",)),
    "temporal/causal": (("feature", "conv_cache", "local_cache", "global_cache", "valid"), ("motion", "state")),
    "decoder": (("tokens", "motion"), ("joints",)),
    "pose": (("frame", "motion"), ("joints", "heatmaps")),
    "motion/window": (("frame", "past", "valid"), ("motion", "feature")),
    "motion/causal": (("frame", "conv_cache", "local_cache", "global_cache", "valid"), ("motion", "state")),
    "step/window": (("frame", "past", "valid"), ("joints", "heatmaps", "feature")),
    "step/causal": (("frame", "conv_cache", "local_cache", "global_cache", "valid"), ("joints", "heatmaps", "state")),
}

#: What a GPU's forms have otherwise (``gpu_form.py``): graph, or graph and temporal form -> inputs and outputs.
GPU_IO = {
    "heatmap": (("frame",), ("heatmaps", "tokens", "peaks", "heights")),
    LOOK_GRAPH: (("frame",), ("heatmaps", "peaks", "heights")),
    "temporal/window": (("feature", "ring", "rows", "valid"), ("motion",)),
    "temporal/causal": (("feature", "ring", "rows", "valid"), ("motion", "state")),
}

#: Shapes that are the same in all networks, without the batch size. The others depend on the network.
FIXED_SHAPES = {
    "frame": (256, 256, 3),
    "heatmaps": (len(JOINTS), 64, 64),
    "joints": (len(JOINTS), 3),
    "peaks": (len(JOINTS), 2),
    "heights": (len(JOINTS),),
    "rays": (len(JOINTS), 3),
    "confidence": (len(JOINTS),),
    "sigma": (len(JOINTS),),
}

#: Largest batch size that an engine may take: a frame of every stream at once.
MAX_BATCH = MAX_STREAMS


def graph_io(graph: str, form: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of a graph's inputs and of its outputs, in order. form: ``window``, ``causal`` or ``BODY_FORM``."""
    if form == BODY_FORM and graph in BODY_IO:
        return BODY_IO[graph]
    return GRAPH_IO.get(graph) or GRAPH_IO[f"{graph}/{form}"]


def composed_of(form: str) -> dict[str, tuple[str, ...]]:
    """What each composed graph of a form is made of, in data-flow order."""
    return BODY_COMPOSED_OF if form == BODY_FORM else COMPOSED_OF


def gpu_io(graph: str, temporal: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As ``graph_io``, of the form that GPUs run."""
    return GPU_IO.get(graph) or GPU_IO.get(f"{graph}/{temporal}") or graph_io(graph, temporal)
