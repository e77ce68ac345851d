"""What is to be done: which recordings go to which files, and which are done already."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from egostream.annotate.formats import FORMATS, OVERLAY_SUFFIX, OVERLAYS, Format, format_of
from egostream.annotate.places import check_writable, is_remote, is_there
from egostream.annotate.sources import Found
from egostream.capture.source_text import local_path
from egostream.capture.sources import clip_path
from egostream.errors import EgostreamError

FIELDS = "{below}, {stem} and {name}"


@dataclass(frozen=True)
class Job:
    """One recording and the files that its poses go to."""

    source: str
    outputs: tuple[str, ...]  # files of poses, by their suffix
    overlays: tuple[str, ...] = ()  # pictures with bones on them
    is_smoothed: bool = False

    @property
    def wants_pictures(self) -> bool:
        """Whether one of its files holds pictures."""
        return bool(self.overlays) or any(format_of(place).wants_pictures for place in self.outputs)

    @property
    def places(self) -> tuple[str, ...]:
        """All files that it makes."""
        return self.outputs + self.overlays


@dataclass(frozen=True)
class Plan:
    """The recordings that are to be done, and how many are done already."""

    jobs: list[Job]
    done_before: int


def make_plan(
    found: Sequence[Found], outs: Sequence[str], suffix: str, overlay: str, is_smoothed: bool, again: bool
) -> Plan:
    """The plan for these recordings.

    outs: of each ``-o``, a file, a folder or a pattern. suffix: of files in folders. overlay: as one of ``outs``;
    empty: none. again: do what is done, too. Raises EgostreamError for outputs that do not fit, or are there although
    they were named by hand.
    """
    if not outs and not overlay:
        raise EgostreamError("nowhere to write: name a file or a folder, -o poses.parquet, or --overlay bones.mp4")
    named = [*((out, FORMATS, suffix) for out in outs), *([(overlay, OVERLAYS, OVERLAY_SUFFIX)] if overlay else [])]
    columns = [outputs_of(found, *one) for one in named]
    jobs = [
        Job(one.source, tuple(row[: len(outs)]), tuple(row[len(outs) :]), is_smoothed)
        for one, row in zip(found, zip(*columns))
    ]
    check_outputs(jobs)
    is_by_hand = len(jobs) == 1 and any(is_file(out, formats) for out, formats, _ in named)
    if is_by_hand and not again:
        refuse_existing(jobs[0])
    left = [job for job in jobs if again or not all(is_there(place) for place in job.places)]
    if left:
        check_writable(left[0].places[0])
    return Plan(left, len(jobs) - len(left))


def outputs_of(found: Sequence[Found], out: str, formats: dict[str, Format], suffix: str) -> list[str]:
    """The file of each recording, for one ``-o``. Raises EgostreamError.

    - ``{`` in it: a pattern, with the fields of FIELDS.
    - It ends in a format's suffix: a file, of the only recording.
    - Else a folder, in which recordings lie as they lie below what was named.
    """
    if "{" in out:
        format_of(out, formats)
        return [filled(out, one) for one in found]
    if is_file(out, formats):
        format_of(out, formats)
        if len(found) > 1:
            raise EgostreamError(
                f"{len(found)} recordings and one file {out}. Name a folder, or a pattern: "
                f"-o '{PurePath(out).parent / '{stem}'}{PurePath(out).suffix}'"
            )
        return [out]
    if PurePath(out).suffix and not out.endswith(("/", os.sep)) and not is_remote(out) and not os.path.isdir(out):
        format_of(out, formats)  # which it has none of: a folder of such a name ends in a slash
    format_of(f"poses{suffix}", formats)
    return [joined(out, one.below, one.stem + suffix) for one in found]


def is_file(out: str, formats: dict[str, Format]) -> bool:
    """Whether ``-o`` names a file, by its suffix."""
    return "{" not in out and PurePath(out).suffix.lower() in formats and not out.endswith(("/", os.sep))


def filled(pattern: str, found: Found) -> str:
    """A pattern's file for a recording. Raises EgostreamError for fields that there are none of."""
    try:
        text = pattern if found.below else pattern.replace("{below}/", "")  # which would begin at the root
        return text.format(below=found.below, stem=found.stem, name=found.name)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise EgostreamError(f"-o '{pattern}' is no pattern of paths: its fields are {FIELDS}") from None


def joined(folder: str, below: str, name: str) -> str:
    """A file in a folder, which may be a remote place."""
    return "/".join(part for part in (folder.rstrip("/"), below, name) if part)


def check_outputs(jobs: Sequence[Job]) -> None:
    """Raise EgostreamError where two recordings have one file, or a recording would be overwritten."""
    sources = {str(clip_path(job.source).resolve()) for job in jobs if not is_remote(job.source)}
    taken: dict[str, str] = {}
    for job, place in ((one, place) for one in jobs for place in one.places):
        path = place if is_remote(place) else str(local_path(place).resolve())
        if path in sources:
            raise EgostreamError(f"{place} is a recording, which would be overwritten. Choose another place: -o")
        if path in taken:
            raise EgostreamError(
                f"{taken[path]} and {job.source} would both be written to {place}. "
                f"Tell them apart by a pattern of {FIELDS}: -o 'poses/{{below}}/{{name}}{PurePath(place).suffix}'"
            )
        taken[path] = job.source


def refuse_existing(job: Job) -> None:
    """Raise EgostreamError where a file is there that was named by hand: it may be another recording's."""
    for place in existing(job):
        raise EgostreamError(f"{place} exists. To make it anew: --again")


def existing(job: Job) -> Iterator[str]:
    """The files of a job that are there."""
    return (place for place in job.places if is_there(place))
