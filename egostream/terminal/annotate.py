"""``egostream annotate``: its options, its progress bar, its report."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from egostream.config import RunConfig, load_config
from egostream.terminal.options import (
    AsJson,
    AssumeCanonical,
    Backend,
    CalibrationFile,
    ConfigFile,
    Engines,
    Filter,
    Flip,
    Force,
    Fps,
    Motion,
    Precision,
    Preset,
    Rays,
    Temporal,
    Threads,
    Weights,
)

Named = Annotated[
    list[str],
    typer.Argument(
        help="Videos, folders of images, folders of such, patterns ('data/**/*.mp4'), 'sample', or URLs.",
        metavar="SOURCE...",
        show_default=False,
    ),
]
Outs = Annotated[
    Optional[list[str]],
    typer.Option(
        "-o",
        "--output",
        help="Where poses go: a file by its suffix (.parquet, .csv, .jsonl, .npz, .bvh, .vrma, .glb), a folder "
        "(--format), or a pattern as 'poses/{below}/{stem}.csv'. Repeat it for several.",
    ),
]
Ray = Annotated[
    str,
    typer.Option(
        "--ray",
        help="Do it over a Ray cluster: HOST:PORT, auto (the one that this machine belongs to), or local.",
        metavar="ADDRESS",
    ),
]
Stature = Annotated[Optional[float], typer.Option("--stature", help="How tall the wearer is, metres.")]
Rotate = Annotated[
    Optional[int], typer.Option("--rotate", help="Degrees clockwise (0, 90, 180, 270) that turn the picture upright.")
]


def annotate(
    sources: Named,
    output: Outs = None,
    format: Annotated[str, typer.Option("--format", help="Suffix of files in a folder.")] = "parquet",
    overlay: Annotated[
        str, typer.Option("--overlay", help="Draw the bones on the pictures: an .mp4, a folder, or a pattern.")
    ] = "",
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Filter forward and backward, which delays nothing, instead of --filter.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Recordings at once; 0: as many as there are cores.")] = 0,
    again: Annotated[bool, typer.Option("--again", help="Make files anew that are there already.")] = False,
    ray: Ray = "",
    config: ConfigFile = None,
    calibration: CalibrationFile = None,
    assume_canonical: AssumeCanonical = None,
    rotate: Rotate = None,
    flip: Flip = None,
    force: Force = None,
    fps: Fps = None,
    weights: Weights = None,
    engines: Engines = None,
    backend: Backend = None,
    preset: Preset = None,
    precision: Precision = None,
    temporal: Temporal = None,
    motion: Motion = None,
    filter: Filter = None,
    rays: Rays = None,
    stature: Stature = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Turn whole recordings into files of poses: every frame, as fast as the machine goes.

    What is done already is not done again: a run that was broken off goes on with the same command.
    """
    flags = {key: value for key, value in locals().items() if key in RunConfig.__struct_fields__}
    from egostream.terminal.annotate_files import Wanted, annotate_files

    wanted = Wanted(tuple(sources), tuple(output or ()), format, overlay, smooth, jobs, ray, again, as_json)
    annotate_files(load_config(config, flags), wanted)
