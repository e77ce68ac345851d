"""``egostream head``: send a headset's pose to a run."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Optional

import typer

from egostream.errors import EgostreamError
from egostream.head.sender import DEFAULT_ENDPOINT, HeadSender
from egostream.publish.client import DEFAULT_ENDPOINT as POSES
from egostream.publish.client import PoseSubscriber
from egostream.terminal.options import ClientKey, ServerKey

head_app = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Send a headset's pose to a run, so that poses are in the room."
)
To = Annotated[str, typer.Option("--to", help="Where the run takes head poses (egostream run --head ENDPOINT).")]
Streams = Annotated[
    Optional[list[str]], typer.Option("--stream", help="Name of the stream; repeat it for several cameras on one head.")
]
LatencyMs = Annotated[
    float, typer.Option("--latency-ms", min=0, max=1000, help="How old a pose is when it is got, milliseconds.")
]


def say(text: str) -> None:
    """Print a note on standard error."""
    print(text, file=sys.stderr, flush=True)


@head_app.command("csv", epilog="Example: egostream head csv head.csv")
def csv(
    file: Annotated[Path, typer.Argument(help="Rows of t_s, x, y, z, qx, qy, qz, qw or gx, gy, gz (docs/head.md).")],
    to: To = DEFAULT_ENDPOINT,
    stream: Streams = None,
    loop: Annotated[bool, typer.Option("--loop", help="Start again at the end.")] = False,
    with_poses: Annotated[
        bool,
        typer.Option("--with-poses", help="The first row belongs to the run's first frame, as with a recording."),
    ] = False,
    space: Annotated[
        str,
        typer.Option("--space", help="What the room is called (the file's name); stage: its y counts from the floor."),
    ] = "",
    endpoint: Annotated[str, typer.Option("--endpoint", help="With --with-poses: the publisher's endpoint.")] = POSES,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Replay a file on time."""
    from egostream.head.csv_file import read_head_csv, replay

    rows = read_head_csv(file, space)
    with HeadSender(to, stream or [], server_key, client_key) as sender:
        sender.wait_for_run()
        start_ns = time.monotonic_ns()
        if with_poses:
            start_ns = first_capture_ns(endpoint, sender.streams[0], (server_key, client_key))
        say(f"sending {len(rows)} head poses to {to}")
        replay(rows, sender, start_ns, loop)
        say(f"sent {sender.sent}")


def first_capture_ns(endpoint: str, stream: str, keys: tuple[str, str]) -> int:
    """When the first frame of a run was captured, by the first pose that comes. Raises EgostreamError."""
    with PoseSubscriber(endpoint, stream, every=True, server_key=keys[0], client_key=keys[1]) as poses:
        pose = poses.newest()
    if pose is None or not pose.same_clock:
        raise EgostreamError(f"--with-poses: {endpoint} is another machine's, whose clock is another. Replay it there")
    return pose.t_capture_ns


@head_app.command("openvr", epilog="Example: egostream head openvr")
def openvr(
    to: To = DEFAULT_ENDPOINT,
    stream: Streams = None,
    rate: Annotated[float, typer.Option("--rate", min=1, max=1000, help="Poses a second.")] = 200.0,
    latency_ms: LatencyMs = 0.0,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Send the headset's pose that SteamVR tells (also ALVR). It never starts SteamVR."""
    from egostream.head.openvr_headset import follow, open_openvr

    system = open_openvr()
    with HeadSender(to, stream or [], server_key, client_key) as sender:
        sender.wait_for_run()
        follow(system, sender, rate, round(latency_ms * 1e6), say)


@head_app.command("vrchat", epilog="Example: egostream head vrchat --host 192.168.1.5")
def vrchat(
    to: To = DEFAULT_ENDPOINT,
    stream: Streams = None,
    host: Annotated[
        str,
        typer.Option("--host", help="This machine's address that VRChat reaches (a standalone headset: in the LAN)."),
    ] = "127.0.0.1",
    latency_ms: LatencyMs = 0.0,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Send the headset's pose that VRChat tells by OSCQuery."""
    from egostream.head.vrchat import HeadService, follow

    with HeadSender(to, stream or [], server_key, client_key) as sender:
        service = HeadService(host)
        try:
            sender.wait_for_run()
            follow(service, sender, round(latency_ms * 1e6), say)
        finally:
            service.close()
