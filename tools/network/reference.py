"""The PyTorch network run the way the stream runs it: what every backend is compared with."""

from __future__ import annotations

import numpy as np
import torch

from egostream.calibration.view import CameraView, InputGeometry
from egostream.graph.peaks import heatmap_peaks
from egostream.graph.ports import BODY_FORM, graph_io
from egostream.told import TOLD
from tools.network.temporal import BLOCKS, CAUSAL_REACH, LOCAL_BLOCKS


@torch.no_grad()
def graph_inputs(network, graph: str, frames: np.ndarray, batch: int) -> list[dict[str, np.ndarray]]:
    """Inputs of one graph for batches of frames u8 [F, 256, 256, 3]: real frames, and what the network makes of them.

    The past of a window or cache is made of the same frames' features, its oldest third absent.
    """
    if network.spec.form == BODY_FORM:
        return [
            body_inputs(network, graph, frames, slice(n, n + batch)) for n in range(0, len(frames) - batch + 1, batch)
        ]
    one_by_one = [torch.from_numpy(frame[None]) for frame in frames]
    features = torch.cat([network.backbone(frame) for frame in one_by_one])
    tokens = torch.cat([network.heatmap(frame)[1] for frame in one_by_one])
    make_past = causal_past if network.spec.temporal == "causal" else window_past
    batches = []
    for start in range(0, len(frames) - batch + 1, batch):
        rows = slice(start, start + batch)
        available = {"frame": torch.from_numpy(frames[rows]), "feature": features[rows], "tokens": tokens[rows]}
        available |= make_past(network, graph, features, rows)
        batches.append(
            {name: np.ascontiguousarray(available[name].numpy()) for name in graph_io(graph, network.spec.temporal)[0]}
        )
    return batches


def body_inputs(network, graph: str, frames: np.ndarray, rows: slice) -> dict[str, np.ndarray]:
    """As ``graph_inputs``, of one batch of a network without a backbone, with nothing told."""
    heatmaps = [network.heatmap(torch.from_numpy(frame[None]))[0][0].numpy() for frame in frames]
    view = CameraView(InputGeometry("canonical", "crop"))
    peaks, heights = (np.stack(found) for found in zip(*(heatmap_peaks(one) for one in heatmaps)))
    rays = torch.from_numpy(view.rays(peaks)[0]).float()
    confidence, told = torch.from_numpy(heights).float(), torch.zeros(len(frames), TOLD)
    T, N = network.spec.window, rows.stop - rows.start
    cache, count = torch.zeros(1, network.spec.depth, 2, T - 1, network.spec.channels), len(frames)
    for n in range(T - 1):
        k = slice(n % count, n % count + 1)
        _, state = network.temporal.step(rays[k], confidence[k], told[k], cache, torch.arange(1 - T, 0)[None] >= -n)
        cache = torch.cat([cache[:, :, :, 1:], state.unsqueeze(3)], 3)
    available = {"frame": torch.from_numpy(frames[rows]), "rays": rays[rows], "confidence": confidence[rows]}
    available |= {"told": told[rows], "body_cache": cache.expand(N, *cache.shape[1:])}
    available |= {"valid": (torch.arange(T - 1) >= T // 3).expand(N, -1)}
    return {name: np.ascontiguousarray(available[name].numpy()) for name in graph_io(graph, BODY_FORM)[0]}


def window_past(network, graph, features, rows) -> dict[str, torch.Tensor]:
    """The temporal inputs of the window form for a batch of newest frames, and the motion they give."""
    T, N = network.spec.window, rows.stop - rows.start
    past = features[torch.arange(T - 1) % len(features)].expand(N, -1, -1)
    whole = torch.cat([past, features[rows].unsqueeze(1)], 1)
    valid = (torch.arange(T) >= T // 3).expand(N, -1)
    motion = network.temporal.newest(whole, valid)
    return {"past": past, "features": whole, "valid": valid if graph == "temporal" else valid[:, :-1], "motion": motion}


def causal_past(network, graph, features, rows) -> dict[str, torch.Tensor]:
    """The temporal inputs of the causal form for a batch of newest frames, and the motion they give."""
    T, N = network.spec.window, rows.stop - rows.start
    caches = causal_caches(network.temporal, features[torch.arange(T - 1) % len(features)])
    conv, local, global_ = (cache.expand(N, *cache.shape) for cache in caches)
    valid = (torch.arange(T - 1) >= T // 3).expand(N, -1)
    motion, _ = network.temporal.step(features[rows], conv, local, global_, valid)
    return {"conv_cache": conv, "local_cache": local, "global_cache": global_, "valid": valid, "motion": motion}


def causal_caches(encoder, past):
    """Caches that a stream holds after the frames ``past`` [T-1, C], oldest first."""
    C, T1 = past.shape[1], len(past)
    conv = torch.zeros(T1 + 2, BLOCKS, C)  # two absent slots before the first frame
    keys = torch.zeros(T1, BLOCKS, 2, C)
    for n in range(T1):
        local, global_ = caches_at(keys, n, min(CAUSAL_REACH, T1), T1)
        valid = torch.arange(-T1, 0)[None] >= -n
        _, state = encoder.step(
            past[n : n + 1], conv[n : n + 2].transpose(0, 1)[None], local[None], global_[None], valid
        )
        conv[n + 2], keys[n] = state[0, :, 0], state[0, :, 1:]
    local, global_ = caches_at(keys, T1, min(CAUSAL_REACH, T1), T1)
    return conv[-2:].transpose(0, 1).contiguous(), local, global_


def caches_at(keys, n, local, T1):
    """Local and global caches before frame n, from all keys and values [T-1, BLOCKS, 2, C]."""
    padded = torch.cat([torch.zeros(T1, *keys.shape[1:]), keys[:n]])[-T1:].permute(1, 2, 0, 3)
    return padded[:LOCAL_BLOCKS, :, -local:].contiguous(), padded[LOCAL_BLOCKS:].contiguous()
