"""``egostream mount``: where the camera sits on the head, written into its calibration."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from egostream.calibration.file import load_calibration
from egostream.calibration.transform import rigid
from egostream.errors import EgostreamError
from egostream.files import write_whole
from egostream.head.standing import EYES_FROM_SHOULDERS, Standing, standing_rotation, typed_rotation
from egostream.publish.client import PoseSubscriber, TrackedPose

MEASURED_S = 2.0
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Measuring:
    """How poses of the standing wearer are had."""

    endpoint: str
    stream: str
    delay_s: float  # from the key to the first pose: time to stand straight
    keys: tuple[str, str]  # CURVE: the publisher's public certificate and one's own secret one, or ""


def mount(
    path: str, position: tuple[float, float, float] | None, angles: tuple[float, float, float] | None, how: Measuring
) -> None:
    """Write T_head_camera into a calibration, and say what it is.

    position: of the camera from the headset's origin, metres; None: as the file has it, or guessed, or 0. angles: typed
    in, degrees; None: measured. Raises EgostreamError.
    """
    file, data = our_calibration(path)
    known = position or known_position(data)
    if angles is None:
        standing = standing_rotation(standing_poses(how))
        rotation, place = standing.rotation, known or guessed_position(standing)
        print(f"{standing.poses} poses, scatter {standing.scatter_deg:.1f} degrees")
    else:
        rotation, place = typed_rotation(*angles), known or no_position()
    try:
        transform = rigid(rotation, np.array(place))
    except ValueError as error:
        raise EgostreamError(str(error)) from None
    data["T_head_camera"] = [[round(value, 6) for value in row] for row in transform]
    write_whole(file, (json.dumps(data, indent=2) + "\n").encode())
    print(f"{file}: {described(np.array(transform))}")


def our_calibration(path: str) -> tuple[Path, dict[str, Any]]:
    """A calibration in egostream's own JSON: its file, and all that it holds. Raises EgostreamError."""
    load_calibration(path)
    file = Path(path)
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        data = {}
    if not isinstance(data, dict) or "schema" not in data:
        raise EgostreamError(
            f"calibration {path} is another program's file, which stays as it is. Make egostream's own of it first: "
            f"egostream lens {path} -o my_headset.json"
        )
    return file, data


def known_position(data: dict[str, Any]) -> tuple[float, ...] | None:
    """The camera's position [3] that a calibration has already, or None."""
    rows = data.get("T_head_camera")
    return tuple(float(row[3]) for row in rows[:3]) if rows else None


def guessed_position(standing: Standing) -> tuple[float, ...]:
    """Where the camera sits on typical people, and the line that says what was assumed."""
    print(
        f"the camera's place is a guess, good to some centimetres: eyes are {EYES_FROM_SHOULDERS[1]:g} of the stature "
        f"({standing.stature_m:.2f} m by the joints) above the shoulders and {-EYES_FROM_SHOULDERS[2]:g} before them. "
        "Measured is better: --position RIGHT UP BACKWARD"
    )
    return tuple(standing.position.tolist())


def no_position() -> tuple[float, ...]:
    """The headset's own origin, and the line that says so."""
    print("the camera's place is taken for the headset's origin. Measured is better: --position RIGHT UP BACKWARD")
    return 0.0, 0.0, 0.0


def standing_poses(how: Measuring) -> list[TrackedPose]:
    """The poses of two seconds, some time after a key. Raises EgostreamError where none come."""
    print("Stand straight, look ahead at eye level.", flush=True)
    print(f"Press Enter; {how.delay_s:g} s later it is measured for {MEASURED_S:g} s. ", end="", flush=True)
    if not sys.stdin.readline():
        raise EgostreamError("nobody pressed Enter: the input ended")
    time.sleep(how.delay_s)
    poses: list[TrackedPose] = []
    with PoseSubscriber(
        how.endpoint, how.stream, every=True, server_key=how.keys[0], client_key=how.keys[1]
    ) as subscriber:
        first = subscriber.newest(PATIENCE_S)
        if first is None:
            raise EgostreamError(
                f"no pose on {how.endpoint}, stream {how.stream}. Is it running? Start it: egostream run"
            )
        deadline = time.monotonic() + MEASURED_S
        while (left := deadline - time.monotonic()) > 0:
            if (pose := subscriber.newest(left)) is not None:
                poses.append(pose)
    print("done", flush=True)
    return poses


def described(transform: np.ndarray) -> str:
    """A mount in words."""
    axis = transform[:3, :3] @ [0.0, 0.0, 1.0]
    below = float(np.degrees(np.arcsin(np.clip(-axis[1], -1, 1))))
    x, y, z = transform[:3, 3]
    return (
        f"the camera looks {below:.1f} degrees below the horizon; it sits {x:+.3f} m right of, {y:+.3f} m above and "
        f"{z:+.3f} m behind the headset's origin"
    )
