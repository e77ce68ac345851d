"""``annotate --ray``: each recording is a task on some machine of a Ray cluster."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec

from egostream.annotate.cluster import each_on_ray
from egostream.annotate.one import Report, annotate
from egostream.annotate.places import is_remote
from egostream.annotate.plan import Job
from egostream.annotate.work import Event
from egostream.calibration.file import as_json
from egostream.capture.quiet import silence_libraries
from egostream.capture.source_text import local_path
from egostream.config import RunConfig
from egostream.redact import without_password
from egostream.run_setup import RunSetup
from egostream.supervise.prepare import prepare_poses
from egostream.track.in_process import InProcessStream


@dataclass(frozen=True)
class Task:
    """A recording, and all that a machine must know to annotate it. Weights and recordings it must reach itself."""

    config: RunConfig
    calibration: str  # our own JSON of the camera; empty: the settings need none
    job: Job


#: The loaded stream of a Ray worker, by its settings: Ray's processes do one task after another.
LOADED: dict[tuple[RunConfig, str], InProcessStream] = {}


def work_on_ray(setup: RunSetup, jobs: Sequence[Job], address: str) -> Generator[Event]:
    """Annotate recordings over a cluster. Yields the report of each; a file that cannot be written ends all.

    Raises EgostreamError where no cluster answers.
    """
    threads = setup.config.threads or 1  # how many there are does not change a pose
    config = msgspec.structs.replace(setup.config, threads=threads)
    calibration = as_json(setup.streams[0].camera) if config.calibration else ""
    tasks = [Task(config, calibration, job) for job in jobs]
    for task, report in each_on_ray(address, annotate_on_node, tasks, threads):
        if isinstance(report, Exception):
            name = without_password(task.job.source)
            report = Report(name, error=f"{name}: {report}")
        yield task.job, report
        if report.is_fatal:
            return


def annotate_on_node(task: Task) -> Report:
    """Annotate one recording in this process of a machine. Half-made files of a machine that died are taken away."""
    for place in task.job.places:
        if not is_remote(place):
            path = local_path(place)
            for draft in path.parent.glob(f".*.{glob.escape(path.name)}"):
                draft.unlink(missing_ok=True)
    return annotate(loaded(task.config, task.calibration), task.job, lambda *_: None)


def loaded(config: RunConfig, calibration: str) -> InProcessStream:
    """The stream of these settings, loaded once in a process. Its engines are compiled for this machine."""
    if (config, calibration) not in LOADED:
        cv2.setNumThreads(1)
        silence_libraries()
        with tempfile.TemporaryDirectory(prefix="egostream-") as folder:
            here = config
            if calibration:
                path = Path(folder) / "camera.json"
                path.write_text(calibration, encoding="utf-8")
                here = msgspec.structs.replace(config, calibration=str(path))
            LOADED[config, calibration] = InProcessStream(prepare_poses(here, lambda line: None), lambda line: None)
    return LOADED[config, calibration]
