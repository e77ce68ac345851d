"""The temporal graph: ActionFormer blocks over a causal window of features, in three forms.

``WindowEncoder`` (paper, bidirectional inside the past T), ``CausalEncoder`` (paper, causal
attention with cached keys and values) and ``ReleasedEncoder`` (the authors' strided pyramid).
An absent slot behaves exactly as the zero padding beyond the window's ends: it enters no
convolution, no key and no value.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tools.network.vision import FEATURE_CHANNELS

HEADS = 4
LOCAL_REACH = 4  # w/2 with the paper's w = 8: a frame sees 4 frames to either side
CAUSAL_REACH = 2 * LOCAL_REACH  # the same nine keys, all of them past
LOCAL_BLOCKS, BLOCKS = 4, 8
#: Added to the score of a masked key. Finite, so that a row without any key stays finite; within fp16.
MASKED = -3e4


class DepthwiseConv(nn.Module):
    """Depthwise conv1d, kernel 3, no bias, as three shifted products over [B, T, C] (equal to ``nn.Conv1d``)."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 1, 3).uniform_(-(3**-0.5), 3**-0.5))

    def forward(self, before, here, after):
        w = self.weight[:, 0]
        return before * w[:, 0] + here * w[:, 1] + after * w[:, 2]


class Projection(nn.Module):
    """Depthwise conv -> LayerNorm -> pointwise: one of q, k, v."""

    def __init__(self, channels):
        super().__init__()
        self.conv = DepthwiseConv(channels)
        self.norm = nn.LayerNorm(channels)
        self.linear = nn.Linear(channels, channels)

    def forward(self, before, here, after):
        return self.linear(self.norm(self.conv(before, here, after)))


def attend(q, k, v, bias):
    """Multi-head attention. q [B, Q, C], k and v [B, K, C], bias broadcast to [B, 1, Q, K] -> [B, Q, C]."""
    q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (q, k, v))  # [B, heads, *, C/heads]
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)


class Block(nn.Module):
    """Pre-LN ActionFormer block: x + a * attention, then x + b * MLP, with per-channel scales a and b."""

    def __init__(self, channels=FEATURE_CHANNELS):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.query, self.key, self.value = (Projection(channels) for _ in range(3))
        self.proj = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.scale_attention = nn.Parameter(torch.full((channels,), 1e-4))
        self.scale_mlp = nn.Parameter(torch.full((channels,), 1e-4))

    def finish(self, skip, attention):
        """Output projection, both residuals and the MLP."""
        x = skip + self.scale_attention * self.proj(attention)
        return x + self.scale_mlp * self.mlp(self.ln2(x))


def neighbours(x, stride=1):
    """[B, T, C] -> the three taps of a zero-padded kernel-3 convolution centred on every ``stride``-th row."""
    padded = F.pad(x, (0, 0, 1, 1))
    T = x.shape[1]
    return tuple(padded[:, i : i + T : stride] for i in range(3))


def band(T, lowest, highest, device):
    """Boolean [T, T]: query i may see key j when lowest <= j - i <= highest."""
    places = torch.arange(T, device=device)
    offset = places[None, :] - places[:, None]
    return (offset >= lowest) & (offset <= highest)


def everywhere(queries, keys, device):
    """Boolean [queries, keys]: all may be seen."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device)


def score_bias(allowed, valid):
    """Additive bias [B, 1, Q, K] from an allowed pattern [Q, K] and valid keys [B, K]."""
    seen = allowed[None] & valid[:, None, :]
    return torch.where(seen, 0.0, MASKED).unsqueeze(1)


class WindowEncoder(nn.Module):
    """features [B, T, 384], valid [B, T] -> motion [B, T, 384]; ``newest`` computes the last row only."""

    def __init__(self, window):
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))

    def forward(self, features, valid, newest_only=False):
        keep = valid.unsqueeze(-1).to(features.dtype)  # [B, T, 1]
        T = features.shape[1]
        local = score_bias(band(T, -LOCAL_REACH, LOCAL_REACH, valid.device), valid)
        everything = score_bias(everywhere(T, T, valid.device), valid)
        x = features * keep
        for i, block in enumerate(self.blocks):
            rows = slice(-1, None) if newest_only and i == BLOCKS - 1 else slice(None)
            bias = (local if i < LOCAL_BLOCKS else everything)[:, :, rows]
            taps = neighbours(block.ln1(x) * keep)
            q = block.query(*(tap[:, rows] for tap in taps))
            x = block.finish(x[:, rows], attend(q, block.key(*taps), block.value(*taps), bias))
        return x

    def newest(self, features, valid):
        """motion [B, 384] for the newest frame. The last block's other rows would go unused: they are never made."""
        return self(features, valid, newest_only=True)[:, -1]


class CausalEncoder(nn.Module):
    """The same blocks with left-padded convolutions and causal sliding-window attention.

    Local blocks see the newest 9 frames, global ones the newest T. ``forward`` runs a whole
    sequence (training), ``step`` one frame on caches; both give the same numbers.
    """

    def __init__(self, window):
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(Block() for _ in range(BLOCKS))

    def reach(self, i):
        """How many past frames block i attends to."""
        return min(CAUSAL_REACH, self.window - 1) if i < LOCAL_BLOCKS else self.window - 1

    def forward(self, features, valid):
        keep = valid.unsqueeze(-1).to(features.dtype)
        T = features.shape[1]
        x = features * keep
        for i, block in enumerate(self.blocks):
            padded = F.pad(block.ln1(x) * keep, (0, 0, 2, 0))
            taps = tuple(padded[:, j : j + T] for j in range(3))
            bias = score_bias(band(T, -self.reach(i), 0, valid.device), valid)
            x = block.finish(x, attend(block.query(*taps), block.key(*taps), block.value(*taps), bias))
        return x

    def step(self, feature, conv_cache, local_cache, global_cache, valid):
        """One frame. Caches hold past slots at the trained step, oldest first.

        feature [N, C]; conv_cache [N, 8, 2, C] (each block's normalised input two and one steps ago);
        local_cache [N, 4, 2, 8, C] and global_cache [N, 4, 2, T-1, C] (keys, values); valid [N, T-1].
        Returns motion [N, C] and state [N, 8, 3, C]: this frame's normalised input, key and value per
        block, to be kept for later frames.
        """
        keep = valid.unsqueeze(-1).to(feature.dtype)
        here = torch.ones_like(valid[:, :1])
        x, state = feature.unsqueeze(1), []
        for i, block in enumerate(self.blocks):
            reach = self.reach(i)
            seen = torch.cat([valid[:, -reach:], here], 1)
            bias = score_bias(everywhere(1, reach + 1, valid.device), seen)
            normed = block.ln1(x)
            past = conv_cache[:, i] * keep[:, -2:]
            taps = past[:, :1], past[:, 1:], normed
            k, v = block.key(*taps), block.value(*taps)
            cache = local_cache[:, i] if i < LOCAL_BLOCKS else global_cache[:, i - LOCAL_BLOCKS]
            keys, values = torch.cat([cache[:, 0], k], 1), torch.cat([cache[:, 1], v], 1)
            x = block.finish(x, attend(block.query(*taps), keys, values, bias))
            state.append(torch.cat([normed, k, v], 1))
        return x[:, 0], torch.stack(state, 1)


class ReleasedEncoder(nn.Module):
    """The authors' released branch: seven stride-2 blocks, skipped when the length no longer fits.

    Every block's output is upsampled to T (nearest), all are concatenated and fused to 384 channels.
    """

    def __init__(self, window=32):
        super().__init__()
        self.window = window
        self.blocks = nn.ModuleList(Block() for _ in range(7))
        scales = len(self.schedule(window))
        self.channel_projector = nn.Linear(FEATURE_CHANNELS * scales, FEATURE_CHANNELS)

    @staticmethod
    def schedule(T):
        """The blocks that run at window length T, as (index, is_local): two local ones, then global."""
        runs = []
        for i in range(7):
            is_local = i < 2
            if T % (8 if is_local else 2) == 0 and T >= 2:
                runs.append((i, is_local))
                T //= 2
        return runs

    def scales(self, features, valid):
        """Each running block's output [B, T/2^i, C], coarser and coarser."""
        keep = valid.unsqueeze(-1).to(features.dtype)
        x, outputs = features * keep, []
        for i, is_local in self.schedule(features.shape[1]):
            block = self.blocks[i]
            taps = neighbours(block.ln1(x) * keep, stride=2)
            skip = self.pool(x, valid)
            # A strided slot is present when any frame under its kernel is: so the newest one always is.
            valid = F.max_pool1d(valid.to(x.dtype).unsqueeze(1), 3, 2, 1)[:, 0] > 0.5
            keep = valid.unsqueeze(-1).to(x.dtype)
            T = skip.shape[1]
            allowed = band(T, -LOCAL_REACH, LOCAL_REACH, valid.device) if is_local else everywhere(T, T, valid.device)
            q, k, v = (p(*taps) for p in (block.query, block.key, block.value))
            attention = attend(q, k, v, score_bias(allowed, valid))
            x = block.finish(skip, attention) * keep
            outputs.append(x)
        return outputs

    @staticmethod
    def pool(x, valid):
        """Max-pooled skip path (kernel 3, stride 2, padding 1) over present frames; zero where there is none."""
        lowest = torch.where(valid.unsqueeze(-1), x, MASKED)
        pooled = F.max_pool1d(lowest.transpose(1, 2), 3, 2, 1).transpose(1, 2)
        return torch.where(pooled > MASKED / 2, pooled, 0.0)

    def forward(self, features, valid):
        T = features.shape[1]
        upsampled = [x.repeat_interleave(T // x.shape[1], 1) for x in self.scales(features, valid)]
        return self.channel_projector(torch.cat(upsampled, -1))

    def newest(self, features, valid):
        """motion [B, 384]: nearest upsampling takes the last row of every scale."""
        return self.channel_projector(torch.cat([x[:, -1] for x in self.scales(features, valid)], -1))


def build_temporal(spec) -> nn.Module:
    """The temporal encoder that a NetworkSpec names."""
    if spec.variant == "released":
        return ReleasedEncoder(spec.window)
    return {"window": WindowEncoder, "causal": CausalEncoder}[spec.temporal](spec.window)
