"""Readers of recorded movement: BVH of three skeletons (CMU recordings) and the JSON of DeepMimic, each to a Movement.

A skeleton's table says which of its joints moves each of our segments, and how that joint stands in the T-pose. From
both follow rotations relative to the T-pose: R = G(t) @ G(T-pose)^-1, with G the joint's global rotation.
"""

from __future__ import annotations

import io
import json
import logging
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from egostream.errors import EgostreamError
from tools.synthetic.movement.bvh import Bvh, Unusable, forward_kinematics, parse_bvh
from tools.synthetic.movement.movement import Movement, crop, moved, sampled, sole_points, turn
from tools.synthetic.movement.rotations import (
    about,
    angle_between,
    from_quaternion,
    heading,
    slerp,
    swing,
    transpose,
    unit,
)
from tools.synthetic.movement.segments import INDEX, OFFSETS, SEGMENTS, global_rotations, local_rotations

log = logging.getLogger(__name__)

SUFFIXES = (".bvh", ".txt", ".json")
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
FORMATS = "a .bvh file, a DeepMimic .txt or .json, a folder or a .tar.gz or .zip archive of them"
MIN_FRAMES = 10
RELAXED_GRIP = 0.3  # no clip here has recorded fingers
FLOOR_PERCENTILE = 0.5  # of the frames' lowest sole points: a few that dip into the floor do not lift the whole clip
MAX_RATE = (
    55.0  # rad/s of a joint against its parent; faster is no movement: a lost marker, a T-pose before the recording
)
MIN_SECONDS = 0.5  # of what remains between such jumps


# ---- skeletons ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Skeleton:
    """How a family of BVH files names and rests its joints."""

    scale: float  # metres per file unit
    joints: dict[str, str]  # segment -> joint
    rest: dict[str, np.ndarray]  # segment -> about how its joint stands in the T-pose; absent: as the world's axes

    def fits(self, bvh: Bvh) -> bool:
        return set(self.joints.values()) <= set(bvh.names)


#: Limb segments, whose direction is made exact, and what takes the correction over from them.
LIMB_PAIRS = (("upperarm", "forearm"), ("forearm", "hand"), ("thigh", "calf"), ("calf", "foot"))
LIMBS = {f"{a}_{side}": f"{b}_{side}" for side in "rl" for a, b in LIMB_PAIRS}
FOLLOWERS = {
    f"{a}_{side}": f"{b}_{side}" for side in "rl" for a, b in (("hand", "forearm"), ("foot", "calf"), ("toe", "calf"))
}


def sided(pattern: dict[str, str], right: str, left: str) -> dict[str, str]:
    """Both sides of a table whose joints have ``*`` where the side is named."""
    return {
        f"{seg}_{s}": joint.replace("*", word)
        for s, word in (("r", right), ("l", left))
        for seg, joint in pattern.items()
    }


CMU_SCALE = 0.05644  # CMU's units: inches over 0.45, (1 / 0.45) * 0.0254 m

#: "CMU names" (fairmotion, 2009 conversions): arms rest along ±X.
CMU = Skeleton(
    CMU_SCALE,
    {"pelvis": "Hips", "spine": "LowerBack", "chest": "Spine1", "neck": "Neck1", "head": "Head"}
    | sided(
        {
            "clavicle": "*Shoulder", "upperarm": "*Arm", "forearm": "*ForeArm", "hand": "*Hand",
            "thigh": "*UpLeg", "calf": "*Leg", "foot": "*Foot", "toe": "*ToeBase",
        }, "Right", "Left",
    ),
    {},
)  # fmt: skip

#: "MotionBuilder-like" names (cmuconvert-max): arms rest straight down, thumbs forward.
CMU_MAX = Skeleton(
    CMU_SCALE,
    {"pelvis": "Hips", "spine": "Chest", "chest": "Chest2", "neck": "Neck", "head": "Head"}
    | sided(
        {
            "clavicle": "*Collar", "upperarm": "*Shoulder", "forearm": "*Elbow", "hand": "*Wrist",
            "thigh": "*Hip", "calf": "*Knee", "foot": "*Ankle", "toe": "*Toe",
        }, "Right", "Left",
    ),
    {},
)  # fmt: skip


def iclone() -> Skeleton:
    """Reallusion's CC_Base skeleton: every bone along its own +Y, so that zero angles are no pose of a body.

    The rest rotations are those of its T-pose, measured in the first frame of the clips that start with it (CMU 07_04,
    07_12), rounded to the degree; limbs are made exact by their bone's direction.
    """
    pitch = {"pelvis": 12, "spine": 16, "chest": -10, "neck": 11, "head": 0}  # degrees; spine is CC_Base_Waist
    rest = {segment: about("X", np.radians(angle)) for segment, angle in pitch.items()}
    for side, s in (("r", -1), ("l", 1)):
        rest |= {f"{name}_{side}": about("Z", -s * np.pi / 2) for name in ("upperarm", "forearm")}
        rest[f"hand_{side}"] = about("Z", -s * np.radians(96))
        rest[f"clavicle_{side}"] = about("Y", s * np.radians(15)) @ about("Z", -s * np.pi / 2)
        rest |= {f"{name}_{side}": about("Z", np.pi) for name in ("thigh", "calf")}
        # Seen in the T-pose: the foot's bone falls 13 degrees towards the toes, the toes' own rises 6.
        rest[f"foot_{side}"] = about("Y", s * np.radians(7)) @ about("X", np.radians(-77)) @ about("Z", np.pi)
        rest[f"toe_{side}"] = about("X", np.radians(-96)) @ about("Z", np.pi)
    base = {"pelvis": "Pelvis", "spine": "Waist", "chest": "Spine02", "neck": "NeckTwist01", "head": "Head"} | sided(
        {
            "clavicle": "*_Clavicle", "upperarm": "*_Upperarm", "forearm": "*_Forearm", "hand": "*_Hand",
            "thigh": "*_Thigh", "calf": "*_Calf", "foot": "*_Foot", "toe": "*_ToeBase",
        }, "R", "L",
    )  # fmt: skip
    return Skeleton(0.01, {segment: f"CC_Base_{joint}" for segment, joint in base.items()}, rest)


SKELETONS = {"CMU": CMU, "CMU of 3ds Max": CMU_MAX, "iClone": iclone()}


def rest_rotations(skeleton: Skeleton, bvh: Bvh) -> np.ndarray:
    """How each segment's joint stands in the T-pose [21, 3, 3]: the table's rest, with limbs turned to be exact."""
    rest = np.tile(np.eye(3), (len(SEGMENTS), 1, 1))
    for segment, rotation in skeleton.rest.items():
        rest[INDEX[segment]] = rotation
    for segment, child in LIMBS.items():
        bone = bone_offset(bvh, skeleton.joints[segment], skeleton.joints[child])
        k = INDEX[segment]
        correction = swing(rest[k] @ bone, OFFSETS[INDEX[child]])
        rest[k] = correction @ rest[k]
        for follower in (name for name, leader in FOLLOWERS.items() if leader == segment and name not in skeleton.rest):
            rest[INDEX[follower]] = correction @ rest[INDEX[follower]]
    return rest


def bone_offset(bvh: Bvh, joint: str, child: str) -> np.ndarray:
    """The child's OFFSET [3] in the joint's frame. Raises Unusable for a bone that another joint interrupts."""
    k = bvh.names.index(child)
    if bvh.parents[k] != bvh.names.index(joint) or not np.linalg.norm(bvh.offsets[k]) > 0:
        raise Unusable(f"{child} does not hang from {joint} at a distance: another skeleton than its names say")
    return bvh.offsets[k]


def movement_of_bvh(text: str, name: str) -> Movement:
    bvh = parse_bvh(text)
    skeleton = next((s for s in SKELETONS.values() if s.fits(bvh)), None)
    if skeleton is None:
        raise Unusable(
            f"its joints ({', '.join(bvh.names[:4])}, ...) are of none of the known skeletons ({', '.join(SKELETONS)})"
        )
    G, P = forward_kinematics(bvh, set(skeleton.joints.values()))
    rest = rest_rotations(skeleton, bvh)
    rotations = np.stack([G[skeleton.joints[segment]] for segment in SEGMENTS], 1) @ transpose(rest)
    hips = [P[skeleton.joints[f"thigh_{side}"]] for side in "rl"]
    leg = sum(
        np.linalg.norm(bone_offset(bvh, skeleton.joints[a], skeleton.joints[b]))
        for a, b in (("thigh_r", "calf_r"), ("calf_r", "foot_r"))
    )
    return clip(name, bvh.fps, np.mean(hips, 0) * skeleton.scale, leg * skeleton.scale, rotations)


# ---- DeepMimic ------------------------------------------------------------------------------------------------------

#: The numbers of a frame: duration, the root's position, then for each joint a quaternion (w, x, y, z) or an angle.
DEEPMIMIC_JOINTS = (
    ("root", 4), ("chest", 4), ("neck", 4),
    ("hip_r", 4), ("knee_r", 1), ("ankle_r", 4), ("shoulder_r", 4), ("elbow_r", 1),
    ("hip_l", 4), ("knee_l", 1), ("ankle_l", 4), ("shoulder_l", 4), ("elbow_l", 1),
)  # fmt: skip
DEEPMIMIC_WIDTH = 4 + sum(size for _, size in DEEPMIMIC_JOINTS)
DEEPMIMIC_LEG = 0.421546 + 0.409870  # metres, thigh and calf of its one humanoid
#: Its world to ours: it faces +X with its right towards +Z, and lets the arms hang. Y is up in both.
FROM_DEEPMIMIC = np.array([[0, 0, -1.0], [0, 1, 0], [1, 0, 0]])
LOOP_SECONDS = 4.0  # clips that wrap are shorter than this, most of them one stride, and are repeated up to it


def movement_of_deepmimic(text: str, name: str) -> Movement:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise Unusable(f"damaged ({error})") from None
    if not isinstance(data, dict) or "Frames" not in data:
        raise Unusable("JSON without Frames: no motion")
    try:
        frames = np.array(data["Frames"], float)
    except (TypeError, ValueError):
        frames = np.zeros(0)
    if frames.ndim != 2 or frames.shape[1] != DEEPMIMIC_WIDTH or not np.isfinite(frames).all():
        raise Unusable(f"damaged: its Frames are no table of {DEEPMIMIC_WIDTH} finite numbers a row")
    durations = frames[:-1, 0]  # the last frame's is of no use, and 0 in most files
    if len(frames) < MIN_FRAMES or not (durations > 0).all():
        raise Unusable(f"{len(frames)} frames, or frames that last no time")
    movement = clip(
        name, 1 / np.median(durations), frames[:, 1:4] @ FROM_DEEPMIMIC.T, DEEPMIMIC_LEG, deepmimic_rotations(frames)
    )
    if np.ptp(durations) > 0.01 * np.median(durations):
        times = np.concatenate([[0], np.cumsum(durations)])
        movement = sampled(
            movement, np.interp(np.arange(0, times[-1], 1 / movement.fps), times, np.arange(len(frames))), movement.fps
        )
    return looped(movement, LOOP_SECONDS) if data.get("Loop") == "wrap" else movement


def deepmimic_rotations(frames: np.ndarray) -> np.ndarray:
    """Rotations [F, 21, 3, 3] relative to our T-pose."""
    local, column = {}, 4
    for joint, size in DEEPMIMIC_JOINTS:
        values = frames[:, column : column + size]
        local[joint] = from_quaternion(unit(values)) if size == 4 else about("Z", values[:, 0])
        column += size
    root, chest = local["root"], local["root"] @ local["chest"]
    head = chest @ local["neck"]
    G = {
        "pelvis": root,
        "spine": slerp(root, chest, 0.5),
        "chest": chest,
        "neck": slerp(chest, head, 0.5),
        "head": head,
    }
    for side, s in (("r", -1), ("l", 1)):
        lowered = about("X", -s * np.pi / 2)  # an arm from the T-pose to hanging, in DeepMimic's axes
        G[f"clavicle_{side}"] = chest
        upperarm = chest @ local[f"shoulder_{side}"]
        forearm = upperarm @ local[f"elbow_{side}"]
        G[f"upperarm_{side}"], G[f"forearm_{side}"], G[f"hand_{side}"] = (
            upperarm @ lowered,
            forearm @ lowered,
            forearm @ lowered,
        )
        thigh = root @ local[f"hip_{side}"]
        calf = thigh @ local[f"knee_{side}"]
        foot = calf @ local[f"ankle_{side}"]
        G[f"thigh_{side}"], G[f"calf_{side}"], G[f"foot_{side}"], G[f"toe_{side}"] = thigh, calf, foot, foot
    return FROM_DEEPMIMIC @ np.stack([G[segment] for segment in SEGMENTS], 1) @ FROM_DEEPMIMIC.T


def looped(movement: Movement, seconds: float) -> Movement:
    """A cyclic clip repeated to ``seconds``: each cycle starts where and facing as the one before it ended.

    What the last frame's pose lacks to the first one's is made up for over the last third of the cycle.
    """
    F = len(movement)
    turned = about("Y", heading(movement.rotations[-1, 0]) - heading(movement.rotations[0, 0]))
    local = local_rotations(movement.rotations)
    goal = local[0].copy()
    goal[0] = turned @ goal[0]
    closing = np.clip((np.arange(F) / (F - 1) - 2 / 3) * 3, 0, 1)[:, None]
    local = local @ slerp(np.eye(3), transpose(local[-1]) @ goal, closing)
    rotations = global_rotations(local)
    root = movement.root.copy()
    root[:, 1] += closing[:, 0] * (root[0, 1] - root[-1, 1])
    roots, turns, parts = [root], [rotations], int(np.ceil(seconds * movement.fps / (F - 1)))
    for _ in range(parts - 1):
        # The first frame of a cycle is the last one of the cycle before it.
        roots.append(roots[-1][-1] + (root[1:] - root[0]) @ np.linalg.matrix_power(turned, len(roots)).T)
        turns.append(np.linalg.matrix_power(turned, len(turns)) @ rotations[1:])
    root, rotations = np.concatenate(roots), np.concatenate(turns)
    return replace(movement, root=root, rotations=rotations, grip=np.full((len(root), 2), RELAXED_GRIP))


# ---- what all clips get ---------------------------------------------------------------------------------------------


def clip(name: str, fps: float, root: np.ndarray, leg: float, rotations: np.ndarray) -> Movement:
    """A Movement of a body whose hip joints lie ``leg`` metres over its ankles."""
    if len(root) < MIN_FRAMES:
        raise Unusable(f"{len(root)} frames are too few")
    ankle = OFFSETS[0, 1] + OFFSETS[INDEX["calf_r"], 1] + OFFSETS[INDEX["foot_r"], 1]
    hip_height = leg * OFFSETS[0, 1] / (OFFSETS[0, 1] - ankle)
    return Movement(
        PurePosixPath(name).stem,
        float(fps),
        root,
        hip_height,
        rotations,
        np.full((len(root), 2), RELAXED_GRIP),
        source=name,
    )


def pieces(movement: Movement) -> list[Movement]:
    """The clip on its floor, cut where a joint jumps. Each piece starts at x = z = 0 and faces +Z.

    A cut piece names its frames.
    The floor is that of the whole clip: its feet's lowest points. A piece of it may be in the air.
    """
    movement = moved(movement, (0.0, -np.percentile(sole_points(movement)[..., 1].min((1, 2)), FLOOR_PERCENTILE), 0.0))
    local = local_rotations(movement.rotations)
    jumps = (angle_between(local[1:], local[:-1]) * movement.fps > MAX_RATE).any(1)
    bounds = [0, *(np.flatnonzero(jumps) + 1), len(movement)]
    runs = [(a, b) for a, b in zip(bounds, bounds[1:]) if b - a >= max(MIN_FRAMES, MIN_SECONDS * movement.fps)]
    if not runs:
        raise Unusable(
            f"no {MIN_SECONDS} s of it are free of jumps "
            f"({len(movement) / movement.fps:.2f} s, {len(bounds) - 2} jumps)"
        )
    parts = [
        replace(crop(movement, a, b), name=f"{movement.name}[{a}:{b}]") if b - a < len(movement) else movement
        for a, b in runs
    ]
    return [started_at_origin(part) for part in parts]


def started_at_origin(movement: Movement) -> Movement:
    movement = moved(movement, (-movement.root[0, 0], 0.0, -movement.root[0, 2]))
    return turn(movement, -heading(movement.rotations[0, 0]))


# ---- files ----------------------------------------------------------------------------------------------------------


def read_clips(path: Path) -> list[Movement]:
    """Every movement in a file, a folder (with all below it) or an archive, in order of their names.

    Feet are on the floor; the body starts at x = z = 0 and faces +Z. A clip with jumps gives the pieces between them.
    What is left out is logged, damaged files by name. Raises EgostreamError when nothing is left, or when the path
    cannot be read.
    """
    path = Path(path)
    movements, skipped, damaged = [], Counter(), []
    for name, data in texts(path, skipped):
        if is_note(name, data):
            skipped[PurePosixPath(name).suffix] += 1
            continue
        try:
            movements += pieces(read_clip(name, data))
        except Unusable as reason:
            damaged.append(f"{name}: {reason}")
            log.warning("%s left out: %s", name, reason)
    others = ", ".join(f"{count} {suffix}" for suffix, count in sorted(skipped.items()))
    log.info("%s: %d motions, %d unusable files, not motion: %s", path, len(movements), len(damaged), others or "none")
    if not movements:
        reason = damaged[0] if damaged else f"it holds {others or 'no files'}"
        raise EgostreamError(f"no usable motion in {path} ({reason}). Give {FORMATS}")
    return movements


def is_note(name: str, data: bytes) -> bool:
    """Text files that hold no JSON: notes and licences."""
    return name.lower().endswith(".txt") and not data.lstrip().startswith(b"{")


def read_clip(name: str, data: bytes) -> Movement:
    text = data.decode("utf-8", errors="replace")
    return movement_of_bvh(text, name) if name.lower().endswith(".bvh") else movement_of_deepmimic(text, name)


def texts(path: Path, skipped: Counter) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the movement files at ``path``; counts the others by suffix. Archives are read in memory."""
    try:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            for file in files:
                if file.name.lower().endswith(ARCHIVES):
                    yield from members(file, skipped)
                elif wanted(file.name, skipped):
                    yield str(file.relative_to(path)), file.read_bytes()
        elif path.name.lower().endswith(ARCHIVES):
            yield from members(path, skipped)
        elif path.name.lower().endswith(SUFFIXES) or not path.exists():
            yield path.name, path.read_bytes()
        else:
            raise EgostreamError(f"{path} is no motion file. Give {FORMATS}")
    except OSError as error:
        raise EgostreamError(f"motion {path} cannot be read: {error.strerror or error}. Give {FORMATS}") from None


def wanted(name: str, skipped: Counter) -> bool:
    if name.lower().endswith(SUFFIXES):
        return True
    skipped[PurePosixPath(name).suffix or PurePosixPath(name).name] += 1
    return False


def members(path: Path, skipped: Counter) -> Iterator[tuple[str, bytes]]:
    """As ``texts``, of one archive."""
    try:
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                names = sorted(info.filename for info in archive.infolist() if not info.is_dir())
                yield from ((name, archive.read(name)) for name in names if wanted(name, skipped))
        else:
            with tarfile.open(fileobj=io.BytesIO(path.read_bytes())) as archive:
                files = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)
                yield from (
                    (file.name, archive.extractfile(file).read()) for file in files if wanted(file.name, skipped)
                )
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise EgostreamError(f"archive {path} is damaged ({reason}). Download it again") from None
