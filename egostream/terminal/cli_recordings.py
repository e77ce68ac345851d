"""The commands of MCAP recordings: record and replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from egostream.config import RunConfig, load_config
from egostream.errors import EgostreamError
from egostream.publish.client import DEFAULT_ENDPOINT
from egostream.terminal.options import (
    Backend,
    ClientKey,
    ClientKeys,
    ControlEndpoint,
    Endpoint,
    Engines,
    EveryFrame,
    Filter,
    Insecure,
    Loop,
    Motion,
    Precision,
    Preset,
    PublishEndpoint,
    Rays,
    Record,
    Seconds,
    SecretKey,
    ServerKey,
    Temporal,
    Threads,
    Weights,
)


def record(
    output: Annotated[Path, typer.Option("-o", "--output", help="MCAP file to write; it must not exist.")],
    images: Annotated[
        bool, typer.Option("--images/--no-images", help="Record the camera's pictures (default).")
    ] = True,
    seconds: Annotated[float, typer.Option("--seconds", min=0, help="Stop after so long; 0: at Ctrl-C.")] = 0.0,
    stream: Annotated[
        Optional[list[str]], typer.Option("--stream", help="A stream to record; repeat it. Default: all of the run.")
    ] = None,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset/--no-reset",
            help="Ask the run to forget its past when recording begins (default), so that a replay knows all of it.",
        ),
    ] = True,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    control: Annotated[str, typer.Option("--control", help="Control endpoint of the run.")] = RunConfig().control,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Record a running stream: poses, pictures, calibration and settings, into an MCAP file."""
    from egostream.record.settings import RecordSettings
    from egostream.terminal.record import record_stream

    keys = (server_key, client_key)
    record_stream(
        RecordSettings(output, endpoint, control, tuple(stream or ()), images, seconds, keys, asks_reset=reset)
    )


def replay(
    file: Annotated[Path, typer.Argument(help="An MCAP file of egostream record.")],
    every_frame: EveryFrame = False,
    is_check: Annotated[
        bool, typer.Option("--check", help="Compare the recorded poses with those of now, bit for bit; no sockets.")
    ] = False,
    publish_only: Annotated[
        bool, typer.Option("--publish-only", help="Send the recorded messages with their timing; no network runs.")
    ] = False,
    as_recorded: Annotated[
        bool, typer.Option("--as-recorded", help="With --publish-only: byte for byte. Else stamps are moved to now.")
    ] = False,
    stream: Annotated[
        Optional[list[str]], typer.Option("--stream", help="A recorded stream; repeat it. Default: all.")
    ] = None,
    loop: Loop = None,
    weights: Weights = None,
    engines: Engines = None,
    backend: Backend = None,
    preset: Preset = None,
    precision: Precision = None,
    temporal: Temporal = None,
    motion: Motion = None,
    filter: Filter = None,
    rays: Rays = None,
    threads: Threads = None,
    publish: PublishEndpoint = None,
    control: ControlEndpoint = None,
    server_key: SecretKey = None,
    client_keys: ClientKeys = None,
    insecure: Insecure = None,
    record: Record = None,
    seconds: Seconds = None,
) -> None:
    """Play a recording as a run's camera, with its settings; or check its poses; or send its messages again."""
    flags = {key: value for key, value in locals().items() if key in RunConfig.__struct_fields__ and value is not None}
    flags.pop("stream", None)
    if every_frame:
        flags["pace"] = "every-frame"
    if is_check and publish_only:
        raise EgostreamError("--check and --publish-only exclude each other: give one")
    from egostream.terminal.replay import check, check_file, replay_config, replay_live, send_messages

    check_file(file)
    if publish_only:
        return send_messages(file, stream or [], load_config(None, flags), as_recorded)
    settings = replay_config(file, stream or [], flags)
    if not is_check:
        return replay_live(settings)
    if not check(file, settings):
        raise typer.Exit(1)
