"""Draw a scene through a fisheye lens with OpenGL: the lens bends every vertex, so there are no seams to hide.

Triangles must be small against the bend of the lens (``scene`` tessellates what is large). Vertices far behind the
lens are moved beyond the far plane, so that no triangle is torn across the picture. Light is computed per vertex,
shadows and textures per pixel: in software, a pixel is what costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import moderngl
import numpy as np

from egostream.calibration.file import Calibration
from egostream.calibration.view import InputMapping
from egostream.errors import EgostreamError
from tools.synthetic.picture.shapes import Mesh

LENS_SAMPLES = 2048
MAX_MATERIALS = 64
MAX_LIGHTS = 4
TEXTURE_SIZE = 256
SHADOW_SIZE = 768
SUPERSAMPLE = 2  # per axis; averaging 2x2 pixels is cheaper here than hardware multisampling, and smooths textures too
FAR = 60.0  # metres

BEHIND = 1.95  # radians from the axis beyond which nothing is drawn: no lens here sees so far back

VERTEX = (
    """
#version 330
uniform mat4 world_to_camera;
uniform sampler2D lens;      // theta / pi -> radius in pixels along u and v
uniform vec2 centre;         // principal point, pixels
uniform vec4 window;         // pixels -> clip: clip = pixels * window.xy + window.zw
uniform vec3 eye;
uniform mat4 world_to_light;
uniform vec3 sky; uniform vec3 ground;
uniform vec3 light_at[LIGHTS]; uniform vec3 light_colour[LIGHTS];
uniform vec4 tint[MATERIALS];     // rgb, texture layer
uniform vec4 surface[MATERIALS];  // texture scale (1/m), texture contrast, specular, glow
in vec3 in_position; in vec3 in_normal; in vec2 in_uv; in float in_material;
out vec3 steady;  // light that throws no shadow here
out vec3 lit; out vec3 shine;  // of the first light
out vec4 shadowed; out vec3 uv; out float far;
flat out vec2 looks; flat out vec3 colour_of;
void main() {
    vec3 camera = (world_to_camera * vec4(in_position, 1)).xyz;
    far = length(camera);
    float n = length(camera.xy), theta = atan(n, camera.z);
    vec2 radius = texture(lens, vec2(theta / 3.14159265, 0.5)).rg;
    vec2 pixel = centre + (n > 1e-7 ? camera.xy / n : vec2(0)) * radius;
    gl_Position = vec4(pixel * window.xy + window.zw, theta > BEHIND ? 3 : 2 * far / FAR - 1, 1);
    int m = int(in_material + 0.5);
    vec4 s = surface[m];
    uv = vec3(in_uv * s.x, tint[m].a); looks = s.yw; colour_of = tint[m].rgb;
    vec3 N = normalize(in_normal), V = normalize(eye - in_position);
    if (dot(N, V) < 0) N = -N;
    steady = mix(ground, sky, 0.5 + 0.5 * N.y) + s.w;
    for (int i = 0; i < LIGHTS; i++) {
        vec3 L = light_at[i] - in_position; float d2 = dot(L, L); L *= inversesqrt(d2);
        vec3 power = light_colour[i] / (1 + 0.12 * d2);
        vec3 diffuse = power * max(dot(N, L), 0);
        if (i == 0) { lit = diffuse; shine = power * s.z * pow(max(dot(N, normalize(L + V)), 0), 24); }
        else steady += diffuse;
    }
    shadowed = world_to_light * vec4(in_position + N * 0.03, 1);
}
""".replace("FAR", f"{FAR:.1f}")
    .replace("BEHIND", str(BEHIND))
    .replace("MATERIALS", str(MAX_MATERIALS))
    .replace("LIGHTS", str(MAX_LIGHTS))
)

FRAGMENT = """
#version 330
uniform sampler2DArray textures;
uniform sampler2DShadow shadow;
in vec3 steady; in vec3 lit; in vec3 shine; in vec4 shadowed; in vec3 uv; in float far;
flat in vec2 looks; flat in vec3 colour_of;
layout(location = 0) out vec4 colour; layout(location = 1) out float distance_m;
void main() {
    vec3 albedo = colour_of * mix(vec3(1), 2 * texture(textures, uv).rgb, looks.x);
    vec3 q = shadowed.xyz / shadowed.w * 0.5 + 0.5;
    float seen = shadowed.w > 0 ? texture(shadow, q) : 1;
    colour = vec4(albedo * (steady + lit * seen) + shine * seen, 1);
    distance_m = far;
}
"""

SHADOW_VERTEX = """
#version 330
uniform mat4 world_to_light; in vec3 in_position;
void main() { gl_Position = world_to_light * vec4(in_position, 1); }
"""
SHADOW_FRAGMENT = "#version 330\nvoid main() {}"


@dataclass
class Looks:
    """Materials and light of a scene: everything that is not geometry."""

    tint: np.ndarray  # float [M, 4]: linear rgb, texture layer
    surface: np.ndarray  # float [M, 4]: texture scale, contrast, specular, glow
    textures: np.ndarray  # uint8 [L, TEXTURE_SIZE, TEXTURE_SIZE, 3], 128 is neutral
    sky: np.ndarray  # [3] light from above
    ground: np.ndarray  # [3] light from below
    light_at: np.ndarray  # [4, 3] world; the first throws shadows
    light_colour: np.ndarray  # [4, 3]


class Renderer:
    """One OpenGL context that draws frames of one calibration. size: pixels of the picture (width, height).

    mapping: "crop" or "squash" for the network's input of that calibration, None for the camera's own full frame.
    camera: who takes the picture before it is rectified to ``calibration``, which then sees no more than that camera.
    Raises EgostreamError when no OpenGL 3.3 can be had.
    """

    def __init__(
        self,
        calibration: Calibration,
        size: tuple[int, int],
        mapping: str | None = "crop",
        camera: Calibration | None = None,
    ):
        try:
            libraries: Any = {"backend": "egl", "libgl": "libGL.so.1", "libegl": "libEGL.so.1"}
            self.gl = moderngl.create_context(standalone=True, require=330, **libraries)
        except Exception as error:  # moderngl raises bare Exception
            raise EgostreamError(
                f"no OpenGL 3.3 through EGL: {error}. On Debian: apt-get install libegl1 libgl1 libgl1-mesa-dri"
            ) from None
        self.calibration, self.size, self.camera = calibration, size, camera or calibration
        offset, extent = np.zeros(2), np.array(calibration.size, float)
        if mapping:
            area = InputMapping(mapping, calibration.size)
            offset, extent = area.offset, area.extent
        self.offset, self.scale = offset, np.array(size) / extent
        # An item of a program is a uniform here; moderngl's types cannot say so.
        self.program: Any = self.gl.program(vertex_shader=VERTEX, fragment_shader=FRAGMENT)
        self.shadow_program: Any = self.gl.program(vertex_shader=SHADOW_VERTEX, fragment_shader=SHADOW_FRAGMENT)
        self.make_targets()
        self.make_lens()
        self.static = self.moving = None
        self.buffers: list = []

    def make_targets(self) -> None:
        """Make what is drawn into: the picture with its distances, and the shadow map."""
        gl, size = self.gl, (SUPERSAMPLE * self.size[0], SUPERSAMPLE * self.size[1])
        self.target = gl.framebuffer(
            [gl.texture(size, 4, dtype="f2"), gl.texture(size, 1, dtype="f2")], gl.depth_texture(size)
        )
        self.shadow_map = gl.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self.shadow_map.compare_func = "<="
        self.shadow_map.repeat_x = self.shadow_map.repeat_y = False
        self.shadow_target = gl.framebuffer(depth_attachment=self.shadow_map)
        gl.enable(moderngl.DEPTH_TEST)
        gl.cull_face = "front"  # the picture is upside down in OpenGL's axes, which turns every triangle around

    def make_lens(self) -> None:
        """The lens as a table of radii over theta, and where the camera stops seeing."""
        lens = self.calibration.lens
        if not lens.is_symmetric:
            raise EgostreamError(
                f"calibration {self.calibration.name}: tangential distortion is not rendered. "
                "Leave --frame-size camera out: input frames need none"
            )
        thetas = np.linspace(0, np.pi, LENS_SAMPLES)
        ahead = np.stack([np.sin(thetas), np.zeros_like(thetas), np.cos(thetas)], -1)
        aside = ahead[:, [1, 0, 2]]
        (u, seen), (v, _) = lens.project(ahead), lens.project(aside)
        centre = lens.project(np.array([0, 0, 1.0]))[0]
        radii = np.stack([u[:, 0] - centre[0], v[:, 1] - centre[1]], -1)
        last = int(np.flatnonzero(seen & (thetas < 2.0))[-1])  # beyond what the lens is fitted for: go on straight
        slope = radii[last] - radii[last - 1]
        radii[last:] = radii[last] + np.maximum(slope, 1e-3) * np.arange(LENS_SAMPLES - last)[:, None]
        self.centre, self.max_theta = centre, thetas[last]
        # texel centres lie at (i + 0.5) / n: sample the table there
        where = (np.arange(LENS_SAMPLES) + 0.5) / LENS_SAMPLES * np.pi
        table = np.stack([np.interp(where, thetas, radii[:, i]) for i in range(2)], -1).astype("f4")
        self.lens = self.gl.texture((LENS_SAMPLES, 1), 2, table.tobytes(), dtype="f4")
        self.lens.repeat_x = False
        window = np.array([2 * self.scale / self.size, 2 * (0.5 - self.offset) * self.scale / self.size - 1]).ravel()
        self.program["window"] = tuple(window)
        self.program["centre"] = tuple(centre)

    def pixels(self, points_camera) -> tuple[np.ndarray, np.ndarray]:
        """Camera points [..., 3] -> pixels of this picture [..., 2] and whether they lie in it."""
        uv, valid = self.calibration.lens.project(points_camera)
        xy = (uv + 0.5 - self.offset) * self.scale - 0.5
        return xy, valid & self.covered(points_camera) & ((xy >= -0.5) & (xy < np.array(self.size) - 0.5)).all(-1)

    def covered(self, rays) -> np.ndarray:
        """Whether the camera that takes the picture sees along these rays [..., 3]."""
        uv, valid = self.camera.lens.project(rays)
        return valid & ((uv >= -0.5) & (uv < np.array(self.camera.size) - 0.5)).all(-1)

    def set_scene(self, static: Mesh, body_faces: np.ndarray, body_vertices: int, looks: Looks):
        """What stays for a sequence: the room, the topology of what moves, and all materials."""
        for old in self.buffers:
            old.release()
        gl, program = self.gl, self.program
        layers = len(looks.textures)
        self.textures = gl.texture_array(
            (TEXTURE_SIZE, TEXTURE_SIZE, layers), 3, np.ascontiguousarray(looks.textures).tobytes()
        )
        self.textures.build_mipmaps()
        self.textures.filter = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)
        pad = lambda a: np.vstack([a, np.zeros((MAX_MATERIALS - len(a), 4))]).astype("f4").tobytes()
        program["tint"].write(pad(looks.tint))
        program["surface"].write(pad(looks.surface))
        program["sky"], program["ground"] = tuple(looks.sky), tuple(looks.ground)
        program["light_at"].write(looks.light_at.astype("f4").tobytes())
        program["light_colour"].write(looks.light_colour.astype("f4").tobytes())
        static_buffer = gl.buffer(static.interleaved())
        static_index = gl.buffer(static.faces.astype("i4").tobytes())
        self.moving_buffer = gl.buffer(reserve=body_vertices * 36)
        moving_index = gl.buffer(body_faces.astype("i4").tobytes())
        layout = ("3f 3f 2f 1f", "in_position", "in_normal", "in_uv", "in_material")
        shadow_layout = ("3f 24x", "in_position")
        self.arrays = [
            gl.vertex_array(program, [(b, *layout)], i)
            for b, i in ((static_buffer, static_index), (self.moving_buffer, moving_index))
        ]
        self.shadow_arrays = [
            gl.vertex_array(self.shadow_program, [(b, *shadow_layout)], i)
            for b, i in ((static_buffer, static_index), (self.moving_buffer, moving_index))
        ]
        self.light_at = looks.light_at[0]
        self.buffers = [
            static_buffer,
            static_index,
            self.moving_buffer,
            moving_index,
            self.textures,
            *self.arrays,
            *self.shadow_arrays,
        ]

    def light_matrix(self, target) -> np.ndarray:
        """World -> the shadow map, looking from the first light at the body."""
        forward = target - self.light_at
        distance = np.linalg.norm(forward)
        forward = forward / distance
        right = np.cross(forward, [0.31, 0, 0.95])
        right /= np.linalg.norm(right)
        up = np.cross(right, forward)
        view = np.eye(4)
        view[:3, :3] = np.stack([right, up, -forward])
        view[:3, 3] = -view[:3, :3] @ self.light_at
        near, far, spread = 0.2, distance + 6, distance / 1.6
        projection = np.zeros((4, 4))
        projection[0, 0] = projection[1, 1] = spread
        projection[2, 2], projection[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
        projection[3, 2] = -1
        return projection @ view

    def draw(self, moving: Mesh, world_to_camera: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Linear colour [H, W, 3] and distance along the ray [H, W] in metres (0: nothing), float32.

        world_to_camera: [4, 4], camera axes x right, y down, z forward. target: where shadows must be sharp.
        """
        self.moving_buffer.write(moving.interleaved())
        light = self.light_matrix(target).T.astype("f4").tobytes()
        self.shadow_program["world_to_light"].write(light)
        self.program["world_to_light"].write(light)
        self.shadow_target.use()
        self.shadow_target.clear(depth=1.0)
        for array in self.shadow_arrays:
            array.render()
        self.program["world_to_camera"].write(world_to_camera.T.astype("f4").tobytes())
        self.program["eye"] = tuple(np.linalg.inv(world_to_camera)[:3, 3])
        textures: dict[str, Any] = {"lens": self.lens, "textures": self.textures, "shadow": self.shadow_map}
        for slot, (name, texture) in enumerate(textures.items()):
            texture.use(slot)
            self.program[name] = slot
        self.target.use()
        self.target.clear()
        room, person = self.arrays
        self.gl.enable(moderngl.CULL_FACE)
        person.render()
        self.gl.disable(moderngl.CULL_FACE)
        room.render()
        width, height = (SUPERSAMPLE * side for side in self.size)
        colour = np.frombuffer(self.target.read(components=4, dtype="f2", attachment=0), "f2").reshape(height, width, 4)
        distance = np.frombuffer(self.target.read(components=1, dtype="f2", attachment=1), "f2").reshape(height, width)
        colour = cv2.resize(colour.astype(np.float32), self.size, interpolation=cv2.INTER_AREA)
        return colour[..., :3], distance[::SUPERSAMPLE, ::SUPERSAMPLE].astype(np.float32)
