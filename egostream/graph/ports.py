"""The contract of the graphs: their names, inputs, outputs, and which are made of which."""

from __future__ import annotations

from egostream.config import MAX_STREAMS

#: The four graphs that own tensors, in data-flow order.
GRAPHS = ("heatmap", "backbone", "temporal", "decoder")


#: Made of them by ``join.py``: a frame's whole way, and its two halves, which meet at the motion feature.
STEP_GRAPH, MOTION_GRAPH, POSE_GRAPH = "step", "motion", "pose"


#: Inputs and outputs by graph and temporal form. The contract that exporters keep and backends rely on.
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


#: Streams that one engine may take at once.
MAX_BATCH = MAX_STREAMS


def graph_io(graph: str, temporal: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Input and output names of a graph."""
    return GRAPH_IO.get(graph) or GRAPH_IO[f"{graph}/{temporal}"]


#: Graphs that are made of others: of which, in data-flow order.
COMPOSED_OF = {
    "step": ("heatmap", "backbone", "temporal", "decoder"),  # a frame's whole way
    "motion": ("backbone", "temporal"),
    "pose": ("heatmap", "decoder"),
}
