"""A trained network as a weights folder, with its scores."""

from __future__ import annotations

import sys

import torch

from egostream.graph.ports import GRAPHS
from egostream.graph.weights import Weights, save_weights
from tools.evaluation.metrics import mpjpe, pa_mpjpe
from tools.network.export import export_topologies
from tools.network.vision import FEATURE_CHANNELS
from tools.training.feature_cache import plain_tracks
from tools.training.frames import spread
from tools.training.heatmap import load_strictly
from tools.training.pose import CHECKPOINT, load_pose
from tools.training.windows import WindowDataset


def write_weights(options, network, geometry, step_ms: float, windows: WindowDataset) -> None:
    """The best pose of the run and the frozen graphs as a weights folder."""
    tensors, facts = load_pose(options.out / CHECKPOINT)
    heads = {"embedding": network.heatmap.embedding, "temporal": network.temporal, "decoder": network.decoder}
    for name, module in heads.items():
        prefix = f"heads.{name}."
        load_strictly(
            module,
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)},
            options.out / CHECKPOINT,
        )
    backbone = {key.removeprefix("backbone."): value for key, value in tensors.items() if key.startswith("backbone.")}
    if backbone:
        load_strictly(network.backbone, backbone, options.out / CHECKPOINT)
    network.eval().requires_grad_(False)
    metrics = {f"val_{key}": value for key, value in facts.items() if key != "step"} | whole_network_scores(
        network, windows
    )
    print(", ".join(f"{key} {value:.1f}" for key, value in metrics.items()))
    weights = Weights(
        network=network.spec.as_dict(),
        step_ms=step_ms,
        input=geometry,
        trained=True,
        description=options.description,
        metrics=metrics,
    )
    print("exporting the graphs ...", file=sys.stderr)
    saved = save_weights(options.out / "weights", weights, graph_tensors(network), export_topologies(network))
    print(
        f"wrote {options.out / 'weights'}, weights {saved.id[:12]}. Try: egostream run --source sample --weights {options.out / 'weights'}"
    )


def graph_tensors(network) -> dict[str, dict]:
    return {
        name: {
            k: v.float().numpy()
            for k, v in network.graph(name).state_dict().items()
            if not k.endswith("num_batches_tracked")
        }
        for name in GRAPHS
    }


@torch.inference_mode()
def whole_network_scores(network, windows: WindowDataset, count: int = 4) -> dict:
    """Errors of the whole fp32 network on a few validation windows, from the frames: no cache, no rounding."""
    frames, results = windows.frames, []
    plain = WindowDataset(plain_tracks(frames), windows.T, windows.stride, windows.step_ms, 1, frames=frames)
    for row in spread(len(plain), count):
        sample = {key: torch.as_tensor(value).unsqueeze(0) for key, value in plain[int(row), 0].items()}
        valid = sample["valid"]
        features = torch.zeros(1, windows.T, FEATURE_CHANNELS)
        features[valid] = torch.cat([network.backbone(frame) for frame in sample["frames"][valid].split(8)])
        motion = network.temporal(features, valid)[:, -1]
        _, tokens = network.heatmap(sample["frames"][:, -1])
        if not sample["weight"][0, -1]:
            continue  # its picture cannot be read
        results.append((network.decoder(tokens, motion).numpy(), sample["joints"][:, -1].numpy()))
    if not results:
        return {}
    estimated, truth = (torch.cat([torch.as_tensor(r[i]) for r in results]).numpy() for i in (0, 1))
    return {
        "whole_mpjpe_mm": mpjpe(estimated, truth),
        "whole_pa_mpjpe_mm": pa_mpjpe(estimated, truth),
        "whole_windows": len(results),
    }
