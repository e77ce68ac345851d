#!/usr/bin/env python3
"""Render training data: people in rooms, seen by the fisheye camera on their heads, with everything known about them.

    python tools/make_synthetic.py --out data/synthetic                           # with the built-in body and motion
    python tools/make_synthetic.py --out data/mine --calibration my-camera.json   # as your own camera sees
    python tools/make_synthetic.py --out data/synthetic --body mpfb2 --motion cmu-bvh/ --train 2000 --val 40 --test 40

Better than the built-in ones, and free to use: the MakeHuman base mesh (folder mpfb2 with base.obj,
basemesh_vertex_groups.json, rigs/, targets/; CC0, from the MPFB project), and motion capture: BVH of CMU's database
(the conversions named cgspeed, fairmotion and iClone), DeepMimic's JSON, or .npz files of points
(tools/synthetic/movement/points.py). A killed run goes on where it stopped with
the same command, and one with more recordings adds to the folder. Bodies, clips and rooms of train, val and test never
mix.

Layout of the folder, one subfolder per recording:

    manifest.json                       format, calibration, mapping, fps, seed, recordings of each split
    calibration.json                    the camera
    train/000000/000000.jpg             the network's 256x256 input, or the camera's frame (--frame-size camera)
    train/000000/labels.npz             joints [F,15,3]: metres in camera axes
                                        keypoints [F,15,2]: pixels of the canonical full frame, with --frame-size
                                        camera of its own; far outside where the lens does not see
                                        visible [F,15]: lit and not hidden
                                        world_to_camera [F,4,4]: where the camera is
    train/000000/sequence.json          fps, seed, motion, the body's stature, the camera's mount (rig)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from egostream.calibration.file import OUR_LAYOUT, Calibration, as_json, canonical_calibration, load_calibration
from egostream.calibration.reach import reach_warnings
from egostream.calibration.view import INPUT_SIZE
from egostream.errors import EgostreamError
from egostream.files import asset, write_folder, write_whole
from tools.entry import run_tool
from tools.pages import keep_pages

if TYPE_CHECKING:
    from tools.synthetic.movement.movement import Movement
    from tools.synthetic.people.capsules import Capsules
    from tools.synthetic.people.makehuman import MakeHuman

FORMAT, SCHEMA = "egostream-synthetic", 1
SPLITS = ("train", "val", "test")
SUFFIXES = {".jpg", ".npz", ".json"}
MAX_CRASHES = 20


@dataclass(frozen=True)
class Settings:
    """Everything that the pictures depend on, besides a recording's own seed."""

    calibration: str  # path
    mapping: str
    frame_size: str  # "input" or "camera"
    body: str | None
    motion: tuple[str, ...]
    val_clips: tuple[str, ...]
    test_clips: tuple[str, ...]
    captured: float  # share of recordings that use captured motion rather than invented
    rig: str
    fps: float
    frames: int
    seed: int


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to make, or to go on with")
    parser.add_argument(
        "--calibration",
        type=Path,
        default=asset("calib", "canonical.json"),
        help="the headset's camera (the canonical one)",
    )
    parser.add_argument(
        "--mapping", choices=("crop", "squash"), default="crop", help="how a frame becomes the network's square (crop)"
    )
    parser.add_argument(
        "--frame-size",
        choices=("input", "camera"),
        default="input",
        help="256x256 network input, or the camera's full frame",
    )
    parser.add_argument("--body", type=Path, help="MakeHuman folder (a plain built-in body)")
    parser.add_argument("--motion", type=Path, nargs="+", default=[], help="BVH, DeepMimic, points (invented motion)")
    for split in ("val", "test"):
        parser.add_argument(
            f"--{split}-clips",
            nargs="+",
            default=[],
            metavar="NAME",
            help=f"takes kept for {split} (a tenth, by a hash of the name)",
        )
    parser.add_argument(
        "--captured", type=float, default=0.5, help="share of recordings with captured motion, given --motion (0.5)"
    )
    parser.add_argument(
        "--rig", choices=("boom", "brim", "glasses", "mix"), default="mix", help="where the camera is worn (mix)"
    )
    for split, count in zip(SPLITS, (200, 10, 20)):
        parser.add_argument(f"--{split}", type=int, default=count, help=f"recordings of the {split} split ({count})")
    parser.add_argument("--frames", type=int, default=96, help="frames per recording (96)")
    parser.add_argument("--fps", type=float, default=30.0, help="frames per second (30)")
    parser.add_argument("--seed", type=int, default=0)
    add_workers(parser)
    options = parser.parse_args(arguments)
    for name, least in (
        ("train", 0),
        ("val", 0),
        ("test", 0),
        ("frames", 1),
        ("fps", 0.1),
        ("jobs", 1),
        ("seed", 0),
        ("captured", 0),
    ):
        if not least <= getattr(options, name) <= (1 if name == "captured" else np.inf):
            raise EgostreamError(
                f"--{name} is {getattr(options, name)}, expected {least} or more{' to 1' if name == 'captured' else ''}"
            )
    return options


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Who renders: processes of this machine, or a cluster."""
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (all cores)")
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="render over a Ray cluster, whose machines share all these folders: HOST:PORT, auto or local",
    )


class Studio:
    """What one process needs to render recordings: assets and an OpenGL context, loaded once."""

    def __init__(self, settings: Settings):
        from tools.synthetic.movement.clips import read_clips
        from tools.synthetic.picture.render import Renderer

        self.settings = settings
        camera = load_calibration(settings.calibration)
        if settings.frame_size == "camera":
            self.renderer = Renderer(camera, camera.size, mapping=None)
        else:  # what the runtime's rectification makes of the camera's frames
            self.renderer = Renderer(canonical_calibration(), (INPUT_SIZE, INPUT_SIZE), settings.mapping, camera)
        self.people: MakeHuman | Capsules
        if settings.body:
            from tools.synthetic.people.makehuman import MakeHuman

            self.people = MakeHuman(Path(settings.body))
        else:
            from tools.synthetic.people.capsules import Capsules

            self.people = Capsules()
        clips = sorted(
            (clip for path in settings.motion for clip in read_clips(Path(path))), key=lambda clip: clip.name
        )
        self.clips = share_out(clips, {"val": settings.val_clips, "test": settings.test_clips})

    def render(self, folder: Path, split: str, number: int) -> None:
        """Write one recording, whole or not at all. Its seed (settings.seed, split, number) decides everything."""
        from tools.synthetic.movement.choreography import choose_movement
        from tools.synthetic.picture.sequence import shoot

        settings = self.settings
        rng = np.random.default_rng([settings.seed, SPLITS.index(split), number])
        body = self.people.sample(rng)
        movement = choose_movement(rng, self.clips[split], settings.captured, settings.frames / settings.fps)

        def fill(staging: Path) -> None:
            shots = []
            for f, shot in enumerate(
                shoot(self.renderer, body, movement, rng, settings.fps, settings.rig, settings.frames)
            ):
                (staging / f"{f:06d}.jpg").write_bytes(shot.jpeg)
                shots.append(shot)
            columns = {
                name: np.stack([getattr(shot, name) for shot in shots])
                for name in ("joints", "keypoints", "visible", "world_to_camera")
            }
            np.savez(staging / "labels.npz", **columns)  # type: ignore[arg-type]  # the stubs know one option only
            facts = {"frames": len(shots), "fps": settings.fps, "seed": [settings.seed, SPLITS.index(split), number]}
            facts |= {
                "motion": movement.name,
                "source": movement.source,
                "stature_m": round(body.stature, 3),
                "rig": shots[0].rig,
            }
            (staging / "sequence.json").write_text(json.dumps(facts, indent=1))

        write_folder(folder, SUFFIXES, fill)


def share_out(clips: list[Movement], held_out: dict[str, tuple[str, ...]]) -> dict[str, list]:
    """{split: clips}, by the take that a clip is part of, whatever the collection.

    held_out: {split: names} of takes. Where none are named, a hash of the name gives a tenth each to val and test.
    """
    from tools.synthetic.movement.clips import take_of

    shares: dict[str, list] = {split: [] for split in SPLITS}
    known = {take_of(clip.name): clip.name.split("[")[0] for clip in clips}
    for split, names in held_out.items():
        if unknown := sorted(name for name in names if take_of(name) not in known):
            raise EgostreamError(
                f"--{split}-clips names {unknown[0]}, which is no clip of --motion "
                f"(there are {', '.join(sorted(known.values())) or 'none'})"
            )
    taken = {split: {take_of(name) for name in names} for split, names in held_out.items()}
    for clip in clips:
        name = take_of(clip.name)
        chosen = [split for split, takes in taken.items() if name in takes]
        tenth = hashlib.sha256(name.encode()).digest()[0] % 10
        by_hash = {0: "val", 1: "test"}.get(tenth, "train") if not any(held_out.values()) else "train"
        shares[chosen[0] if chosen else by_hash].append(clip)
    return shares


studio: Studio | None = None


def start_studio(settings: Settings) -> Studio:
    """Load this process's studio."""
    global studio
    if parent := multiprocessing.parent_process():
        keep_pages()
        threading.Thread(target=end_with, args=(parent,), daemon=True).start()
    studio = Studio(settings)
    return studio


def end_with(parent: multiprocessing.process.BaseProcess) -> None:
    """End this worker when its parent ends: a killed parent cannot tell it to stop."""
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)


def render_one(job: tuple[Path, str, int]) -> str | None:
    """In a worker. Returns what went wrong, in one line."""
    assert studio is not None  # every worker begins with start_studio
    try:
        studio.render(*job)
    except EgostreamError as error:
        return str(error)
    except Exception as error:  # one recording that cannot be made must not end the others
        return f"{job[0]}: {error!r}"
    return None


def render_all(settings: Settings, jobs: list, workers: int) -> Iterator[str | None]:
    """Render jobs in processes; yields each one's problem, or None.

    Software OpenGL can crash a process: then new ones do what is left. Raises EgostreamError after MAX_CRASHES.
    """
    left, crashes = list(jobs), 0
    while left:
        try:
            with ProcessPoolExecutor(
                min(workers, len(left)), multiprocessing.get_context("spawn"), start_studio, (settings,)
            ) as pool:
                futures = {pool.submit(render_one, job): job for job in left}
                try:
                    for future in as_completed(futures):
                        problem = future.result()
                        left.remove(futures[future])
                        yield problem
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        except BrokenProcessPool:
            crashes += 1
            if crashes > MAX_CRASHES:
                raise EgostreamError(
                    f"rendering crashed {crashes} times, last around {left[0][0]}. Run the same command to go on"
                ) from None


def render_over(address: str, settings: Settings, jobs: list) -> Iterator[str | None]:
    """Render jobs over a Ray cluster; yields each one's problem, or None. Seeds decide all, so any split will do."""
    from egostream.annotate.cluster import each_on_ray
    from tools import make_synthetic  # by this name every machine can import it, and not as __main__

    tasks = [(asdict(settings), job) for job in jobs]
    for _, problem in each_on_ray(address, make_synthetic.render_on_node, tasks):
        yield str(problem) if problem else None


def render_on_node(task: tuple[dict, tuple[Path, str, int]]) -> str | None:
    """``render_one`` in a process of a Ray node. Returns what went wrong, in one line."""
    fields, job = task
    if studio is None or asdict(studio.settings) != fields:
        start_studio(Settings(**fields))
    return render_one(job)


def read_settings(path: Path) -> dict | None:
    """The settings in a manifest; None where there is no manifest."""
    try:
        return json.loads(path.read_text())["settings"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise EgostreamError(
            f"{path} is damaged ({error!r}). Delete it and run the same command: finished recordings are kept"
        ) from None


def read_names(path: Path) -> dict[str, list[str]]:
    """{split: recordings} that a manifest lists; none where there is no manifest, or it lists none."""
    try:
        listed = json.loads(path.read_text())["sequences"]
        return {split: [str(name) for name in listed.get(split, [])] for split in SPLITS}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {split: [] for split in SPLITS}


def finished(out: Path, *lists: dict[str, list[str]]) -> dict[str, list[str]]:
    """{split: recordings} of several lists that are there, sorted, each once."""
    return {
        split: sorted(
            {name for names in lists for name in names[split] if (out / split / name / "sequence.json").is_file()}
        )
        for split in SPLITS
    }


def write_manifest(out: Path, settings: Settings, names: dict[str, list[str]]) -> None:
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "fps": settings.fps,
        "mapping": settings.mapping,
        "frame_size": settings.frame_size,
    }
    manifest |= {"seed": settings.seed, "settings": asdict(settings), "sequences": names}
    text = json.dumps(manifest, indent=1)
    write_whole(out / "manifest.json", text.encode(), "Free some space and run the same command")


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that the command line asks for."""
    return Settings(
        calibration=str(options.calibration),
        mapping=options.mapping,
        frame_size=options.frame_size,
        body=options.body and str(options.body),
        motion=tuple(map(str, options.motion)),
        val_clips=tuple(options.val_clips),
        test_clips=tuple(options.test_clips),
        captured=options.captured,
        rig=options.rig,
        fps=options.fps,
        frames=options.frames,
        seed=options.seed,
    )


def begin_folder(out: Path, calibration: Path, settings: Settings) -> None:
    """Make the folder with its calibration. Raises EgostreamError when it holds data of other settings."""
    out.mkdir(parents=True, exist_ok=True)
    text, kept = calibration_text(calibration), out / "calibration.json"
    earlier, now = read_settings(out / "manifest.json"), json.loads(json.dumps(asdict(settings)))
    # A calibration is known by what it says, below: its path may be written in another way.
    changed = [key for key, value in now.items() if earlier and key != "calibration" and value != earlier.get(key)]
    if changed:
        raise EgostreamError(
            f"{out} was made with another {', '.join(changed)}. Choose another --out, or the same options"
        )
    if earlier is not None and kept.is_file() and kept.read_text() != text:
        raise EgostreamError(f"{out} was made before {calibration} changed. Choose another --out")
    kept.write_text(text)


def say_clips(clips: dict[str, list], captured: float, names: dict[str, list[str]]) -> None:
    """Say how many captured clips each split has, and which split would need some."""
    counts = {split: len(clips[split]) for split in SPLITS}
    print("captured clips: " + ", ".join(f"{count} {split}" for split, count in counts.items()), file=sys.stderr)
    for split in SPLITS:
        if captured and names[split] and not counts[split]:
            print(
                f"{split} has no captured clip: its motion is all invented. Name some with --{split}-clips",
                file=sys.stderr,
            )


def calibration_text(path: Path) -> str:
    """A calibration as a recording's folder keeps it: a file of ours as it is, any other in our layout."""
    camera = load_calibration(path)
    return path.read_text(encoding="utf-8-sig") if camera.layout.startswith(OUR_LAYOUT) else as_json(camera)


def say_warnings(camera: Calibration) -> None:
    """Say what is known against a calibration."""
    for line in reach_warnings(camera):
        print(f"WARNING: calibration {camera.name}: {line}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Render what is missing of a folder."""
    options = parse(arguments)
    settings = settings_of(options)
    say_warnings(load_calibration(options.calibration))
    try:
        begin_folder(options.out, options.calibration, settings)
    except OSError as error:
        raise EgostreamError(f"cannot write {options.out}: {error.strerror}. Choose another --out") from None
    names = {split: [f"{number:06d}" for number in range(getattr(options, split))] for split in SPLITS}
    jobs = [(options.out / split / name, split, int(name)) for split in SPLITS for name in names[split]]
    missing = [job for job in jobs if not (job[0] / "sequence.json").is_file()]
    earlier = read_names(options.out / "manifest.json")
    write_manifest(options.out, settings, finished(options.out, earlier))  # what was there stays, if this is cut off
    failures: list[str] = []
    console = Console(stderr=True)
    columns = (
        "rendering",
        Progress.get_default_columns()[1],
        MofNCompleteColumn(),
        "recordings",
        TimeRemainingColumn(),
    )
    here = start_studio(settings)  # here too: what is wrong with the assets is said once, before any worker starts
    if settings.motion:
        say_clips(here.clips, settings.captured, names)
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("", total=len(jobs), completed=len(jobs) - len(missing))
        rendered = (
            render_over(options.ray, settings, missing) if options.ray else render_all(settings, missing, options.jobs)
        )
        for problem in rendered:
            failures += [problem] if problem else []
            progress.advance(bar)
    done = finished(options.out, names, earlier)
    write_manifest(options.out, settings, done)
    made = ", ".join(f"{len(done[split])} {split}" for split in SPLITS)
    print(f"{options.out}: {made} recordings of up to {settings.frames} frames")
    if failures:
        raise EgostreamError(
            f"{len(failures)} recordings failed, the first: {failures[0]}. Run the same command to try them again"
        )


if __name__ == "__main__":
    run_tool(main, stopped="stopped. Run the same command to go on")
