"""Joint tokens and motion -> 3D joints, through learned queries."""

from __future__ import annotations

import torch
from torch import nn

from egostream.skeleton import JOINT_COUNT
from tools.network.vision import FEATURE_CHANNELS, TOKEN_CHANNELS


class SelfAttentionLayer(nn.TransformerEncoderLayer):
    """The decoder layer without its cross-attention: the paper's ablation."""

    def forward(self, queries, memory):
        return super().forward(queries)


class DecoderGraph(nn.Module):
    """tokens [N, 15, 128], motion [N, 384] -> joints [N, 15, 3] in metres, camera axes.

    The paper's embedding is the same for all joints and its memory has no order, so that a query cannot tell whose
    heatmap a token came from. ``use_identity`` adds a learned vector per joint to the tokens.
    """

    def __init__(self, use_tokens=True, use_motion=True, use_cross_attention=True, use_identity=False):
        super().__init__()
        D = TOKEN_CHANNELS
        self.use_tokens, self.use_motion, self.use_cross_attention = use_tokens, use_motion, use_cross_attention
        self.use_identity = use_identity
        self.joint_queries = nn.Parameter(torch.randn(JOINT_COUNT, D) * 0.02)
        if use_identity:
            # Tokens are layer-normalised, of unit variance.
            self.joint_identity = nn.Parameter(torch.randn(JOINT_COUNT, D) * 0.5)
        if use_motion:
            self.motion_proj = nn.Linear(FEATURE_CHANNELS, D)
        self.memory_proj = nn.Sequential(nn.Linear(D * (use_tokens + use_motion), D), nn.ReLU(), nn.Linear(D, D))
        # PyTorch's decoder layer, so that checkpoints of either origin load by name.
        layer = nn.TransformerDecoderLayer if use_cross_attention else SelfAttentionLayer
        self.decoder = nn.ModuleDict({"layers": nn.ModuleList(layer(D, 4, 512, batch_first=True) for _ in range(3))})
        self.pose_head = nn.Sequential(
            nn.Linear(D, D),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.1),
            nn.Linear(D, 64),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.1),
            nn.Linear(64, 3),
        )

    def forward(self, tokens, motion):
        N, J, _ = tokens.shape
        if self.use_identity:
            tokens = tokens + self.joint_identity
        sources = [tokens] if self.use_tokens else []
        if self.use_motion:
            sources.append(self.motion_proj(motion).unsqueeze(1).expand(N, J, -1))
        memory = self.memory_proj(torch.cat(sources, -1))
        x = self.joint_queries.unsqueeze(0).expand(N, -1, -1)
        if not self.use_cross_attention:
            x = x + memory
        for layer in self.decoder["layers"]:
            x = layer(x, memory)
        return self.pose_head(x)
