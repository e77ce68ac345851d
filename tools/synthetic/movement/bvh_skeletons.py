"""BVH files of three skeletons (recordings of CMU's database) as movements.

A skeleton's table says which of its joints moves each of our segments, and how that joint stands in the T-pose. From
both follow rotations relative to the T-pose: R = G(t) @ G(T-pose)^-1, with G the joint's global rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tools.synthetic.movement.bvh import Bvh, forward_kinematics, parse_bvh
from tools.synthetic.movement.movement import Movement
from tools.synthetic.movement.recording import Unusable, recorded_movement
from tools.synthetic.movement.rotations import (
    about,
    swing,
    transpose,
)
from tools.synthetic.movement.segments import INDEX, OFFSETS, SEGMENTS


@dataclass(frozen=True)
class Skeleton:
    """How a family of BVH files names and rests its joints."""

    scale: float  # metres per file unit
    joints: dict[str, str]  # segment -> joint
    rest: dict[str, np.ndarray]  # segment -> about how its joint stands in the T-pose; absent: as the world's axes

    def fits(self, bvh: Bvh) -> bool:
        """Whether a file has all of this skeleton's joints."""
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
    """The movement in a BVH file's text. Raises Unusable for a damaged file or an unknown skeleton."""
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
        float(np.linalg.norm(bone_offset(bvh, skeleton.joints[a], skeleton.joints[b])))
        for a, b in (("thigh_r", "calf_r"), ("calf_r", "foot_r"))
    )
    return recorded_movement(name, bvh.fps, np.mean(hips, 0) * skeleton.scale, leg * skeleton.scale, rotations)
