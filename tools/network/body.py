"""The temporal graph and decoder of ``backbone: none``: motion from the body's keypoints, without a picture's feature.

A causal transformer over what is known of each slot of the window: rays of the keypoints, how sure each is, and what a
headset may tell. A joint is placed along its ray and beside it; how far off it may be is estimated, too.

    h = W [rays, confidence, rays * confidence, told]         per slot
    L times: h <- h + attend(LN(h));  h <- h + MLP(LN(h))     attention over the past T slots, relative bias per head
    joint_j = a_j ray_j + b_j,  sigma_j = exp(s_j)            a, b, s: of an MLP on LN(h) of the newest slot
"""

from __future__ import annotations

import torch
from torch import nn

from egostream.skeleton import JOINT_COUNT
from egostream.told import TOLD, TOLD_FLAG, TOLD_PARTS
from tools.network.temporal import score_bias

#: Values that ``told`` is divided by and that it is lessened by before, so that it is about 1 in size.
TOLD_SCALE = (1.0,) * 3 + (1.0,) * 3 + (2.0,) * 3 + (0.3, 0.1) + (1.0,) * 4
TOLD_MIDDLE = (0.0,) * 9 + (1.5, 1.7) + (0.0,) * 4
HEADS = 4
#: Distance of each joint from the camera where training begins, metres: about its mean over simulated people.
FIRST_DISTANCE = (0.4, 0.4, 0.45, 0.5, 0.4, 0.45, 0.5, 0.75, 1.0, 1.3, 1.3, 0.75, 1.0, 1.3, 1.3)
FIRST_SIGMA = 0.1  # metres, where training begins


class BodyBlock(nn.Module):
    """One transformer block whose heads weigh keys by how many slots ago they were, too."""

    def __init__(self, channels: int, window: int):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.proj = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.age_bias = nn.Parameter(torch.zeros(HEADS, window))  # by age: oldest first, this slot last

    def attend(self, normed, keys, values, bias):
        """Output [N, Q, d] of normed queries [N, Q, d] over keys and values [N, K, d]; bias to [N, heads, Q, K]."""
        q, k, v = (x.unflatten(-1, (HEADS, -1)).transpose(1, 2) for x in (self.query(normed), keys, values))
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def forward(self, x, keys, values, normed, bias):
        x = x + self.attend(normed, keys, values, bias)
        return x + self.mlp(self.ln2(x))


class BodyEncoder(nn.Module):
    """rays [.., 15, 3], confidence [.., 15], told [.., TOLD] of slots -> motion [.., d] of each, from its past T slots.

    ``forward`` runs whole sequences (training), ``step`` one frame on caches; both give the same numbers.
    """

    def __init__(self, window: int, channels: int, depth: int):
        super().__init__()
        self.window = window
        self.enter = nn.Linear(JOINT_COUNT * 7 + TOLD, channels)
        self.blocks = nn.ModuleList(BodyBlock(channels, window) for _ in range(depth))
        self.norm = nn.LayerNorm(channels)
        self.register_buffer("middle", torch.tensor(TOLD_MIDDLE), persistent=False)
        self.register_buffer("scale", 1 / torch.tensor(TOLD_SCALE), persistent=False)
        self.register_buffer("flag", torch.tensor(TOLD_FLAG), persistent=False)

    def embed(self, rays, confidence, told):
        """What is known of slots -> [.., d]."""
        known = told[..., TOLD_PARTS["flags"]].index_select(-1, self.flag)
        told = (told - self.middle) * self.scale * known
        weighed = rays * confidence.unsqueeze(-1)
        return self.enter(torch.cat([rays.flatten(-2), confidence, weighed.flatten(-2), told], -1))

    def forward(self, rays, confidence, told, valid):
        """motion [B, L, d] of sequences [B, L, ..]; valid bool [B, L]: which slots have a frame."""
        L = rays.shape[1]
        place = torch.arange(L, device=rays.device)
        age = place[:, None] - place[None, :]
        seen = score_bias((age >= 0) & (age < self.window), valid)
        column = (self.window - 1 - age).clamp(0, self.window - 1)
        x = self.embed(rays, confidence, told)
        for block in self.blocks:
            normed = block.ln1(x)
            x = block(x, block.key(normed), block.value(normed), normed, seen + block.age_bias[:, column])
        return self.norm(x)

    def step(self, rays, confidence, told, body_cache, valid):
        """One frame of N streams: rays [N, 15, 3], confidence [N, 15], told [N, TOLD].

        body_cache [N, depth, 2, T-1, d]: keys and values of the past slots, oldest first; valid [N, T-1]. Returns
        motion [N, d] and state [N, depth, 2, d]: this frame's keys and values, to be kept for later frames.
        """
        here = torch.ones_like(valid[:, :1])
        seen = score_bias(
            torch.ones(1, self.window, dtype=torch.bool, device=valid.device), torch.cat([valid, here], 1)
        )
        x, state = self.embed(rays, confidence, told).unsqueeze(1), []
        for i, block in enumerate(self.blocks):
            normed = block.ln1(x)
            k, v = block.key(normed), block.value(normed)
            keys, values = (torch.cat([body_cache[:, i, j], new], 1) for j, new in enumerate((k, v)))
            x = block(x, keys, values, normed, seen + block.age_bias.unsqueeze(1))
            state.append(torch.cat([k, v], 1))
        return self.norm(x)[:, 0], torch.stack(state, 1)


class BodyDecoder(nn.Module):
    """motion [.., d], rays [.., 15, 3] -> joints [.., 15, 3] metres, camera axes, and sigma [.., 15] metres.

    sigma: the mean distance between a joint and the truth, in the network's own judgement.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU())
        self.along, self.beside = nn.Linear(2 * channels, JOINT_COUNT), nn.Linear(2 * channels, JOINT_COUNT * 3)
        self.log_sigma = nn.Linear(2 * channels, JOINT_COUNT)
        with torch.no_grad():
            for head in (self.along, self.beside, self.log_sigma):
                head.weight.mul_(0.1)
                head.bias.zero_()
            self.along.bias.copy_(torch.tensor(FIRST_DISTANCE))
            self.log_sigma.bias.fill_(torch.tensor(FIRST_SIGMA).log())

    def forward(self, motion, rays):
        hidden = self.hidden(motion)
        joints = self.along(hidden).unsqueeze(-1) * rays + self.beside(hidden).unflatten(-1, (JOINT_COUNT, 3))
        return joints, self.log_sigma(hidden).exp()
