"""One rendered recording: a body, a movement, a headset and a room, drawn frame by frame with its labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from egostream.calibration.lens import project_or_outside
from tools.synthetic.movement.movement import Movement, Prop, sampled
from tools.synthetic.people.body import JOINT_DEPTH, SEGMENT, Body
from tools.synthetic.picture.clothes import body_mesh
from tools.synthetic.picture.headset import Rig, Sensor, random_rig, random_sensor
from tools.synthetic.picture.render import Renderer
from tools.synthetic.picture.room import make_scene
from tools.synthetic.picture.shapes import Mesh, box, merge

SHUTTER = 0.02  # seconds at most that a frame's light is gathered


@dataclass(frozen=True)
class Shot:
    """One frame with its labels."""

    rgb: np.ndarray  # uint8 [H, W, 3]
    jpeg: bytes
    joints: np.ndarray  # float32 [15, 3] metres, camera axes
    keypoints: np.ndarray  # float32 [15, 2] pixels of the calibration's full frame
    visible: np.ndarray  # bool [15]
    world_to_camera: np.ndarray  # float32 [4, 4]
    rig: str  # how the camera is mounted, see headset.RIGS


def held_mesh(prop: Prop, worn: dict[str, int], scale: float) -> Mesh:
    """A thing in a T-posed hand whose wrist is the origin, of a body ``scale`` times the movement's."""
    material = {"paper": "paper", "phone": "phone"}.get(prop.kind, "thing")
    return box(np.array(prop.offset) * scale, prop.size, worn[material], cell=0.06)


def shoot(
    renderer: Renderer,
    body: Body,
    movement: Movement,
    rng: np.random.Generator,
    fps: float,
    rig_kind: str = "boom",
    frames: int | None = None,
    noise: float = 1.0,
) -> Iterator[Shot]:
    """Frames of ``body`` performing ``movement``, seen by a headset worn by it. Everything else is drawn from rng.

    noise: factor on the sensor's noise.
    """
    span = (len(movement) - 1) / movement.fps
    count = int(span * fps + 1e-6) + 1
    count = count if frames is None else min(frames, count)
    exposures = int(rng.choice([1, 2, 3], p=[0.75, 0.15, 0.1]))  # moments that are averaged into one frame: motion blur
    taken = np.arange(count)[:, None] / fps + np.linspace(0, SHUTTER * rng.uniform(0.3, 1), exposures)
    movement = sampled(movement, taken.ravel() * movement.fps, fps)
    scale = body.hip_height / movement.hip_height
    root = movement.root * scale
    turns, heads = body.pose(root, movement.rotations, movement.grip)
    rig: Rig = random_rig(rng, rig_kind)
    cameras = rig.world_to_camera(body, turns, heads)
    world_joints = body.joints(heads)
    still = [scaled(prop, scale) for prop in movement.props if not prop.hand]
    static, worn, looks = make_scene(rng, root[::exposures], still)
    things = [(prop, held_mesh(prop, worn, scale)) for prop in movement.props if prop.hand]
    draw = lambda k: moving_mesh(body, worn, turns[k], heads[k], things, movement, k)
    template = draw(0)
    renderer.set_scene(static, template.faces, len(template.vertices), looks)
    sensor: Sensor | None = None
    for first in range(0, count * exposures, exposures):
        moments = range(first, first + exposures)
        drawn = [renderer.draw(template if k == 0 else draw(k), cameras[k], root[k]) for k in moments]
        light = np.sum([colour for colour, _ in drawn], axis=0) / exposures
        if sensor is None:
            sensor = random_sensor(rng, renderer, light)
            sensor = replace(sensor, shot=noise * sensor.shot, read=noise * sensor.read)
        rgb = sensor.develop(light, rng)
        joints = np.mean([world_joints[k] @ cameras[k, :3, :3].T + cameras[k, :3, 3] for k in moments], 0)
        middle = exposures // 2
        yield Shot(
            rgb=rgb,
            jpeg=sensor.encode(rgb),
            joints=joints.astype(np.float32),
            keypoints=project_or_outside(renderer.calibration.lens, joints).astype(np.float32),
            visible=seen(renderer, joints, drawn[middle][1], sensor.vignette),
            world_to_camera=cameras[first + middle].astype(np.float32),
            rig=rig.kind,
        )


def scaled(prop: Prop, scale: float) -> Prop:
    """A thing of the room at the size of this body: heights fit, so that it sits on its chair."""
    return replace(
        prop, centre=tuple(np.multiply(prop.centre, scale)), size=tuple(np.multiply(prop.size, (1, scale, 1)))
    )


def moving_mesh(body: Body, worn, turns, heads, things, movement: Movement, frame: int) -> Mesh:
    """Body and what its hands hold, one frame."""
    meshes = [body_mesh(body, worn, *body.skin(turns, heads))]
    for prop, mesh in things:
        R = movement.rotations[frame, SEGMENT[f"hand_{prop.hand}"]]
        wrist = heads[body.bones.segment_bone(f"hand_{prop.hand}")]
        meshes.append(
            Mesh(
                (mesh.vertices @ R.T + wrist).astype("f4"),
                (mesh.normals @ R.T).astype("f4"),
                mesh.uv,
                mesh.materials,
                mesh.faces,
            )
        )
    return merge(meshes)


def seen(renderer: Renderer, joints, surface, vignette) -> np.ndarray:
    """Which joints [15, 3] are seen: in the lit part of the picture, and no more than their flesh behind the surface.

    surface [H, W]: metres to the nearest thing drawn; vignette [H, W, 1]: how much light comes through the lens.
    """
    xy, inside = renderer.pixels(joints)
    x, y = np.clip(np.round(xy).astype(int), 0, np.array(renderer.size) - 1).T
    nearest = np.where(surface[y, x] > 0, surface[y, x], np.inf)  # 0: nothing was drawn there
    return inside & (vignette[y, x, 0] > 0.1) & (nearest > np.linalg.norm(joints, axis=1) - JOINT_DEPTH)
