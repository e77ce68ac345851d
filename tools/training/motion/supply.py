"""The bank that simulated sequences are drawn from, made once and kept: it takes a minute."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import zipfile
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from egostream.errors import EgostreamError
from egostream.files import replacing
from tools.synthetic.movement.clips import read_clips, take_of
from tools.synthetic.movement.movement import Movement
from tools.training.motion.bank import Movements, People, Skeletons, make_movements, make_skeletons

SAY_S = 5.0  # seconds between lines of progress
FIELDS = ("root", "turns", "offsets", "stature")


@dataclass(frozen=True)
class Supply:
    """What movements and people a bank is made of."""

    motion: tuple[str, ...]  # files, folders and archives of captured motion; none: invented movement alone
    held_out: tuple[str, ...]  # names of takes that are left out
    captured: float  # share of movements that are captured ones, given ``motion``
    body: str | None  # MakeHuman folder; None: the built-in body
    movements: int
    people: int
    seed: int


def add_supply_options(parser: argparse.ArgumentParser, movements: int, people: int) -> None:
    """Add the options of a supply; movements and people are defaults."""
    group = parser.add_argument_group("movement and people")
    group.add_argument(
        "--motion", nargs="+", default=[], metavar="PATH",
        help="captured motion: BVH, DeepMimic, .npz of points (tools/synthetic/movement/points.py), folders, archives",
    )  # fmt: skip
    group.add_argument("--held-out", nargs="+", default=[], metavar="NAME", help="takes never to learn from")
    group.add_argument("--captured", type=float, default=0.5, help="share of captured motion, given --motion (0.5)")
    group.add_argument("--body", help="MakeHuman folder, as make_synthetic.py takes it (the built-in body)")
    group.add_argument("--movements", type=int, default=movements, help=f"of 8 s, to cut from ({movements})")
    group.add_argument("--people", type=int, default=people, help=f"skeletons to move ({people})")


def supply_of(options: argparse.Namespace, seed: int) -> Supply:
    """The supply that a command line asks for. Raises EgostreamError for numbers that make no sense."""
    for name in ("movements", "people"):
        if getattr(options, name) < 1:
            raise EgostreamError(f"--{name} {getattr(options, name)}: at least 1")
    if not 0 <= options.captured <= 1:
        raise EgostreamError(f"--captured {options.captured}: 0 to 1")
    names = tuple(options.motion), tuple(options.held_out)
    return Supply(*names, options.captured, options.body, options.movements, options.people, seed)


def load_bank(supply: Supply, folder: Path, console: Console) -> tuple[Movements, Skeletons]:
    """The bank of a supply, from ``folder`` where it was made before, else made and kept there."""
    digest = hashlib.sha256(json.dumps(asdict(supply)).encode()).hexdigest()[:16]
    path = folder / f"bank-{digest}.npz"
    if path.is_file():
        try:
            with np.load(path) as kept:
                root, turns, offsets, stature = (kept[name] for name in FIELDS)
            return Movements(root, turns), Skeletons(offsets, stature)
        except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
            console.print(f"{path} is damaged: made again", markup=False)
    movements, skeletons = make_bank(supply, console)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(path, ".bank.partial") as draft, open(draft, "wb") as file:
        arrays = (movements.root, movements.turns, skeletons.offsets, skeletons.stature)
        np.savez(file, **dict(zip(FIELDS, arrays)))  # type: ignore[arg-type]  # the stubs know one option only
    return movements, skeletons


def make_bank(supply: Supply, console: Console) -> tuple[Movements, Skeletons]:
    """Read the motion, draw movements and people."""
    clips = read_motion([Path(path) for path in supply.motion], supply.held_out)
    if supply.motion:
        seconds = sum(clip.seconds for clip in clips)
        console.print(f"captured motion: {len(clips)} clips, {seconds:.0f} s")
    source = source_of_people(supply.body)
    skeletons = make_skeletons(source, supply.people, supply.seed, Counted("people", supply.people, console))
    tick = Counted("movements", supply.movements, console)
    return make_movements(clips, supply.captured, supply.movements, supply.seed, tick), skeletons


def read_motion(paths: Collection[Path], held_out: Collection[str] = ()) -> list[Movement]:
    """Every captured clip at some paths but those of takes that are held out, sorted by name.

    Raises EgostreamError where a path holds none.
    """
    left_out = {take_of(name) for name in held_out}
    clips = [clip for path in paths for clip in read_clips(path) if take_of(clip.name) not in left_out]
    return sorted(clips, key=lambda clip: (clip.name, clip.source))


class Counted:
    """Says every few seconds, on a terminal and in a log, how many of some things are made."""

    def __init__(self, what: str, total: int, console: Console):
        self.what, self.total, self.console = what, total, console
        self.count, self.begun_s = 0, time.monotonic()
        self.said_s = self.begun_s

    def __call__(self) -> None:
        """One more is made."""
        self.count += 1
        now = time.monotonic()
        if now - self.said_s >= SAY_S:
            self.said_s = now
            left = (now - self.begun_s) / self.count * (self.total - self.count)
            self.console.print(f"{self.count} of {self.total} {self.what}, about {left:.0f} s left")


def source_of_people(body: str | None) -> People:
    """The MakeHuman bodies of a folder, or the built-in ones."""
    if body:
        from tools.synthetic.people.makehuman import MakeHuman

        return MakeHuman(Path(body))
    from tools.synthetic.people.capsules import Capsules

    return Capsules()
