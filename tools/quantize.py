#!/usr/bin/env python3
"""Find the int8 scales of a weights folder, and what int8 costs. One table serves OpenVINO, ONNX Runtime and TensorRT.

    python tools/quantize.py runs/pose/weights                                      # on the bundled sample
    python tools/quantize.py runs/pose/weights --frames my-clip.mp4 --calibration my_headset.json
    egostream run --camera 0 --precision int8 --weights runs/pose/weights

Frames of your own camera, in its own light, are the best: a few seconds will do. They are streamed through the fp32
network, every layer's input is sampled, and the scale with the least squared error is kept. When int8 moves the joints
by more than --max-mm on these frames, the layers that cost most stay in floating point, and are named.
Writes int8.json into the weights folder. ONNX Runtime is needed: pip install onnxruntime
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import track

from egostream.calibration.file import load_calibration
from egostream.calibration.view import CameraView
from egostream.engine.backend_onnxruntime import BACKEND as ONNXRUNTIME
from egostream.engine.backends import installed
from egostream.engine.build import build_engine, engine_name
from egostream.engine.contract import Engine, EngineManifest
from egostream.engine.load import read_manifest
from egostream.errors import EgostreamError
from egostream.graph.bind import bind_graph
from egostream.graph.default_weights import default_weights
from egostream.graph.int8 import best_scale, layer_name, prepared, quantizable_layers, with_qdq_nodes
from egostream.graph.ports import BODY_FORM, BODY_GRAPH, GRAPHS, LOOK_GRAPH, STEP_GRAPH
from egostream.graph.scales import FILE, Quantization, save_quantization
from egostream.graph.weights import Weights, load_weights
from egostream.infer.estimator import Estimator
from egostream.infer.every_frame import EveryFrameEstimator
from egostream.infer.from_body import BodyEstimator
from egostream.infer.look import LookOnProcessor
from egostream.types import NetworkInput
from tools.data.frames import SAMPLE, read_frames
from tools.entry import run_tool

SAMPLES = 4096  # values kept of one activation and frame; chosen by hand, not measured
CONSOLE = Console(stderr=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", type=Path, help="weights folder (default: the shipped ones)")
    parser.add_argument("--frames", type=Path, help="video or image folder (the bundled sample)")
    parser.add_argument("--calibration", type=Path, help="of the camera that took them (the canonical one)")
    parser.add_argument("--count", type=int, default=64, help="frames used, from the beginning of those given (64)")
    parser.add_argument("--max-mm", type=float, default=3.0, help="mean movement of the joints that int8 may cost (3)")
    parser.add_argument("--json", action="store_true", help="print the cost as JSON")
    options = parser.parse_args(arguments)
    if options.count < 2:
        raise EgostreamError(f"--count {options.count}: at least 2 frames")
    return options


def open_session(model):
    """ONNX Runtime on the CPU, quiet."""
    return installed(ONNXRUNTIME).session(model.SerializeToString())


class Stream:
    """Frames of one recording through the runtime's estimator, on an ONNX model of the graph that sees them."""

    def __init__(self, weights: Weights, images: list[np.ndarray], fps: float):
        self.weights, self.images, self.fps = weights, images, fps

    def run(self, model=None) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
        """Joints [N, 15, 3] of every frame, and what that graph was given for each. model: None for fp32."""
        estimator, inputs = self.estimator(model)
        joints, given = [], []
        for seq, image in enumerate(self.images):
            t_ns = round(seq * 1e9 / self.fps)
            joints.append(estimator.estimate(NetworkInput(seq, 0, t_ns, image, {}, 0)).joints)
            given.append({name: value.copy() for name, value in inputs.items()})
        return np.stack(joints), given

    def estimator(self, model=None) -> tuple[Estimator, dict[str, np.ndarray]]:
        """The estimator on such a model, and the arrays that its graph reads."""
        view, step_ns = CameraView(self.weights.input), self.weights.step_ns
        if self.weights.form == BODY_FORM:
            look = LookOnProcessor({1: self.engine(LOOK_GRAPH, model)})
            return BodyEstimator(look, {1: self.engine(BODY_GRAPH)}, step_ns, [view]), look.runners[1][1]
        every_frame = EveryFrameEstimator({1: self.engine(STEP_GRAPH, model)}, step_ns, [view])
        return every_frame, every_frame.runners[1][1]

    def engine(self, graph: str, model=None) -> tuple[Engine, EngineManifest]:
        """A graph for one stream. model: None for fp32."""
        runner = installed(ONNXRUNTIME)
        with tempfile.TemporaryDirectory() as folder:
            path = build_engine(self.weights, graph, runner, "fp32", 1, Path(folder), model)
            manifest = read_manifest(Path(folder) / engine_name(graph, runner, "fp32", 1))
            return runner.load(path, manifest, 0), manifest


def seeing_graph(weights: Weights) -> str:
    """The graph that sees the frames, which int8 is judged on."""
    return LOOK_GRAPH if weights.form == BODY_FORM else STEP_GRAPH


def graph_feeds(weights: Weights, given: list[dict]) -> dict[str, list[dict]]:
    """What each graph is given for every frame, from what the one that sees frames was given: five graphs, or one."""
    if weights.form == BODY_FORM:
        return {LOOK_GRAPH: given}
    feeds: dict[str, list[dict]] = {graph: [] for graph in (*GRAPHS, STEP_GRAPH)}
    sessions = {graph: open_session(bind_graph(weights, graph)) for graph in ("heatmap", "backbone", "temporal")}
    for inputs in given:
        frame = {"frame": inputs["frame"]}
        _, tokens = sessions["heatmap"].run(["heatmaps", "tokens"], frame)
        (feature,) = sessions["backbone"].run(["feature"], frame)
        if weights.temporal == "window":
            past = np.concatenate([inputs["past"], feature[:, None]], 1)
            valid = inputs.get("valid", np.zeros(inputs["past"].shape[:2], bool))
            state = {"features": past, "valid": np.concatenate([valid, np.ones((1, 1), bool)], 1)}
        else:
            state = {"feature": feature, **{name: value for name, value in inputs.items() if name != "frame"}}
        (motion,) = sessions["temporal"].run(["motion"], known(sessions["temporal"], state))
        for graph, feed in zip(
            (*GRAPHS, STEP_GRAPH), (frame, frame, state, {"tokens": tokens, "motion": motion}, inputs)
        ):
            feeds[graph].append(feed)
    return feeds


def known(session, feed: dict) -> dict:
    """A feed without what the graph does not read: a network may lack one of its branches."""
    names = {port.name for port in session.get_inputs()}
    return {name: value for name, value in feed.items() if name in names}


def measure(model, feeds: list[dict]) -> dict[str, float]:
    """The scale of every layer input of a prepared graph, over these frames."""
    import onnx

    wanted = sorted({node.input[0] for node in quantizable_layers(model).values()})
    seen = onnx.ModelProto.FromString(model.SerializeToString())
    own = {output.name for output in seen.graph.output} | {port.name for port in seen.graph.input}
    seen.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in own)
    session, rng = open_session(seen), np.random.default_rng(0)
    samples: dict[str, list[np.ndarray]] = {name: [] for name in wanted}
    largest = dict.fromkeys(wanted, 0.0)
    for feed in feeds:
        inside = [name for name in wanted if name not in feed]
        values = dict(zip(inside, session.run(inside, known(session, feed)))) | {
            name: feed[name] for name in wanted if name in feed
        }
        for name, value in values.items():
            flat = value.ravel()
            largest[name] = max(largest[name], float(np.abs(flat).max()))
            samples[name].append(flat if flat.size <= SAMPLES else flat[rng.integers(0, flat.size, SAMPLES)])
    return {name: best_scale(np.concatenate(samples[name]), largest[name]) for name in wanted}


def layer_costs(model, scales: dict[str, float], feeds: list[dict]) -> dict[str, float]:
    """By how many mm the joints move when one layer alone is quantised; of a graph without joints, its heatmaps."""
    output = model.graph.output[0].name
    names = sorted(
        {layer_name(weight) for weight, node in quantizable_layers(model).items() if node.input[0] in scales}
    )
    session = open_session(model)
    expected = [session.run([output], known(session, feed))[0] for feed in feeds]
    costs = {}
    for name in track(names, "layers one by one", console=CONSOLE):
        session = open_session(with_qdq_nodes(model, scales, kept=set(names) - {name}))
        moved = [session.run([output], known(session, feed))[0] - e for feed, e in zip(feeds, expected)]
        costs[name] = 1000 * float(np.linalg.norm(moved, axis=-1).mean())
    return costs


def choose_layers(
    stream: Stream, model, scales: dict[str, float], expected: np.ndarray, feeds: list[dict], max_mm: float
):
    """Layers to keep in floating point, and by how many mm the joints move then [N, 15].

    Their number is doubled until the mean is at most ``max_mm``. Signed values are judged, which TensorRT computes
    with; uint8 is finer.
    """
    kept: list[str] = []
    ranked: list[str] = []
    while True:
        joints, _ = stream.run(with_qdq_nodes(model, scales, kept=set(kept)))
        moved = 1000 * np.linalg.norm(joints - expected, axis=-1)
        if moved.mean() <= max_mm or len(kept) == len(ranked) > 0:
            return kept, moved
        CONSOLE.print(
            f"int8 moves the joints by {moved.mean():.2f} mm, more than {max_mm:g}, "
            f"with {len(kept)} layers in floating point"
        )
        if not ranked:
            costs = layer_costs(model, scales, feeds[:: max(1, len(feeds) // 4)])
            ranked = sorted(costs, key=costs.__getitem__, reverse=True)
        kept = ranked[: min(len(ranked), max(1, 2 * len(kept)))]


def main(arguments: list[str] | None = None) -> None:
    options = parse(arguments)
    weights = load_weights(options.weights) if options.weights else default_weights()
    calibration = load_calibration(options.calibration) if options.calibration else None
    source = options.frames or SAMPLE
    images, fps = read_frames(source, weights, calibration, options.count)
    stream = Stream(weights, images, fps)
    CONSOLE.print(f"{len(images)} frames of {source}")
    expected, given = stream.run()
    feeds, scales = graph_feeds(weights, given), {}
    seeing = seeing_graph(weights)
    for graph in track(list(feeds), "sampling", console=CONSOLE):
        scales[graph] = measure(prepared(bind_graph(weights, graph)), feeds[graph])
    kept, moved = choose_layers(
        stream,
        prepared(bind_graph(weights, seeing)),
        scales[seeing],
        expected,
        feeds[seeing],
        options.max_mm,
    )
    cost = {"mean_mm": float(moved.mean()), "p99_mm": float(np.percentile(moved, 99)), "worst_mm": float(moved.max())}
    table = Quantization(
        weights_id=weights.id,
        scales=scales,
        kept=kept,
        frames=len(images),
        source=Path(source).name,
        cost=cost,
    )
    save_quantization(weights, table)
    report(weights, table, options.json)


def report(weights: Weights, table: Quantization, as_json: bool) -> None:
    """Say what int8 costs, and which layers stay in floating point."""
    if as_json:
        print(json.dumps({"weights": weights.id, "kept": table.kept, "frames": table.frames, **table.cost}, indent=1))
        return
    CONSOLE.print(
        f"int8 moves the joints by {table.cost['mean_mm']:.2f} mm "
        f"(99% below {table.cost['p99_mm']:.1f}, worst {table.cost['worst_mm']:.1f})"
        f" against fp32, over {table.frames} frames and all joints"
    )
    CONSOLE.print(
        f"in floating point: {', '.join(table.kept)}" if table.kept else "every layer is quantised", markup=False
    )
    print(f"wrote {weights.path(FILE)}. Try: egostream run --source sample --precision int8 --weights {weights.folder}")


if __name__ == "__main__":
    run_tool(main, stopped="stopped; nothing was written")
