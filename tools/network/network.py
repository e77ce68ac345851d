"""The four graphs as one network, and the modules that are exported from it."""

from __future__ import annotations

import torch
from torch import nn

from tools.network.body import BodyDecoder, BodyEncoder
from tools.network.decoder import DecoderGraph
from tools.network.spec import NetworkSpec
from tools.network.temporal import build_temporal
from tools.network.vision import BackboneGraph, HeatmapGraph


class EgoPoseNetwork(nn.Module):
    """frames u8 [B, T, 256, 256, 3], valid [B, T] -> joints [B, T, 15, 3] in metres, heatmaps [B, T, 15, 64, 64].

    The whole-window form, as in training. The runtime never runs this: it runs the graphs one frame at a time.
    """

    def __init__(self, spec: NetworkSpec):
        super().__init__()
        self.spec = spec
        self.heatmap = HeatmapGraph()
        self.backbone = BackboneGraph()
        self.temporal = build_temporal(spec)
        self.decoder = DecoderGraph(spec.use_tokens, spec.use_motion, spec.use_cross_attention, spec.use_identity)

    def graph(self, name: str) -> nn.Module:
        """The module that holds the tensors of one of the four graphs."""
        return getattr(self, name)

    def forward(self, frames, valid):
        B, T = frames.shape[:2]
        flat = frames.flatten(0, 1)
        heatmaps, tokens = self.heatmap(flat)
        motion = self.temporal(self.backbone(flat).unflatten(0, (B, T)), valid)
        joints = self.decoder(tokens, motion.flatten(0, 1))
        return joints.unflatten(0, (B, T)), heatmaps.unflatten(0, (B, T))


class BodyPoseNetwork(nn.Module):
    """The three graphs of ``backbone: none``. Keypoints are made of the heatmaps outside: lenses stay out of graphs."""

    def __init__(self, spec: NetworkSpec):
        super().__init__()
        self.spec = spec
        self.heatmap = HeatmapGraph()
        self.temporal = BodyEncoder(spec.window, spec.channels, spec.depth)
        self.decoder = BodyDecoder(spec.channels)

    def graph(self, name: str) -> nn.Module:
        """The module that holds the tensors of one of the three graphs."""
        return getattr(self, name)

    def forward(self, rays, confidence, told, valid):
        """Joints [B, L, 15, 3] and sigma [B, L, 15] of whole sequences."""
        return self.decoder(self.temporal(rays, confidence, told, valid), rays)


class BodyTemporal(nn.Module):
    """One frame on cached keys and values; see ``BodyEncoder.step``."""

    def __init__(self, network):
        super().__init__()
        self.temporal = network.temporal

    def forward(self, rays, confidence, told, body_cache, valid):
        return self.temporal.step(rays, confidence, told, body_cache, valid)


class BodyStep(nn.Module):
    """Temporal and decoder graphs of ``backbone: none`` for one frame."""

    def __init__(self, network):
        super().__init__()
        self.temporal, self.decoder = network.temporal, network.decoder

    def forward(self, rays, confidence, told, body_cache, valid):
        motion, state = self.temporal.step(rays, confidence, told, body_cache, valid)
        return *self.decoder(motion, rays), state


class Look(nn.Module):
    """The heatmap graph without its tokens."""

    def __init__(self, network):
        super().__init__()
        self.heatmap = network.heatmap

    def forward(self, frame):
        return self.heatmap(frame)[0]


class WindowTemporal(nn.Module):
    """features [N, T, 384], valid [N, T] -> motion [N, 384]."""

    def __init__(self, network):
        super().__init__()
        self.temporal = network.temporal

    def forward(self, features, valid):
        return self.temporal.newest(features, valid)


class CausalTemporal(nn.Module):
    """One frame on cached keys and values; see ``CausalEncoder.step``."""

    def __init__(self, network):
        super().__init__()
        self.temporal = network.temporal

    def forward(self, feature, conv_cache, local_cache, global_cache, valid):
        return self.temporal.step(feature, conv_cache, local_cache, global_cache, valid)


class WindowMotion(nn.Module):
    """The backbone and temporal graphs for one frame, whose feature joins the past ones inside the graph."""

    def __init__(self, network):
        super().__init__()
        self.backbone, self.temporal = network.backbone, network.temporal

    def forward(self, frame, past, valid):
        feature = self.backbone(frame)
        features = torch.cat([past, feature.unsqueeze(1)], 1)
        seen = torch.cat([valid, torch.ones_like(valid[:, :1])], 1)
        return self.temporal.newest(features, seen), feature


class CausalMotion(nn.Module):
    """The backbone and temporal graphs for one frame, causal form."""

    def __init__(self, network):
        super().__init__()
        self.backbone, self.temporal = network.backbone, network.temporal

    def forward(self, frame, conv_cache, local_cache, global_cache, valid):
        return self.temporal.step(self.backbone(frame), conv_cache, local_cache, global_cache, valid)


class FramePose(nn.Module):
    """The heatmap and decoder graphs for one frame, and the motion that its pose takes."""

    def __init__(self, network):
        super().__init__()
        self.heatmap, self.decoder = network.heatmap, network.decoder

    def forward(self, frame, motion):
        heatmaps, tokens = self.heatmap(frame)
        return self.decoder(tokens, motion), heatmaps


class WholeStep(nn.Module):
    """All four graphs for one frame."""

    def __init__(self, network):
        super().__init__()
        self.motion = (CausalMotion if network.spec.temporal == "causal" else WindowMotion)(network)
        self.pose = FramePose(network)

    def forward(self, frame, *past):
        motion, kept = self.motion(frame, *past)
        return *self.pose(frame, motion), kept
