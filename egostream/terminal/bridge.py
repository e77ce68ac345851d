"""The commands ``egostream bridge ...``: pass poses on to avatars, trackers, browsers and labs."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from egostream.bridge.loop import BridgeOptions, Receiver, run_bridge
from egostream.errors import EgostreamError
from egostream.publish.client import DEFAULT_ENDPOINT
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
Trackers = Annotated[str, typer.Option("--trackers", help="Of hip, feet, knees, chest, elbows, with commas between.")]
InPlace = Annotated[bool, typer.Option("--in-place", help="Keep the hips above the origin; feet slide instead.")]


def start(receiver: Receiver, options: BridgeOptions) -> None:
    """Run a bridge until Ctrl-C."""
    if options.stature and not 0.5 <= options.stature <= 2.6:
        receiver.close()
        raise EgostreamError(f"--stature {options.stature:g}: give metres, from 0.5 to 2.6")
    run_bridge(receiver, options)


@bridges.command(epilog="Example: egostream bridge vmc --avatar me.vrm")
def vmc(
    to: Annotated[str, typer.Option("--to", help="The receiver: HOST:PORT.")] = "127.0.0.1:39539",
    avatar: Annotated[
        str, typer.Option("--avatar", help="The .vrm that the receiver shows (0.x or 1.0): its own bones are sent.")
    ] = "",
    unbundled: Annotated[
        bool, typer.Option("--unbundled", help="A datagram for each bone, for receivers that read no bundles.")
    ] = False,
    yaw_180: Annotated[bool, typer.Option("--yaw-180", help="Turn the avatar round (Warudo, VNyan).")] = False,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    stream: StreamName = "0",
    rate: Rate = 60.0,
    stature: Stature = 0.0,
    in_place: InPlace = False,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Move a VRM avatar: Unity with EVMC4U, VSeeFace, Blender, Godot, and whatever else receives VMC."""
    from egostream.bridge.vmc import VmcOptions, VmcReceiver

    options = BridgeOptions(endpoint, stream, server_key, client_key, rate, stature, walks=not in_place)
    start(VmcReceiver(VmcOptions(to, avatar, is_bundled=not unbundled, yaw_180=yaw_180)), options)


@bridges.command(epilog="Example: egostream bridge vrchat --to 192.168.1.20 --trackers hip,feet,knees --stature 1.78")
def vrchat(
    to: Annotated[str, typer.Option("--to", help="The machine or headset that runs VRChat.")] = "127.0.0.1:9000",
    trackers: Trackers = "hip,feet",
    head: Annotated[
        str, typer.Option("--head", help="What of the head is sent, to lay our room on VRChat's: both, position, none.")
    ] = "both",
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    stream: StreamName = "0",
    rate: Rate = 60.0,
    stature: Stature = 0.0,
    in_place: InPlace = False,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Full-body trackers in VRChat, by OSC. Set your real height there, too, and calibrate."""
    from egostream.bridge.vrchat import VrchatOptions, VrchatReceiver

    options = BridgeOptions(endpoint, stream, server_key, client_key, rate, stature, walks=not in_place)
    start(VrchatReceiver(VrchatOptions(to, trackers, head)), options)


@bridges.command(epilog="Example: egostream bridge vmt --trackers hip,feet --camera-offset 0,0.05,0.08")
def vmt(
    to: Annotated[str, typer.Option("--to", help="The machine that runs SteamVR with VMT.")] = "127.0.0.1:39570",
    trackers: Trackers = "hip,feet",
    first_index: Annotated[int, typer.Option("--first-index", help="VMT's number of the hip; others follow.")] = 0,
    enable: Annotated[int, typer.Option("--enable", help="VMT's kind of device: 7, a Vive tracker; 1, a tracker.")] = 7,
    camera_offset: Annotated[
        str, typer.Option("--camera-offset", help="Metres right, up and ahead from the headset's origin to the camera.")
    ] = "0,0,0",
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    stream: StreamName = "0",
    rate: Rate = 0.0,
    stature: Stature = 0.0,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Trackers in SteamVR, by Virtual Motion Tracker, relative to the headset that carries the camera."""
    from egostream.bridge.vmt import VmtOptions, VmtReceiver

    offset = parse_offset(camera_offset)
    options = BridgeOptions(endpoint, stream, server_key, client_key, rate, stature)
    start(VmtReceiver(VmtOptions(to, trackers, first_index, enable, offset)), options)


def parse_offset(text: str) -> tuple[float, float, float]:
    """Three numbers with commas between. Raises EgostreamError."""
    try:
        x, y, z = (float(part) for part in text.split(","))
        if all(abs(value) < 1 for value in (x, y, z)):  # also refuses NaN
            return x, y, z
    except ValueError:
        pass
    raise EgostreamError(f"--camera-offset {text}: give metres right, up and ahead, below 1, such as 0,0.05,0.08")


@bridges.command(epilog="Example: egostream bridge websocket --to 127.0.0.1:5581")
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
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    stream: StreamName = "0",
    rate: Rate = 0.0,
    stature: Stature = 0.0,
    in_place: InPlace = False,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Poses for browsers, as JSON or msgpack: joints, and rotations of a humanoid's bones."""
    from egostream.bridge.websocket import WebsocketOptions, WebsocketReceiver

    options = BridgeOptions(endpoint, stream, server_key, client_key, rate, stature, walks=not in_place)
    start(WebsocketReceiver(WebsocketOptions(to, tuple(origin or ()), token, insecure)), options)


@bridges.command(epilog="Example: egostream bridge lsl --name subject-7")
def lsl(
    name: Annotated[str, typer.Option("--name", help="The outlet's name, as recorders list it.")] = "egostream",
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    stream: StreamName = "0",
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Every pose into the Lab Streaming Layer, in its own time."""
    from egostream.bridge.lsl import LslOptions, LslReceiver

    start(LslReceiver(LslOptions(name, stream)), BridgeOptions(endpoint, stream, server_key, client_key))
