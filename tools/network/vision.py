"""The two graphs that see a frame: heatmaps with joint tokens, and the motion backbone."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18, resnet50

from egostream.skeleton import JOINT_COUNT

TOKEN_CHANNELS = 128
FEATURE_CHANNELS = 384
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalise(nn.Module):
    """uint8 RGB [N, H, W, 3] -> ImageNet-normalised float [N, 3, H, W].

    The cast comes first: TensorRT accepts a uint8 input only into a cast.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", 1 / (255 * torch.tensor(IMAGENET_STD)), persistent=False)
        self.register_buffer("shift", -torch.tensor(IMAGENET_MEAN) / torch.tensor(IMAGENET_STD), persistent=False)

    def forward(self, frame):
        return (frame.float() * self.scale + self.shift).permute(0, 3, 1, 2)


def trunk(resnet: nn.Module) -> nn.Module:
    """A torchvision ResNet without its classifier, state-dict names kept."""
    resnet.fc = nn.Identity()
    return resnet


def stages(resnet: nn.Module, x):
    """Outputs of layer1..layer4."""
    x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(x))))
    outputs = []
    for layer in (resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4):
        x = layer(x)
        outputs.append(x)
    return outputs


class HeatmapNetwork(nn.Module):
    """ResNet-18 encoder and FPN-like decoder: normalised frame -> heatmap logits [N, 15, 64, 64]."""

    def __init__(self):
        super().__init__()
        self.encoder = trunk(resnet18())
        widths = (64, 128, 256, 512)
        self.laterals = nn.ModuleList(nn.Conv2d(c, c, 1) for c in widths)
        self.ups = nn.ModuleList(nn.Conv2d(widths[i + 1] + widths[i], widths[i], 3, padding=1) for i in range(3))
        self.head = nn.Conv2d(widths[0], JOINT_COUNT, 1)

    def forward(self, x):
        laterals = [F.leaky_relu(lateral(stage), 0.2) for lateral, stage in zip(self.laterals, stages(self.encoder, x))]
        y = laterals[3]
        for i in (2, 1, 0):
            up = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
            y = F.leaky_relu(self.ups[i](torch.cat([up, laterals[i]], 1)), 0.2)
        return self.head(y)


class JointEmbedding(nn.Module):
    """One shared encoder for every joint's heatmap alone: [N, 15, 64, 64] -> tokens [N, 15, 128]."""

    def __init__(self):
        super().__init__()
        self.conv_layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.proj = nn.Linear(64 * 4 * 4, TOKEN_CHANNELS)
        self.layer_norm = nn.LayerNorm(TOKEN_CHANNELS)

    def forward(self, heatmaps):
        J = heatmaps.shape[1]
        y = self.conv_layers(heatmaps.flatten(0, 1).unsqueeze(1))  # [N*J, 64, 16, 16]
        y = F.avg_pool2d(y, 4).flatten(1)  # adaptive pooling of 16x16 to 4x4 is exactly this
        return self.layer_norm(self.proj(y)).unflatten(0, (-1, J))


class HeatmapGraph(nn.Module):
    """frame u8 [N, 256, 256, 3] RGB -> heatmaps [N, 15, 64, 64] in 0..1, tokens [N, 15, 128]."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise()
        self.network = HeatmapNetwork()
        self.embedding = JointEmbedding()

    def forward(self, frame):
        heatmaps = torch.sigmoid(self.network(self.normalise(frame)))
        return heatmaps, self.embedding(heatmaps)


class BackboneGraph(nn.Module):
    """frame u8 [N, 256, 256, 3] RGB -> feature s_t [N, 384]."""

    def __init__(self):
        super().__init__()
        self.normalise = Normalise()
        self.resnet = trunk(resnet50())
        self.linear = nn.Linear(2048, FEATURE_CHANNELS)
        self.bn = nn.BatchNorm1d(FEATURE_CHANNELS)

    def forward(self, frame):
        pooled = stages(self.resnet, self.normalise(frame))[-1].mean((2, 3))
        return self.bn(self.linear(pooled))
