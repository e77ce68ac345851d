"""The commands ``egostream bridge ...``: pass poses on to avatars, trackers, browsers and labs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any, Optional

import typer

from egostream.bridge.loop import BridgeOptions, Receiver, run_bridge
from egostream.config import STATURES
from egostream.errors import EgostreamError
from egostream.terminal.options import ClientKey, Endpoint, ServerKey

bridges = typer.Typer(
    name="bridge",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Pass poses on to avatars, trackers, browsers and labs, in a process of its own. Beside it: egostream run.\n\n"
    "Without a head pose the room is a guess: up, floor and walking come from the body.",
)
StreamName = Annotated[str, typer.Option("--stream", help="Name of the stream.")]
Rate = Annotated[float, typer.Option("--rate", min=0, help="Most poses a second; 0: as they come.")]
Stature = Annotated[
    float, typer.Option("--stature", min=0, help="How tall the wearer is, metres; 0: as the stream has it.")
]
InPlace = Annotated[bool, typer.Option("--in-place", help="Keep the hips above the origin; feet slide instead.")]
#: The options that bridges have in common, by the settings of ``BridgeOptions`` that they fill.
COMMON = {
    "endpoint": Endpoint, "stream": StreamName, "rate": Rate, "stature": Stature, "in_place": InPlace,
    "server_key": ServerKey, "client_key": ClientKey,
}  # fmt: skip
Trackers = Annotated[str, typer.Option("--trackers", help="Of hip, feet, knees, chest, elbows, with commas between.")]


def bridge(example: str, without: tuple[str, ...] = (), rate: float = 0.0) -> Callable[..., Any]:
    """Decorator that makes a command of a function which makes a receiver: adds the options that bridges share.

    without: those that this bridge has not. rate: its default.
    """

    def register(make: Callable[..., Receiver]) -> Callable[..., Receiver]:
        own = inspect.signature(make, eval_str=True).parameters
        usual = BridgeOptions(rate=rate)
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=getattr(usual, name))
            for name, kind in COMMON.items()
            if name not in own and name not in without
        ]

        def command(**values: Any) -> None:
            options = BridgeOptions(**{name: values[name] for name in COMMON if name in values})
            check_stature(options.stature)
            run_bridge(make(**{name: values[name] for name in own}), options)

        command.__doc__ = make.__doc__
        command.__signature__ = inspect.Signature([*own.values(), *shared])  # type: ignore[attr-defined]
        command.__annotations__ = {one.name: one.annotation for one in [*own.values(), *shared]}
        bridges.command(make.__name__, epilog=f"Example: egostream bridge {example}")(command)
        return make

    return register


def check_stature(stature: float) -> None:
    """Raise EgostreamError for what is nobody's; 0: unknown."""
    if stature and not STATURES[0] <= stature <= STATURES[1]:
        raise EgostreamError(f"--stature {stature:g}: give metres, from {STATURES[0]} to {STATURES[1]}")


@bridge("vmc --avatar me.vrm", rate=60.0)
def vmc(
    to: Annotated[str, typer.Option("--to", help="The receiver: HOST:PORT.")] = "127.0.0.1:39539",
    avatar: Annotated[
        str, typer.Option("--avatar", help="The .vrm that the receiver shows (0.x or 1.0): its own bones are sent.")
    ] = "",
    unbundled: Annotated[
        bool, typer.Option("--unbundled", help="A datagram for each bone, for receivers that read no bundles.")
    ] = False,
    yaw_180: Annotated[bool, typer.Option("--yaw-180", help="Turn the avatar round (Warudo, VNyan).")] = False,
) -> Receiver:
    """Move a VRM avatar: Unity with EVMC4U, VSeeFace, Blender, Godot, and whatever else receives VMC."""
    from egostream.bridge.vmc import VmcOptions, VmcReceiver

    return VmcReceiver(VmcOptions(to, avatar, is_bundled=not unbundled, yaw_180=yaw_180))


@bridge("vrchat --to 192.168.1.20 --trackers hip,feet,knees --stature 1.78", rate=60.0)
def vrchat(
    to: Annotated[str, typer.Option("--to", help="The machine or headset that runs VRChat.")] = "127.0.0.1:9000",
    trackers: Trackers = "hip,feet",
    head: Annotated[
        str, typer.Option("--head", help="What of the head is sent, to lay our room on VRChat's: both, position, none.")
    ] = "both",
) -> Receiver:
    """Full-body trackers in VRChat, by OSC. Set your real height there, too, and calibrate."""
    from egostream.bridge.vrchat import VrchatOptions, VrchatReceiver

    return VrchatReceiver(VrchatOptions(to, trackers, head))


@bridge("vmt --trackers hip,feet --camera-offset 0,0.05,0.08", without=("in_place",))
def vmt(
    to: Annotated[str, typer.Option("--to", help="The machine that runs SteamVR with VMT.")] = "127.0.0.1:39570",
    trackers: Trackers = "hip,feet",
    first_index: Annotated[int, typer.Option("--first-index", help="VMT's number of the hip; others follow.")] = 0,
    enable: Annotated[int, typer.Option("--enable", help="VMT's kind of device: 7, a Vive tracker; 1, a tracker.")] = 7,
    camera_offset: Annotated[
        str,
        typer.Option(
            "--camera-offset",
            help="Metres right, up and ahead from the headset's origin to the camera; not needed with run --head.",
        ),
    ] = "0,0,0",
    relative_to: Annotated[
        str,
        typer.Option(
            "--relative-to",
            help="headset; room: by the headset's pose (run --head); auto: room where that pose is SteamVR's.",
        ),
    ] = "auto",
) -> Receiver:
    """Trackers in SteamVR, by Virtual Motion Tracker: in its room, or relative to the headset."""
    from egostream.bridge.vmt import VmtOptions, VmtReceiver

    offset = parse_offset(camera_offset)
    return VmtReceiver(VmtOptions(to, trackers, first_index, enable, offset, relative_to))


def parse_offset(text: str) -> tuple[float, float, float]:
    """Three numbers with commas between. Raises EgostreamError."""
    try:
        x, y, z = (float(part) for part in text.split(","))
        if all(abs(value) < 1 for value in (x, y, z)):  # also refuses NaN
            return x, y, z
    except ValueError:
        pass
    raise EgostreamError(f"--camera-offset {text}: give metres right, up and ahead, below 1, such as 0,0.05,0.08")


@bridge("websocket --to 127.0.0.1:5581")
def websocket(
    to: Annotated[str, typer.Option("--to", help="Where to listen: HOST:PORT.")] = "127.0.0.1:5581",
    origin: Annotated[
        Optional[list[str]],
        typer.Option("--origin", help="A page that may connect, by its https://host; this machine's always may."),
    ] = None,
    token: Annotated[
        str, typer.Option("--token", help="What clients have to give; beyond this machine, one is made up without it.")
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow an address that others reach, in the clear.")
    ] = False,
) -> Receiver:
    """Poses for browsers, as JSON or msgpack: joints, and rotations of a humanoid's bones."""
    from egostream.bridge.websocket import WebsocketOptions, WebsocketReceiver

    return WebsocketReceiver(WebsocketOptions(to, tuple(origin or ()), token, insecure))


@bridge("lsl --name subject-7", without=("rate", "stature", "in_place"))
def lsl(
    name: Annotated[str, typer.Option("--name", help="The outlet's name, as recorders list it.")] = "egostream",
    stream: StreamName = "0",
) -> Receiver:
    """Every pose into the Lab Streaming Layer, in its own time."""
    from egostream.bridge.lsl import LslOptions, LslReceiver

    return LslReceiver(LslOptions(name, stream))
