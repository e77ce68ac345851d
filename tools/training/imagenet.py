"""ResNets that start from ImageNet."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn
from torchvision import models

from egostream.errors import EgostreamError, first_line

WEIGHTS = {"resnet18": models.ResNet18_Weights.IMAGENET1K_V1, "resnet50": models.ResNet50_Weights.IMAGENET1K_V2}


def load_imagenet(resnet: nn.Module, name: str, source: str) -> None:
    """Fill a torchvision ResNet, "resnet18" or "resnet50", without its classifier.

    source: "imagenet" downloads, anything else is a state dict's path. Raises EgostreamError when it cannot.
    """
    if source == "imagenet":
        try:
            state = WEIGHTS[name].get_state_dict(progress=True)
        except OSError as error:
            raise EgostreamError(
                f"ImageNet weights of {name} cannot be downloaded: {error}. Give their path, or scratch"
            ) from None
    else:
        try:
            state = torch.load(Path(source), map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
            raise EgostreamError(f"{source} is no state dict of {name}: {first_line(error)}") from None
    try:
        resnet.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
    except (RuntimeError, AttributeError) as error:
        raise EgostreamError(f"{source} does not fit {name}: {' '.join(str(error).split())[:200]}") from None
