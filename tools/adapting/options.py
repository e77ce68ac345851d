"""What tools/adapt.py is told."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from egostream.errors import EgostreamError

MOST_HOURS = 1000.0
#: Hours that are taken where none are said.
CPU_HOURS, GPU_HOURS = 3.0, 0.5
SEED = 7001  # of no recording that the shipped weights were trained, or are judged, on


@dataclass(frozen=True)
class AdaptOptions:
    """What the command is told."""

    calibration: Path  # of the camera
    out: Path  # folder of everything that is made
    hours: float | None  # that it may take; None: as the machine suits
    weights: Path | None  # weights folder to start from; None: the shipped one
    rig: str  # where the camera is worn, as the renderer takes it
    body: Path | None  # MakeHuman folder
    motion: list[Path]  # captured motion
    clip: Path | None  # a few seconds of the camera itself, for int8; None: the sample
    trial: bool  # the least of everything, to see that it works; no hours are counted
    seed: int  # of people, movements and rooms
    jobs: int  # rendering processes

    def told(self) -> dict[str, object]:
        """The options that what is made depends on, as they are kept beside it. Files are named, not read."""
        return {
            "hours": self.hours,
            "trial": self.trial,
            "rig": self.rig,
            "body": str(self.body or ""),
            "motion": [str(path) for path in self.motion],
            "clip": str(self.clip or ""),
            "seed": self.seed,
        }


def parse_options(arguments: list[str] | None, description: str | None) -> AdaptOptions:
    """The command's options, paths absolute. Raises EgostreamError for a number that makes no sense."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calibration", type=Path, required=True, help="your camera's (tools/calibrate.py)")
    parser.add_argument(
        "--hours", type=float, help=f"that it may take ({CPU_HOURS:g}; with a GPU {GPU_HOURS:g}), as 0.5 or 8"
    )
    parser.add_argument("--out", type=Path, help="folder of all that is made (runs/adapt-NAME of the calibration)")
    parser.add_argument("--weights", type=Path, help="weights folder to start from (the shipped one)")
    parser.add_argument(
        "--rig", choices=("boom", "brim", "glasses", "mix"), default="mix", help="where the camera is worn (mix)"
    )
    parser.add_argument("--body", type=Path, help="MakeHuman folder, as make_synthetic.py takes it")
    parser.add_argument("--motion", type=Path, nargs="+", default=[], help="captured motion, as make_synthetic.py")
    parser.add_argument("--clip", type=Path, help="a few seconds of your camera, to find int8's scales on (the sample)")
    parser.add_argument(
        "--trial", action="store_true", help="the least of everything, to see that every part works here; no verdict"
    )
    parser.add_argument("--seed", type=int, default=SEED, help=f"of people, movements and rooms ({SEED})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="rendering processes (all cores)")
    given = parser.parse_args(arguments)
    check(given)
    out = given.out or Path("runs") / f"adapt-{given.calibration.stem}"
    paths = {name: value.absolute() for name in ("weights", "body", "clip") if (value := getattr(given, name))}
    fixed = {"out": out.absolute(), "motion": [path.absolute() for path in given.motion]}
    return AdaptOptions(**vars(given) | paths | fixed | {"calibration": given.calibration.absolute()})


def check(given: argparse.Namespace) -> None:
    """Raise EgostreamError for a number out of its bounds."""
    if given.hours is not None and not 0 < given.hours <= MOST_HOURS:
        raise EgostreamError(f"--hours {given.hours:g}: above 0, at most {MOST_HOURS:g}")
    for name, least in (("jobs", 1), ("seed", 0)):
        if getattr(given, name) < least:
            raise EgostreamError(f"--{name} {getattr(given, name)}: at least {least}")
