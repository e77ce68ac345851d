"""What ``egostream status`` shows: whether a run is well, for people, scripts and service managers."""

from __future__ import annotations

import json

import typer

from egostream.errors import EgostreamError
from egostream.publish.control import ControlClient

#: Exit status of a run whose camera, or one of them, does not stream: 1 means that there is no run.
NOT_STREAMING = 2


def show_status(control: str, as_json: bool) -> None:
    """Print each stream's state. Exits with NOT_STREAMING unless all of them stream.

    Raises EgostreamError where no run answers.
    """
    with ControlClient(control) as client:
        states = {name: stream_state(client, name) for name in stream_state(client, None)["streams"]}
    if as_json:
        typer.echo(json.dumps(states, indent=2))
    else:
        for name, state in states.items():
            typer.echo(state_text(name, state))
    if not all(state["camera"] == "streaming" for state in states.values()):
        raise typer.Exit(NOT_STREAMING)


def stream_state(client: ControlClient, stream: str | None) -> dict:
    """What a run tells of a stream, None: of its first one. Raises EgostreamError where it refuses."""
    answer = client.ask({"cmd": "status"} | ({} if stream is None else {"stream": stream}))
    if not answer.get("ok"):
        raise EgostreamError(f"the run on {client.endpoint} does not tell its status: {answer.get('error')}")
    return answer


def state_text(name: str, state: dict) -> str:
    """A stream's state in a line."""
    return (
        f"stream {name}: camera {state['camera']}, {state['fps']:.1f} poses/s, "
        f"latency p50 {state['p50_ms']:.1f} p99 {state['p99_ms']:.1f} ms, {state['poses']} poses, "
        f"{state['dropped_frames']} dropped, confidence {state['confidence']:.2f}"
    )
