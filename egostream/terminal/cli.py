"""The command line: a function for each command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from egostream import __version__
from egostream.config import RunConfig, as_toml, load_config, stream_flags
from egostream.errors import EgostreamError
from egostream.publish.client import DEFAULT_ENDPOINT
from egostream.terminal.annotate import annotate
from egostream.terminal.bridge import bridges
from egostream.terminal.cli_recordings import record, replay
from egostream.terminal.head import head_app
from egostream.terminal.options import (
    CALIBRATION_HELP,
    AsJson,
    AssumeCanonical,
    Backend,
    BatchWait,
    BridgeNames,
    CalibrationFile,
    CalibrationFiles,
    ClientKey,
    ClientKeys,
    ConfigFile,
    ControlEndpoint,
    Endpoint,
    Engines,
    EveryFrame,
    Filter,
    Flip,
    Force,
    Fps,
    HeadEndpoint,
    Insecure,
    Loop,
    Metrics,
    Motion,
    PaceName,
    Precision,
    Preset,
    PrintConfig,
    PublishEndpoint,
    Rays,
    Record,
    Rotations,
    Seconds,
    SecretKey,
    ServerKey,
    Source,
    Sources,
    Statures,
    StreamNames,
    Temporal,
    Threads,
    View,
    ViewPort,
    Weights,
)
from egostream.terminal.streams import print_what_can_be_printed

app = typer.Typer(
    name="egostream",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Live 3D body poses from a head-mounted fisheye camera.\n\nStart with: egostream run --source sample",
)
app.add_typer(bridges)
app.add_typer(head_app, name="head")


def show_version(wanted: bool) -> None:
    """Print the version and end, if that is wanted."""
    if wanted:
        typer.echo(f"egostream {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Hold the options that every command has."""


@app.command(epilog="Example: egostream run --camera 0 --calibration my_headset.json")
def run(
    source: Sources = None,
    config: ConfigFile = None,
    calibration: CalibrationFiles = None,
    assume_canonical: AssumeCanonical = None,
    rotate: Rotations = None,
    flip: Flip = None,
    force: Force = None,
    pace: PaceName = None,
    every_frame: EveryFrame = False,
    loop: Loop = None,
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
    stature: Statures = None,
    threads: Threads = None,
    batch_wait_ms: BatchWait = None,
    stream: StreamNames = None,
    publish: PublishEndpoint = None,
    head: HeadEndpoint = None,
    control: ControlEndpoint = None,
    server_key: SecretKey = None,
    client_keys: ClientKeys = None,
    insecure: Insecure = None,
    bridge: BridgeNames = None,
    record: Record = None,
    seconds: Seconds = None,
    metrics: Metrics = None,
    view: View = None,
    view_port: ViewPort = None,
    print_config: PrintConfig = False,
) -> None:
    """Stream poses from one camera or several until Ctrl-C."""
    flags = {key: value for key, value in locals().items() if key in RunConfig.__struct_fields__}
    flags |= dict.fromkeys(("source", "stream", "calibration", "stature", "rotate"))
    flags |= stream_flags(source or [], stream or [], calibration or [], stature or [], rotate or [])
    if every_frame:
        if pace not in (None, "every-frame"):
            raise EgostreamError(f"--every-frame and --pace {pace} exclude each other: give one")
        flags["pace"] = "every-frame"
    from egostream.terminal.recorded import settings_of_camera

    settings = load_config(config, flags, settings_of_camera)
    if print_config:
        typer.echo(as_toml(settings), nl=False)
        return
    from egostream.terminal.run import run_with_status_line

    run_with_status_line(settings)


@app.command("view", epilog="Example: egostream view --open")
def show_page(
    stream: Annotated[str, typer.Option("--stream", help="Show this stream alone. Default: all of the run.")] = "",
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    control: Annotated[
        Optional[str],
        typer.Option("--control", help="The run's control endpoint, which has the pictures. Default: a run's default."),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to serve on. Off this machine, the page's address has a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to serve on; 0: any that is free.")] = 5580,
    token: Annotated[
        bool, typer.Option("--token", help="Ask for a token on this machine, too, where it has other users.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Show a run on a page: the camera's picture, the skeleton, latency, and what is wrong."""
    from egostream.terminal.view import view_page
    from egostream.view.settings import view_settings

    keys = (server_key, client_key)
    view_page(view_settings(endpoint, control, host, port, stream, keys, token), open_page)


@app.command(epilog="Example: egostream echo --count 3 --json")
def echo(
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    stream: Annotated[str, typer.Option("--stream", help="Name of the stream.")] = "0",
    count: Annotated[int, typer.Option("--count", help="Stop after this many poses; 0: never.")] = 0,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Give up after this many seconds without a pose; 0: never.")
    ] = 0.0,
    server_key: ServerKey = "",
    client_key: ClientKey = "",
    as_json: AsJson = False,
) -> None:
    """Subscribe and print poses as they arrive."""
    from egostream.terminal.echo import echo_poses

    echo_poses(endpoint, stream, count, timeout, (server_key, client_key), as_json)


app.command(epilog="Example: egostream record -o walk.mcap --seconds 10")(record)
app.command(epilog="Example: egostream replay walk.mcap --check")(replay)
app.command(epilog="Example: egostream annotate recordings/ -o poses/ --calibration my_headset.json")(annotate)


@app.command(epilog="Example: egostream bench --max-rate --seconds 30 --plot latency.png")
def bench(
    source: Source = "sample",
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long to measure.")] = 20.0,
    warmup: Annotated[float, typer.Option("--warmup", min=0, help="How long to run before measuring.")] = 3.0,
    max_rate: Annotated[bool, typer.Option("--max-rate", help="Feed frames as fast as they are taken.")] = False,
    streams: Annotated[
        str,
        typer.Option("--streams", help="Play the source so many times at once; 1,2,4,8 measures one after another."),
    ] = "1",
    calibration: CalibrationFile = None,
    assume_canonical: AssumeCanonical = None,
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
    threads: Threads = None,
    plot: Annotated[
        Optional[Path], typer.Option("--plot", help="Write the latency figure to this PNG (needs matplotlib).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the real pipeline: capture to subscriber latency, rate, drops, CPU and memory."""
    flags = {
        key: value
        for key, value in locals().items()
        if key in RunConfig.__struct_fields__ and key not in ("seconds", "streams")
    }
    from egostream.terminal.bench import bench_each, parse_counts, with_streams
    from egostream.terminal.bench_tables import print_tables
    from egostream.terminal.plot import check_plot, plot_latency

    settings = load_config(None, {**flags, "loop": True, "pace": "max-rate" if max_rate else None})
    configs = [with_streams(settings, count) for count in parse_counts(streams)]
    if plot:
        check_plot(plot)  # before the measurement, not after it
        if len(configs) > 1:
            raise EgostreamError("--plot draws one measurement: give one number of --streams")
    measured = bench_each(configs, seconds, warmup)
    results = [result for result, _ in measured]
    typer.echo(json.dumps(results[0] if len(configs) == 1 else results, indent=2)) if as_json else print_tables(results)
    if plot:
        plot_latency(plot, *measured[0])


@app.command(epilog="Example: egostream cameras --json")
def cameras(as_json: AsJson = False) -> None:
    """List the cameras of this machine, by index and stable path."""
    from egostream.capture.device import list_devices

    devices = list_devices()
    if as_json:
        typer.echo(json.dumps(devices, indent=2))
        return
    for device in devices:
        typer.echo(f"{device['source']:>3}  {device['path']}  {device['name']}")
    if not devices:
        typer.echo("no cameras found. Try a recording: egostream run --source sample")


@app.command(epilog="Example: egostream lens my_headset.yaml -o my_headset.json --plot rays.png")
def lens(
    file: Annotated[str, typer.Argument(help=f"{CALIBRATION_HELP} FILE#640x480 where it names no size.")],
    output: Annotated[
        Optional[Path], typer.Option("-o", "--output", help="Write it here as egostream's own JSON.")
    ] = None,
    plot: Annotated[
        Optional[Path], typer.Option("--plot", help="Draw its rays into this PNG (needs matplotlib).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a calibration file holds: model, field of view, how much of the network's view; convert it."""
    from egostream.terminal.lens import show_lens

    show_lens(file, output, plot, as_json)


@app.command(epilog="Example: egostream mount my_headset.json --position 0 0.06 -0.05")
def mount(
    calibration: Annotated[str, typer.Argument(help="The camera's calibration, in egostream's own JSON.")],
    position: Annotated[
        Optional[tuple[float, float, float]],
        typer.Option(
            "--position",
            help="Of the camera from the headset's origin: right, up, backward, metres. Default: as the calibration "
            "has it, else guessed from the shoulders.",
        ),
    ] = None,
    angles: Annotated[
        Optional[tuple[float, float, float]],
        typer.Option("--angles", help="Typed in: pitch below the horizon, yaw to the left, roll; degrees."),
    ] = None,
    delay: Annotated[float, typer.Option("--delay", min=0, help="Seconds from the key to the measuring.")] = 3.0,
    endpoint: Endpoint = DEFAULT_ENDPOINT,
    stream: Annotated[str, typer.Option("--stream", help="Name of the stream.")] = "0",
    server_key: ServerKey = "",
    client_key: ClientKey = "",
) -> None:
    """Find where the camera sits on the head: stand straight, look ahead, press Enter. A run has to be going on."""
    from egostream.terminal.mount import Measuring
    from egostream.terminal.mount import mount as write_mount

    write_mount(calibration, position, angles, Measuring(endpoint, stream, delay, (server_key, client_key)))


@app.command(epilog="Example: egostream doctor --json")
def doctor(as_json: AsJson = False) -> None:
    """Check this machine: backends, weights, cameras, ports, cache; say what would be used and what is missing."""
    from egostream.terminal.doctor import examine, print_findings

    findings = examine()
    typer.echo(json.dumps(findings, indent=2)) if as_json else print_findings(findings)
    if any(finding["level"] == "error" for finding in findings):
        raise typer.Exit(1)


@app.command(epilog="Example: egostream cache --keep 2")
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove all of it. Engines are compiled again.")] = False,
    keep: Annotated[
        Optional[float], typer.Option("--keep", min=0, help="Remove the oldest until so many GiB are left.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what egostream keeps on this machine (compiled engines, logs), and clear it."""
    from egostream.terminal.cache import show_cache

    show_cache(clear, keep, as_json)


@app.command(epilog="Example: egostream keys -o keys --name server")
def keys(
    folder: Annotated[Path, typer.Option("-o", "--output", help="Folder for the two certificates.")],
    name: Annotated[str, typer.Option("--name", help="Whose keys: server, or a client's name.")] = "server",
    as_json: AsJson = False,
) -> None:
    """Make a CURVE key pair, to publish beyond this machine."""
    from egostream.publish.curve import make_keys

    public, secret = make_keys(folder, name)
    if as_json:
        typer.echo(json.dumps({"public": str(public), "secret": str(secret)}))
        return
    typer.echo(f"{public}  give this to whoever connects\n{secret}  keep this: egostream run --server-key {secret}")


@app.command(epilog="Example: egostream status --json")
def status(
    control: Annotated[str, typer.Option("--control", help="Control endpoint of the run.")] = RunConfig().control,
    as_json: AsJson = False,
) -> None:
    """Say how a run on this machine is. Exit status: 0 all cameras stream, 2 one does not, 1 there is no run."""
    from egostream.terminal.status import show_status

    show_status(control, as_json)


@app.command(epilog="Example: egostream stop")
def stop(
    control: Annotated[str, typer.Option("--control", help="Control endpoint of the run.")] = RunConfig().control,
) -> None:
    """Stop a run on this machine."""
    from egostream.publish.control import request

    answer = request(control, {"cmd": "stop"})
    if not answer.get("ok"):
        raise EgostreamError(f"the run on {control} refused to stop: {answer.get('error')}")


def main() -> None:
    """Run a command; problems that a user can mend end as one line and status 1."""
    print_what_can_be_printed()
    try:
        app()
    except EgostreamError as error:
        print(f"egostream: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone, as in `egostream echo | head`
        sys.exit(0)
    except OSError as error:  # a file that may not be read, a name that is too long, a disk that is full
        what = EgostreamError(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        print(f"egostream: {what}", file=sys.stderr)
        sys.exit(1)
