"""The BVH format: a hierarchy of joints with their offsets, then one row of channels per frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.synthetic.movement.recording import Unusable
from tools.synthetic.movement.rotations import apply, euler

CHANNELS = {f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}


@dataclass(frozen=True)
class Bvh:
    """A parsed BVH file; lengths in the file's units, angles in radians."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray  # [J, 3]
    channels: tuple[tuple[str, ...], ...]  # per joint, as in the file: "Xposition", "Zrotation", ...
    values: np.ndarray  # [F, C]
    fps: float


def parse_bvh(text: str) -> Bvh:
    """Parse a BVH file: hierarchy, then frames. End sites are dropped. Raises Unusable saying what is wrong."""
    head, found, body = text.partition("MOTION")
    if not found or "HIERARCHY" not in head:
        raise Unusable("no HIERARCHY and MOTION: not a BVH file")
    try:
        names, parents, offsets, channels = parse_hierarchy(head.split())
        rest = body.split()
        if rest[0] != "Frames:" or rest[2:4] != ["Frame", "Time:"]:
            raise Unusable("MOTION does not begin with Frames: and Frame Time:")
        if unknown := {kind for kinds in channels for kind in kinds} - CHANNELS:
            raise Unusable(f"unknown channel {min(unknown)}")
        count, step, values = int(rest[1]), float(rest[4]), np.array(rest[5:], float)
    except (IndexError, ValueError) as error:
        raise Unusable(f"damaged ({error})") from None
    width = sum(map(len, channels))
    if len(values) != count * width or not width or step <= 0:
        raise Unusable(f"damaged: {len(values)} numbers where {count} frames of {width} are announced")
    if not np.isfinite(values).all():
        raise Unusable("damaged: numbers that are not finite")
    return Bvh(
        tuple(names),
        tuple(parents),
        np.array(offsets),
        tuple(channels),
        values.reshape(count, width),
        round(1 / step, 2),
    )


def parse_hierarchy(tokens: list[str]) -> tuple[list[str], list[int], list[tuple], list[tuple]]:
    """Names, parents, offsets [3] and channels of the joints, in the order of the file."""
    names: list[str] = []
    parents: list[int] = []
    offsets: list[tuple] = []
    channels: list[tuple] = []
    open_joints: list[int] = []
    words = iter(tokens)
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            names.append(next(words, ""))
            parents.append(open_joints[-1] if open_joints else -1)
            offsets.append((0.0, 0.0, 0.0))
            channels.append(())
        elif word == "{":
            open_joints.append(len(names) - 1)
        elif word == "}":
            open_joints.pop()
        elif word == "OFFSET":
            offsets[open_joints[-1]] = tuple(float(next(words, "nothing")) for _ in range(3))
        elif word == "CHANNELS":
            channels[open_joints[-1]] = tuple(next(words, "") for _ in range(int(next(words, "nothing"))))
    return names, parents, offsets, channels


def forward_kinematics(bvh: Bvh, wanted: set[str]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Global rotations [F, 3, 3] and positions [F, 3] (file units) of the wanted joints and all above them.

    A joint stands at its parent's + G_parent @ (OFFSET + position channels): also the root, whose OFFSET counts. A
    reader that takes the root's channels as absolute sinks the bodies whose file keeps the hip height in OFFSET.
    """
    needed = set()
    for name in wanted:
        joint = bvh.names.index(name)
        while joint >= 0:
            needed.add(joint)
            joint = bvh.parents[joint]
    starts = np.cumsum([0, *map(len, bvh.channels)])
    G: dict[int, np.ndarray] = {}
    P: dict[int, np.ndarray] = {}
    for joint in sorted(needed):  # parents come before their children in the file
        columns = bvh.values[:, starts[joint] : starts[joint + 1]]
        kinds = bvh.channels[joint]
        turns = [k for k, kind in enumerate(kinds) if kind.endswith("rotation")]
        local = euler("".join(kinds[k][0] for k in turns), np.radians(columns[:, turns])) if turns else np.eye(3)
        shift = np.tile(bvh.offsets[joint], (len(columns), 1))
        for k, kind in enumerate(kinds):
            if kind.endswith("position"):
                shift[:, "XYZ".index(kind[0])] += columns[:, k]
        parent = bvh.parents[joint]
        G[joint] = G[parent] @ local if parent >= 0 else np.broadcast_to(local, (len(columns), 3, 3))
        P[joint] = P[parent] + apply(G[parent], shift) if parent >= 0 else shift
    return {bvh.names[j]: G[j] for j in G}, {bvh.names[j]: P[j] for j in P}
