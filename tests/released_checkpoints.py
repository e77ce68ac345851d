"""Look-alikes of the released checkpoints, and the released network written out from its description.

Independent of tools/network: plain ``torch.nn.functional`` over the checkpoints' own keys.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torchvision.models import resnet18, resnet50

ROOT = Path(__file__).resolve().parents[1]
BLOCKS = 7


def make_checkpoints(seed: int = 0) -> dict[str, dict[str, torch.Tensor]]:
    """The four state dicts under their released names, with random tensors, unused extras included."""
    torch.manual_seed(seed)
    return {"heatmap": heatmap(), "embedding": embedding(), "encoder": encoder(), "decoder": decoder()}


def lively(module) -> dict[str, torch.Tensor]:
    """A state dict whose norms are not the identity, so that a forgotten one shows."""
    state = module.state_dict()
    for key, value in state.items():
        if key.endswith("running_var"):
            state[key] = torch.rand_like(value) + 0.5
        elif key.endswith("running_mean") or (key.endswith("bias") and "bn" in key):
            state[key] = torch.randn_like(value) * 0.1
    return state


def conv(out, inp, *kernel):
    fan_in = inp * int(torch.tensor(kernel).prod()) if kernel else inp
    return torch.randn(out, inp, *kernel) * (2 / fan_in) ** 0.5


def heatmap():
    net = lively(resnet18())
    state = {f"backbone.backbone.backbone.{k}": v for k, v in net.items()}
    for k, v in net.items():
        head, _, rest = k.partition(".")
        if head in ("conv1", "bn1"):
            state[f"backbone.backbone.layer0.{'0' if head == 'conv1' else '1'}.{rest}"] = v
        elif head == "layer1":
            state[f"backbone.backbone.layer1.1.{rest}"] = v
        elif head.startswith("layer"):
            state[f"backbone.backbone.{k}"] = v
    widths = {1: 64, 2: 128, 3: 256, 4: 512}
    for i, width in widths.items():
        state[f"after_backbone.layer{i}_1x1.0.weight"] = conv(width, width, 1, 1)
        state[f"after_backbone.layer{i}_1x1.0.bias"] = torch.randn(width) * 0.1
    for i in (3, 2, 1):
        state[f"after_backbone.conv_up{i}.0.weight"] = conv(widths[i], widths[i] + widths[i + 1], 3, 3)
        state[f"after_backbone.conv_up{i}.0.bias"] = torch.randn(widths[i]) * 0.1
    state["after_backbone.conv_heatmap.weight"], state["after_backbone.conv_heatmap.bias"] = (
        conv(15, 64, 1, 1),
        torch.randn(15),
    )
    state["after_backbone.layer0_1x1.0.weight"], state["after_backbone.conv_up0.0.weight"] = (
        conv(64, 64, 1, 1),
        conv(64, 128, 3, 3),
    )
    return state


def embedding():
    state = {}
    for i, (out, inp) in {0: (16, 1), 2: (32, 16), 4: (64, 32)}.items():
        state[f"conv_layers.{i}.weight"], state[f"conv_layers.{i}.bias"] = conv(out, inp, 3, 3), torch.randn(out) * 0.1
    state |= {"proj.weight": conv(128, 1024), "proj.bias": torch.randn(128)}
    return state | {"layer_norm.weight": torch.rand(128) + 0.5, "layer_norm.bias": torch.randn(128) * 0.1}


def encoder():
    net = lively(resnet50())
    number = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    state = {
        f"resnet.{number[k.partition('.')[0]]}.{k.partition('.')[2]}": v
        for k, v in net.items()
        if not k.startswith("fc")
    }
    state |= {"linear.weight": conv(384, 2048), "linear.bias": torch.randn(384) * 0.1}
    state |= {f"bn.{k}": v for k, v in lively(torch.nn.BatchNorm1d(384)).items()}
    for i in range(BLOCKS):
        p = f"actionformer_model.model.backbone.branch.{i}."
        for ln in ("ln1", "ln2"):
            state |= {f"{p}{ln}.weight": torch.rand(1, 384, 1) + 0.5, f"{p}{ln}.bias": torch.randn(1, 384, 1) * 0.1}
        for name in ("query", "key", "value"):
            state[f"{p}attn.{name}_conv.conv.weight"] = torch.randn(384, 1, 3)
            state |= {
                f"{p}attn.{name}_norm.weight": torch.rand(1, 384, 1) + 0.5,
                f"{p}attn.{name}_norm.bias": torch.randn(1, 384, 1) * 0.1,
            }
            state |= {f"{p}attn.{name}.weight": conv(384, 384, 1), f"{p}attn.{name}.bias": torch.randn(384) * 0.1}
        state |= {f"{p}attn.proj.weight": conv(384, 384, 1), f"{p}attn.proj.bias": torch.randn(384) * 0.1}
        state |= {f"{p}mlp.0.weight": conv(1536, 384, 1), f"{p}mlp.0.bias": torch.randn(1536) * 0.1}
        state |= {f"{p}mlp.3.weight": conv(384, 1536, 1), f"{p}mlp.3.bias": torch.randn(384) * 0.1}
        state |= {f"{p}drop_path_attn.scale": torch.rand(1, 384, 1), f"{p}drop_path_mlp.scale": torch.rand(1, 384, 1)}
    state |= {
        "actionformer_model.channel_projector.weight": conv(384, 1920, 1),
        "actionformer_model.channel_projector.bias": torch.randn(384),
    }
    return state | {"actionformer_model.model.cls_head.cls_head.conv.weight": torch.randn(3, 384, 3)}


def decoder():
    reference = torch.nn.TransformerDecoder(torch.nn.TransformerDecoderLayer(128, 4, 512, batch_first=True), 3)
    state = {f"decoder.{k}": v for k, v in reference.state_dict().items()}
    state |= {
        "joint_queries": torch.randn(15, 128),
        "motion_proj.weight": conv(128, 384),
        "motion_proj.bias": torch.randn(128) * 0.1,
    }
    for i, (out, inp) in {0: (128, 256), 2: (128, 128)}.items():
        state |= {f"memory_proj.{i}.weight": conv(out, inp), f"memory_proj.{i}.bias": torch.randn(out) * 0.1}
    for i, (out, inp) in {0: (128, 128), 3: (64, 128), 6: (3, 64)}.items():
        state |= {f"pose_head.{i}.weight": conv(out, inp), f"pose_head.{i}.bias": torch.randn(out) * 0.1}
    return state


def save_checkpoints(folder: Path, checkpoints) -> list[str]:
    """Write them; returns the importer's flags."""
    flags = []
    for kind, state in checkpoints.items():
        torch.save(state, folder / f"{kind}.ckpt")
        flags += [f"--{kind}", str(folder / f"{kind}.ckpt")]
    return flags


def run_importer(folder: Path, checkpoints, output: Path) -> subprocess.CompletedProcess:
    flags = save_checkpoints(folder, checkpoints)
    command = [sys.executable, "tools/import_checkpoint.py", *flags, "-o", str(output)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def import_lookalikes(folder: Path) -> Path:
    done = run_importer(folder, make_checkpoints(), folder / "weights")
    assert done.returncode == 0, done.stderr
    return folder / "weights"


# -- the released network, from its description ------------------------------------------------------------------------


def channel_norm(x, weight, bias):
    """LayerNorm over channels of [C, T]."""
    mean = x.mean(0, keepdim=True)
    var = ((x - mean) ** 2).mean(0, keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-5) * weight[0] + bias[0]


def reference_block(x, p, is_local):
    """One stride-2 block on a full window x [C, T] -> [C, T/2]."""
    h = channel_norm(x, p["ln1.weight"], p["ln1.bias"])
    qkv = []
    for name in ("query", "key", "value"):
        y = F.conv1d(h[None], p[f"attn.{name}_conv.conv.weight"], stride=2, padding=1, groups=384)[0]
        y = channel_norm(y, p[f"attn.{name}_norm.weight"], p[f"attn.{name}_norm.bias"])
        qkv.append(F.conv1d(y[None], p[f"attn.{name}.weight"], p[f"attn.{name}.bias"])[0])
    q, k, v = (y.reshape(4, 96, -1) for y in qkv)
    L = q.shape[-1]
    out = torch.zeros_like(q)
    for t in range(L):  # frame by frame: what local means is plain to see
        keys = range(max(0, t - 4), min(L, t + 5)) if is_local else range(L)
        scores = torch.einsum("hc,hct->ht", q[:, :, t], k[:, :, list(keys)]) / 96**0.5
        out[:, :, t] = torch.einsum("ht,hct->hc", scores.softmax(-1), v[:, :, list(keys)])
    attention = F.conv1d(out.reshape(1, 384, L), p["attn.proj.weight"], p["attn.proj.bias"])[0]
    x = F.max_pool1d(x[None], 3, stride=2, padding=1)[0] + p["drop_path_attn.scale"][0] * attention
    h = channel_norm(x, p["ln2.weight"], p["ln2.bias"])
    h = F.conv1d(F.gelu(F.conv1d(h[None], p["mlp.0.weight"], p["mlp.0.bias"])), p["mlp.3.weight"], p["mlp.3.bias"])[0]
    return x + p["drop_path_mlp.scale"][0] * h


def reference_motion(state, features):
    """Released temporal branch: features [32, 384] -> motion of every frame [32, 384]."""
    x, outputs = features.T, []
    for i in range(BLOCKS):
        prefix = f"actionformer_model.model.backbone.branch.{i}."
        p = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        L, is_local = x.shape[1], i < 2
        if L < (8 if is_local else 2) or L % (8 if is_local else 2):
            continue
        x = reference_block(x, p, is_local)
        outputs.append(F.interpolate(x[None], size=32, mode="nearest")[0])
    fused = F.conv1d(
        torch.cat(outputs)[None],
        state["actionformer_model.channel_projector.weight"],
        state["actionformer_model.channel_projector.bias"],
    )
    return fused[0].T


def reference_heatmaps(state, frames):
    """Released heatmap network: normalised frames [N, 3, 256, 256] -> heatmaps [N, 15, 64, 64]."""
    net = resnet18()
    prefix = "backbone.backbone.backbone."
    net.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    net.eval()
    x = net.maxpool(net.relu(net.bn1(net.conv1(frames))))
    outputs = {}
    for i in range(1, 5):
        x = getattr(net, f"layer{i}")(x)
        w, b = state[f"after_backbone.layer{i}_1x1.0.weight"], state[f"after_backbone.layer{i}_1x1.0.bias"]
        outputs[i] = F.leaky_relu(F.conv2d(x, w, b), 0.2)
    y = outputs[4]
    for i in (3, 2, 1):
        y = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
        w, b = state[f"after_backbone.conv_up{i}.0.weight"], state[f"after_backbone.conv_up{i}.0.bias"]
        y = F.leaky_relu(F.conv2d(torch.cat([y, outputs[i]], 1), w, b, padding=1), 0.2)
    return torch.sigmoid(
        F.conv2d(y, state["after_backbone.conv_heatmap.weight"], state["after_backbone.conv_heatmap.bias"])
    )


def reference_tokens(state, heatmaps):
    """Released joint embedding: heatmaps [N, 15, 64, 64] -> tokens [N, 15, 128], one joint at a time."""
    tokens = []
    for j in range(15):
        y = heatmaps[:, j : j + 1]
        for i, stride in ((0, 1), (2, 2), (4, 2)):
            y = F.relu(
                F.conv2d(y, state[f"conv_layers.{i}.weight"], state[f"conv_layers.{i}.bias"], stride=stride, padding=1)
            )
        y = F.linear(F.adaptive_avg_pool2d(y, 4).flatten(1), state["proj.weight"], state["proj.bias"])
        tokens.append(F.layer_norm(y, (128,), state["layer_norm.weight"], state["layer_norm.bias"]))
    return torch.stack(tokens, 1)


def reference_feature(state, frames):
    """Released motion backbone: normalised frames [N, 3, 256, 256] -> features [N, 384]."""
    net = resnet50()
    name = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
    tensors = {}
    for k, v in state.items():
        if k.startswith("resnet."):
            _, number, rest = k.split(".", 2)
            tensors[f"{name[number]}.{rest}"] = v
    net.load_state_dict(tensors, strict=False)
    net.fc = torch.nn.Identity()
    y = F.linear(net.eval()(frames), state["linear.weight"], state["linear.bias"])
    return F.batch_norm(y, state["bn.running_mean"], state["bn.running_var"], state["bn.weight"], state["bn.bias"])


def reference_joints(state, tokens, motion):
    """Released decoder: tokens [N, 15, 128], motion [N, 384] -> joints [N, 15, 3]."""
    layer = torch.nn.TransformerDecoderLayer(128, 4, 512, batch_first=True)
    decoder = torch.nn.TransformerDecoder(layer, 3).eval()
    decoder.load_state_dict({k.removeprefix("decoder."): v for k, v in state.items() if k.startswith("decoder.")})
    linear = lambda x, name: F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])
    tiled = linear(motion, "motion_proj")[:, None].repeat(1, 15, 1)
    memory = linear(F.relu(linear(torch.cat([tokens, tiled], 2), "memory_proj.0")), "memory_proj.2")
    y = decoder(state["joint_queries"][None].repeat(len(tokens), 1, 1), memory)
    for i in (0, 3):
        y = F.leaky_relu(linear(y, f"pose_head.{i}"), 0.1)
    return linear(y, "pose_head.6")
