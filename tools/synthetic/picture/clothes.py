"""What people wear and hold: skin tones, hair, cloth, and the mesh of a dressed body."""

from __future__ import annotations

import numpy as np

from tools.synthetic.people.body import REGIONS, Body
from tools.synthetic.picture.materials import Materials, linear, random_colour
from tools.synthetic.picture.shapes import Mesh

SKIN_TONES = np.array(
    [
        (0.93, 0.74, 0.63),
        (0.85, 0.63, 0.50),
        (0.76, 0.54, 0.40),
        (0.60, 0.40, 0.28),
        (0.42, 0.27, 0.18),
        (0.27, 0.17, 0.12),
    ]
)


HAIR = np.array(
    [
        (0.05, 0.04, 0.04),
        (0.14, 0.09, 0.06),
        (0.30, 0.19, 0.11),
        (0.62, 0.48, 0.28),
        (0.45, 0.43, 0.42),
        (0.45, 0.18, 0.08),
    ]
)


def dress_materials(rng, materials: Materials) -> dict[str, int]:
    """Materials of skin, hair, cloth and of what the hands hold."""
    tone = rng.uniform(0, len(SKIN_TONES) - 1)
    low = int(tone)
    skin = SKIN_TONES[low] + (tone - low) * (SKIN_TONES[min(low + 1, len(SKIN_TONES) - 1)] - SKIN_TONES[low])
    skin = np.clip(skin * rng.uniform(0.9, 1.1) + rng.normal(0, 0.015, 3), 0.05, 1)
    cloth = lambda: rng.choice(["plain", "plain", "plain", "stripes", "plaid", "print", "checks"])
    shirt = materials.add(random_colour(rng, 0.5), cloth(), rng.uniform(1.5, 6), rng.uniform(0.1, 0.9))
    same = rng.random() < 0.15
    return {
        "skin": materials.add(linear(skin), "plain", 3.0, 0.25, rng.uniform(0.02, 0.15)),
        "lips": materials.add(linear(skin * (0.9, 0.6, 0.6)), "plain", 3.0, 0.1, 0.1),
        "hair": materials.add(linear(HAIR[rng.integers(len(HAIR))] * rng.uniform(0.7, 1.3)), "carpet", 6.0, 0.8, 0.1),
        "shirt": shirt,
        "trousers": shirt if same else trousers(rng, materials),
        "shoes": materials.add(random_colour(rng, 0.7), "plain", 8.0, 0.5, rng.uniform(0, 0.3)),
        "paper": materials.add((0.5, 0.5, 0.5), "page", rng.uniform(1.5, 4), 1.0, 0.02),
        "phone": materials.add((0.04, 0.04, 0.05), "plain", 8.0, 0.5, 0.4, glow=rng.uniform(0, 2)),
        "thing": materials.add(random_colour(rng), rng.choice(["plain", "stripes", "print"]), 4.0, 0.7, 0.2),
    }


def trousers(rng: np.random.Generator, materials: Materials) -> int:
    """Cloth for trousers, often blue as denim; returns its index in the table of materials."""
    colour = random_colour(rng, 0.6) * (0.5, 0.55, 0.8) if rng.random() < 0.4 else random_colour(rng, 0.7)
    weave = rng.choice(["plain", "plain", "plain", "plaid"])
    return materials.add(colour, weave, rng.uniform(2, 6), rng.uniform(0.1, 0.6))


def body_mesh(body: Body, worn: dict[str, int], vertices, normals) -> Mesh:
    """One posed frame of a body with its materials."""
    materials = np.array([worn[name] for name in REGIONS])[body.regions]
    rest = body.vertices
    uv = np.stack([rest[:, 0] + 0.6 * rest[:, 2], rest[:, 1]], 1)
    return Mesh(vertices, normals, uv, materials, body.faces)
