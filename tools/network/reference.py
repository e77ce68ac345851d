"""The PyTorch network run the way the stream runs it: what every backend is compared with."""

from __future__ import annotations

import numpy as np
import torch

from tools.network.temporal import BLOCKS, CAUSAL_REACH, LOCAL_BLOCKS


@torch.no_grad()
def graph_inputs(network, graph: str, frames: np.ndarray, batch: int) -> list[dict[str, np.ndarray]]:
    """Inputs of one graph for batches of frames u8 [F, 256, 256, 3]: real frames, and what the network makes of them.

    The past of a window or cache is made of the same frames' features, its oldest third absent.
    """
    spec = network.spec
    T = spec.window
    features = torch.cat([network.backbone(torch.from_numpy(f[None])) for f in frames])
    tokens = torch.cat([network.heatmap(torch.from_numpy(f[None]))[1] for f in frames])
    past = features[torch.arange(T - 1) % len(features)]
    valid = np.arange(T) >= T // 3
    batches = []
    for start in range(0, len(frames) - batch + 1, batch):
        rows = slice(start, start + batch)
        available = {"frame": frames[rows], "feature": features[rows].numpy(), "tokens": tokens[rows].numpy()}
        stack = lambda tensor: np.repeat(tensor.numpy()[None], batch, 0)  # noqa: E731
        if spec.temporal == "causal":
            conv, local, global_ = causal_caches(network.temporal, past)
            available |= {"conv_cache": stack(conv), "local_cache": stack(local), "global_cache": stack(global_)}
            available["valid"] = np.repeat(valid[None, :-1], batch, 0)
            motion = network.temporal.step(
                *(torch.from_numpy(available[k]) for k in ("feature", "conv_cache", "local_cache", "global_cache", "valid"))
            )[0]
        else:
            whole = torch.cat([past, features[rows.start : rows.start + 1]])
            available |= {"past": stack(past), "features": stack(whole)}
            available["valid"] = np.repeat((valid[:-1] if graph == "step" else valid)[None], batch, 0)
            motion = network.temporal.newest(torch.from_numpy(available["features"]), torch.from_numpy(np.repeat(valid[None], batch, 0)))
        available["motion"] = motion.numpy()
        from tools.export_graphs import graph_io

        batches.append({name: np.ascontiguousarray(available[name]) for name in graph_io(graph, spec.temporal)[0]})
    return batches


def causal_caches(encoder, past):
    """Caches that a stream holds after the frames ``past`` [T-1, C], oldest first."""
    C, T1 = past.shape[1], len(past)
    conv = torch.zeros(T1 + 2, BLOCKS, C)  # two absent slots before the first frame
    keys = torch.zeros(T1, BLOCKS, 2, C)
    for n in range(T1):
        local, global_ = caches_at(keys, n, min(CAUSAL_REACH, T1), T1)
        valid = torch.arange(-T1, 0)[None] >= -n
        _, state = encoder.step(past[n : n + 1], conv[n : n + 2].transpose(0, 1)[None], local[None], global_[None], valid)
        conv[n + 2], keys[n] = state[0, :, 0], state[0, :, 1:]
    local, global_ = caches_at(keys, T1, min(CAUSAL_REACH, T1), T1)
    return conv[-2:].transpose(0, 1).contiguous(), local, global_


def caches_at(keys, n, local, T1):
    """Local and global caches before frame n, from all keys and values [T-1, BLOCKS, 2, C]."""
    padded = torch.cat([torch.zeros(T1, *keys.shape[1:]), keys[:n]])[-T1:].permute(1, 2, 0, 3)
    return padded[:LOCAL_BLOCKS, :, -local:].contiguous(), padded[LOCAL_BLOCKS:].contiguous()
