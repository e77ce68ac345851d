"""A sequence's frames as network inputs."""

from __future__ import annotations

import cv2
import numpy as np

from egostream.calibration.file import Calibration, canonical_calibration, same_camera
from egostream.calibration.lens import OUTSIDE, project_or_outside
from egostream.calibration.view import INPUT_SIZE, CameraView, InputGeometry, InputMapping
from egostream.capture.decode import BadFrame, decode, decode_bytes
from egostream.capture.rectify import Rectifier
from egostream.errors import EgostreamError
from egostream.types import CameraFrame
from tools.data.sequence import Sequence


class InputReader:
    """Frames and keypoints of any sequence as a network of one input geometry sees them."""

    def __init__(self, geometry: InputGeometry):
        self.geometry = geometry
        self.canonical = canonical_calibration(geometry.calibration)
        self.mapping = InputMapping(geometry.mapping, self.canonical.size)
        self.rectifiers: dict[str, Rectifier] = {}

    def rectifier(self, camera: Calibration) -> Rectifier:
        """The rectifier of a camera, built once."""
        key = repr(camera)
        if key not in self.rectifiers:
            self.rectifiers[key] = Rectifier(CameraView(self.geometry, camera))
        return self.rectifiers[key]

    def read(self, sequence: Sequence, index: int) -> np.ndarray:
        """A frame as network input, uint8 RGB [256, 256, 3]. Raises EgostreamError for a broken or wrong-sized file."""
        path = sequence.images[index]
        try:
            data = np.frombuffer(path.read_bytes(), np.uint8)
            if sequence.camera is not None:
                rectifier = self.rectifier(sequence.camera)
                return rectifier.rectify(decode(CameraFrame(index, 0, 0, data), rectifier))
            image = decode_bytes(data, cv2.IMREAD_COLOR_RGB)
        except (OSError, BadFrame) as error:
            raise EgostreamError(f"picture {path} cannot be read: {error}. Make or download it again") from None
        if image.shape[:2] != (INPUT_SIZE, INPUT_SIZE):
            raise EgostreamError(
                f"picture {path} is {image.shape[1]}x{image.shape[0]}, expected the network's {INPUT_SIZE}x{INPUT_SIZE}"
            )
        return image

    def keypoints(self, sequence: Sequence) -> np.ndarray:
        """The keypoints of every frame in heatmap coordinates [F, 15, 2]: 0..HEATMAP_SIZE inside the picture."""
        uv = sequence.keypoints
        if sequence.camera is not None and not same_camera(sequence.camera, self.canonical):
            rays, seen = sequence.camera.lens.unproject(uv)
            uv = np.where(seen[..., None], project_or_outside(self.canonical.lens, rays), OUTSIDE)
        return self.mapping.heatmap_from_canonical(uv)
