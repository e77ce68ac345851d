#!/usr/bin/env python3
"""Turn the released AG-EgoPose checkpoints into a weights folder.

    python tools/import_checkpoint.py --heatmap heatmap_best.ckpt --embedding heatmap_embedding-best.ckpt \\
        --encoder encoder-best.ckpt --decoder pose-decoder-best.ckpt -o weights/released
    egostream run --source sample --weights weights/released

Strict: a tensor that is missing, unknown or of another shape is an error that names it. Only tensors are read
(``weights_only=True``): a checkpoint cannot run code.
"""

from __future__ import annotations

import argparse
import re
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

try:
    import torch
except ImportError:
    sys.exit("import_checkpoint: PyTorch is needed to read checkpoints. Install it: pip install -e '.[train]'")

from egostream.calibration.view import InputGeometry
from egostream.errors import EgostreamError, first_line
from egostream.graph.ports import GRAPHS
from egostream.graph.weights import Weights, save_weights
from tools.entry import run_tool
from tools.network import NetworkSpec, build_network
from tools.network.export import export_topologies

SPEC = NetworkSpec(variant="released", temporal="window", window=32)
STEM = {"0": "conv1", "1": "bn1"}
WANTED = "Name the file of the AG-EgoPose release, as python tools/import_checkpoint.py --help shows"
#: How a pickle of protocol 2 or later begins, and an archive, which torch.save writes since 2020.
PICKLED, ZIPPED = b"\x80", b"PK\x03\x04"
PART = r"(weight|bias|running_mean|running_var)"

#: What a matched name becomes: a template, a function of the match, or None: known, and unused in the forward pass.
Replacement = str | Callable[[re.Match], str | None] | None
#: Per checkpoint: (pattern, replacement) to our tensor names.
RULES: dict[str, list[tuple[str, Replacement]]] = {
    "heatmap": [
        (r".*\.num_batches_tracked", None),
        (r"backbone\.backbone\.backbone\.fc\..*", None),
        (r"backbone\.backbone\.backbone\.(.+)", r"heatmap/network.encoder.\1"),
        (r"backbone\.backbone\.layer0\.([01])\.(.+)", lambda m: f"heatmap/network.encoder.{STEM[m[1]]}.{m[2]}"),
        (r"backbone\.backbone\.layer1\.1\.(.+)", r"heatmap/network.encoder.layer1.\1"),
        (r"backbone\.backbone\.layer([234])\.(.+)", r"heatmap/network.encoder.layer\1.\2"),
        (r"after_backbone\.(layer0_1x1|conv_up0)\..*", None),
        (r"after_backbone\.layer([1-4])_1x1\.0\.(.+)", lambda m: f"heatmap/network.laterals.{int(m[1]) - 1}.{m[2]}"),
        (r"after_backbone\.conv_up([1-3])\.0\.(.+)", lambda m: f"heatmap/network.ups.{int(m[1]) - 1}.{m[2]}"),
        (r"after_backbone\.conv_heatmap\.(.+)", r"heatmap/network.head.\1"),
    ],
    "embedding": [(r"(conv_layers\.[024]|proj|layer_norm)\.(weight|bias)", r"heatmap/embedding.\1.\2")],
    "encoder": [
        (r".*\.num_batches_tracked", None),
        (r"resnet\.([01])\." + PART, lambda m: f"backbone/resnet.{STEM[m[1]]}.{m[2]}"),
        (r"resnet\.([4-7])\.(.+)", lambda m: f"backbone/resnet.layer{int(m[1]) - 3}.{m[2]}"),
        (r"(linear|bn)\." + PART, r"backbone/\1.\2"),
        (r"actionformer_model\.model\.backbone\.branch\.(\d)\.(.+)", lambda m: block_tensor(m[1], m[2])),
        (r"actionformer_model\.channel_projector\.(weight|bias)", r"temporal/channel_projector.\1"),
        (r"actionformer_model\..*", None),
    ],
    "decoder": [(r"(joint_queries|(?:motion_proj|memory_proj|decoder|pose_head)\..+)", r"decoder/\1")],
}
BLOCK_RULES = [
    (r"(ln[12])\.(weight|bias)", r"\1.\2"),
    (r"attn\.(query|key|value)_conv\.conv\.weight", r"\1.conv.weight"),
    (r"attn\.(query|key|value)_norm\.(weight|bias)", r"\1.norm.\2"),
    (r"attn\.(query|key|value)\.(weight|bias)", r"\1.linear.\2"),
    (r"attn\.proj\.(weight|bias)", r"proj.\1"),
    (r"mlp\.0\.(weight|bias)", r"mlp.0.\1"),
    (r"mlp\.3\.(weight|bias)", r"mlp.2.\1"),
    (r"drop_path_attn\.scale", "scale_attention"),
    (r"drop_path_mlp\.scale", "scale_mlp"),
]


def block_tensor(index: str, name: str) -> str | None:
    """Our name of one ActionFormer block's tensor; None when it has no such tensor."""
    for pattern, replacement in BLOCK_RULES:
        if match := re.fullmatch(pattern, name):
            return f"temporal/blocks.{index}.{match.expand(replacement)}"
    return None


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a checkpoint by their own names. Raises EgostreamError for a file that is none."""
    try:
        with warnings.catch_warnings(action="ignore"):  # advice for those who wrote the file
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise EgostreamError(f"no checkpoint {path}") from None
    except Exception as error:  # of any class: PyTorch reads a stranger's file as a program for its unpickler
        found = what_it_is(path, error)
        raise EgostreamError(f"{path} is not a checkpoint of plain tensors: {found}. {WANTED}") from None
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not state or not all(map(is_named_tensor, state.items())):
        raise EgostreamError(f"{path} is not a state dict: a map from names to tensors is expected. {WANTED}")
    return state


def is_named_tensor(item: tuple[object, object]) -> bool:
    """Whether an item of a mapping is a tensor under a name."""
    name, value = item
    return isinstance(name, str) and isinstance(value, torch.Tensor)


def what_it_is(path: Path, error: Exception) -> str:
    """What a file is that PyTorch does not read, in words. Its own advice, to trust the file, is not repeated."""
    if isinstance(error, OSError):
        return error.strerror or first_line(error)
    with open(path, "rb") as file:
        head = file.read(64)
    if not head:
        return "it is empty"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "it is a safetensors file"
    if head[:1] == PICKLED:
        return "it is a pickle that holds other things than tensors"
    if head.startswith(ZIPPED):
        has_directory = zipfile.is_zipfile(path)
        return "it is an archive that holds other things" if has_directory else "its end is missing, it was cut off"
    return "it is no file of PyTorch"


def rename(kind: str, path: Path, state: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The tensors of one checkpoint under our names, float32. Raises EgostreamError for repeated ones that differ."""
    found: dict[str, np.ndarray] = {}
    for key, tensor in state.items():
        name = our_name(kind, path, key)
        if name is None:
            continue
        value = plain_array(tensor, path, key)
        if name in found and not np.array_equal(found[name], value):
            raise EgostreamError(f"{path}: {key} repeats the tensor {name} with other values; they must agree")
        found[name] = value
    return found


def plain_array(tensor: torch.Tensor, path: Path, key: str) -> np.ndarray:
    """A tensor's numbers, float32. Raises EgostreamError for a sparse, quantised, complex or absent one."""
    if tensor.is_complex() or tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise EgostreamError(f"{path}: {key} is no plain tensor of real numbers. {WANTED}")
    return tensor.detach().float().numpy()


def our_name(kind: str, path: Path, key: str) -> str | None:
    """Our name of a tensor; None: it is not needed. Raises EgostreamError for one that no rule knows."""
    for pattern, replacement in RULES[kind]:
        if match := re.fullmatch(pattern, key):
            if callable(replacement):
                return replacement(match)
            return match.expand(replacement) if replacement else None
    raise EgostreamError(f"{path}: unknown tensor {key}. Is this the {kind} checkpoint?")


def fit_network(found: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Tensors per graph, 1x1 convolutions reshaped to linear layers.

    Raises EgostreamError for a tensor that the network lacks or that is missing.
    """
    network = build_network(SPEC)
    tensors = {}
    for graph in GRAPHS:
        wanted = {
            k: tuple(v.shape)
            for k, v in network.graph(graph).state_dict().items()
            if not k.endswith("num_batches_tracked")
        }
        tensors[graph] = {key: fit_tensor(found, f"{graph}/{key}", shape) for key, shape in wanted.items()}
        extra = {name for name in found if name.startswith(f"{graph}/")} - {f"{graph}/{key}" for key in wanted}
        if extra:
            raise EgostreamError(f"the checkpoints hold {min(extra)}, which the released network has no place for")
    return tensors


def fit_tensor(found: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """One tensor in the network's shape. Raises EgostreamError when it is missing or of another."""
    if name not in found:
        raise EgostreamError(f"the checkpoints lack {name} {list(shape)}")
    value = found[name]
    # Conv1d weights of kernel 1 and channel-last norms differ from ours by axes of length one, and only by those.
    squeeze = lambda sizes: [size for size in sizes if size != 1]  # noqa: E731
    if squeeze(value.shape) != squeeze(shape):
        raise EgostreamError(f"{name} has shape {list(value.shape)}, the released network wants {list(shape)}")
    return value.reshape(shape)


def main(arguments: list[str] | None = None) -> None:
    """Read the four checkpoints, and write the weights folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind in RULES:
        parser.add_argument(f"--{kind}", type=Path, required=True, help=f"the released {kind} checkpoint")
    parser.add_argument("-o", "--output", type=Path, required=True, help="weights folder to write")
    parser.add_argument(
        "--fps",
        type=float,
        default=25.0,
        help="frame rate of the recordings they were trained on; the release does not state it, 25 is assumed",
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.fps <= 1000:
        raise EgostreamError(f"--fps {options.fps}: 1 to 1000 frames per second")
    found: dict[str, np.ndarray] = {}
    for kind in RULES:
        path = getattr(options, kind)
        found |= rename(kind, path, read_state_dict(path))
    weights = Weights(
        network=SPEC.as_dict(),
        step_ms=1000 / options.fps,
        input=InputGeometry("canonical", "squash"),
        trained=True,
        description="AG-EgoPose released checkpoints",
    )
    tensors = fit_network(found)
    print("exporting the graphs ...", file=sys.stderr)
    saved = save_weights(options.output, weights, tensors, export_topologies(build_network(SPEC)))
    print(
        f"wrote {options.output}, weights {saved.id[:12]}. "
        f"Try: egostream run --source sample --weights {options.output}"
    )


if __name__ == "__main__":
    run_tool(main)
