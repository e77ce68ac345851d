"""Everything a run needs, resolved and checked once, before any process starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from egostream.calibration.file import Calibration, canonical_calibration, load_calibration
from egostream.calibration.mount import Mount, delivered_calibration
from egostream.calibration.reach import check_reach
from egostream.capture.camera import Pace
from egostream.capture.source_text import mcap_of
from egostream.capture.sources import check_source, clip_path, is_live, recording_of
from egostream.config import RunConfig, stream_configs
from egostream.engine.backends import choose_backend
from egostream.engine.choose import choose_precision, choose_runner, prepare_engines, processor_engines
from egostream.errors import EgostreamError
from egostream.graph.default_weights import resolve_weights, with_built
from egostream.graph.weights import Weights
from egostream.head.room import missing_mount
from egostream.publish.endpoints import check_endpoint, check_keys
from egostream.record.mcap_library import check_mcap
from egostream.redact import without_password
from egostream.run_setup import RunSetup, StreamSetup
from egostream.truth import Truth, truth_beside


def prepare_run(config: RunConfig, say: Callable[[str], None]) -> RunSetup:
    """Resolve weights, calibrations and engines; compile what is missing. Raises EgostreamError."""
    check_endpoint("publish", config.publish, config)
    if config.control:
        check_endpoint("control", config.control, msgspec.structs.replace(config, server_key="", insecure=False))
    if config.head:
        check_endpoint("head", config.head, config)
    check_keys(config)
    config = with_built(config)
    configs = stream_configs(config)
    for one in configs:
        check_source(one.source)
    weights = resolve_weights(config)
    streams = tuple(prepare_stream(one, weights, say) for one in configs)
    return with_engines(config, weights, streams, say)


def prepare_poses(config: RunConfig, say: Callable[[str], None]) -> RunSetup:
    """What the poses of one camera need, wherever its frames come from: no endpoint and no source is looked at.

    Every frame is wanted, as with ``--every-frame``. Raises EgostreamError.
    """
    config = with_built(config)
    weights = resolve_weights(config)
    stream = StreamSetup(config, resolve_calibration(config, weights), is_live=False, drops_frames=False)
    say_reach(stream, weights, say)
    return with_engines(config, weights, (stream,), say)


def with_engines(
    config: RunConfig, weights: Weights, streams: tuple[StreamSetup, ...], say: Callable[[str], None]
) -> RunSetup:
    """The run of these streams, with its engines, which are compiled where they are missing. Raises EgostreamError."""
    runner, precision = choose_runner(config, weights, len(streams), say)
    engines = prepare_engines(config, weights, runner, precision, len(streams), say)
    return RunSetup(config, weights, streams, tuple(engines))


def prepare_stream(config: RunConfig, weights: Weights, say: Callable[[str], None]) -> StreamSetup:
    """Resolve one stream's calibration and truth. Raises EgostreamError."""
    camera = resolve_calibration(config, weights)
    width, height = camera.size
    config = msgspec.structs.replace(config, width=config.width or width, height=config.height or height)
    stream = StreamSetup(
        config,
        camera,
        truth_of(config, say),
        is_live(config.source, say),
        mcap_of(config.source) if config.pace == Pace.EVERY_FRAME else None,
        drops_frames(config),
    )
    say_reach(stream, weights, say)
    if line := missing_mount(config, camera):
        say(line)
    return stream


def say_reach(stream: StreamSetup, weights: Weights, say: Callable[[str], None]) -> None:
    """Warn of a camera that sees little of the network's view. Raises EgostreamError where it sees too little."""
    for line in check_reach(stream.view(weights.input), stream.config.force):
        say(f"WARNING: calibration {stream.camera.name}: {line}")


def truth_of(config: RunConfig, say: Callable[[str], None]) -> Truth | None:
    """The truth beside a clip, unless it is another clip's. Raises EgostreamError when it is malformed."""
    truth = truth_beside(clip_path(config.source))
    if truth is None:
        return None
    recording = recording_of(config)
    try:
        recording.open()
        recording.close()
    except EgostreamError:
        return truth  # the camera's to say
    if (count := recording.count) and count != len(truth):  # 0: it is too large to be counted through
        say(
            f"no error is shown: the clip {without_password(config.source)} has {count} frames, "
            f"the ground truth beside it is of {len(truth)}"
        )
        return None
    return truth


def on_processor(setup: RunSetup, say: Callable[[str], None]) -> RunSetup:
    """The same run without its GPU, its engines compiled where they are missing. Raises EgostreamError."""
    runner = choose_backend("auto")
    config = msgspec.structs.replace(setup.config, engines="", precision="auto")
    precision = choose_precision(config, setup.weights, runner)
    engines = processor_engines(config, setup.weights, runner, precision, len(setup.streams), say)
    return replace(setup, config=config, engines=tuple(engines))


def resolve_calibration(config: RunConfig, weights: Weights) -> Calibration:
    """The camera's calibration: given, or canonical when the source is the sample or the user says so.

    A given one is of the delivered picture. A canonical one is of the picture after mirroring and turning.

    Raises EgostreamError where there is none.
    """
    if config.calibration and config.assume_canonical:
        raise EgostreamError("--calibration and --assume-canonical exclude each other: give one")
    if config.calibration:
        return load_calibration(config.calibration)
    if not config.assume_canonical and (mcap := mcap_of(config.source)):
        return recorded_calibration(*mcap, Mount(config.rotate, config.flip))
    if config.assume_canonical or config.source == "sample":
        upright = canonical_calibration(weights.input.calibration)
        return delivered_calibration(upright, Mount(config.rotate, config.flip))
    raise EgostreamError(
        f"no calibration for source {without_password(config.source)}, and guessing a lens gives wrong poses. "
        "Make one: python tools/calibrate.py --help; then run with --calibration FILE (or --assume-canonical)"
    )


def recorded_calibration(path: Path, stream: str, mount: Mount) -> Calibration:
    """The calibration in an MCAP recording. Raises EgostreamError where the file is none of egostream's."""
    check_mcap()
    from egostream.record.reader import RecordingReader  # needs the libraries of MCAP files

    return RecordingReader(path).about.stream(stream).camera(mount)


def drops_frames(config: RunConfig) -> bool:
    """Whether frames that are not taken in time are lost: of any camera, and of recordings unless all are wanted."""
    return config.pace != Pace.EVERY_FRAME or is_live(config.source)
