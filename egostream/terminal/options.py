"""The options of the commands, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from egostream.config import RunConfig

SOURCE_HELP = (
    "Camera index, /dev/v4l/by-id path, video, image folder, MCAP recording, SDP file, 'sample', or URL "
    "(rtsp, http, https, udp, rtp, tcp, rtmp, file)."
)
CALIBRATION_HELP = "Calibration file of the camera; FILE#cam1 of several (calib/README.md)."
Source = Annotated[Optional[str], typer.Option("--source", "--camera", help=SOURCE_HELP)]
Sources = Annotated[
    Optional[list[str]], typer.Option("--source", "--camera", help=f"{SOURCE_HELP} Repeat it for several cameras.")
]
CalibrationFile = Annotated[Optional[str], typer.Option("--calibration", help=CALIBRATION_HELP)]
CalibrationFiles = Annotated[
    Optional[list[str]],
    typer.Option("--calibration", help=f"{CALIBRATION_HELP} Several cameras: one for all, or one each."),
]
AssumeCanonical = Annotated[
    Optional[bool], typer.Option("--assume-canonical", help="Treat the frames as the canonical camera's.")
]
Weights = Annotated[
    Optional[str],
    typer.Option("--weights", help="Weights folder, or a folder of tools/build_engine.py. Default: the shipped ones."),
]
Engines = Annotated[
    Optional[str],
    typer.Option("--engines", help="Folder made by tools/build_engine.py. Default: compiled at first use."),
]
Backend = Annotated[Optional[str], typer.Option("--backend", help="auto, tensorrt, openvino or onnxruntime.")]
Preset = Annotated[
    Optional[str],
    typer.Option(
        "--preset", help="performance, balanced or accuracy: chooses precision, temporal form, motion and filter."
    ),
]
Precision = Annotated[Optional[str], typer.Option("--precision", help="auto (by preset), int8, fp16, bf16 or fp32.")]
Temporal = Annotated[
    Optional[str], typer.Option("--temporal", help="auto (by preset), window or causal; must match the weights.")
]
Motion = Annotated[
    Optional[str],
    typer.Option("--motion", help="auto (by preset), every-frame, or trained-step: poses do not wait for it."),
]
Filter = Annotated[
    Optional[str], typer.Option("--filter", help="auto (by preset), off or one-euro: smooths the joints.")
]
Rays = Annotated[
    Optional[bool], typer.Option("--rays/--no-rays", help="Turn joints to their keypoints' rays (default), or not.")
]
Threads = Annotated[
    Optional[int], typer.Option("--threads", help="Processor threads for the network; 0: the backend's choice.")
]
Fps = Annotated[
    Optional[float], typer.Option("--fps", help="Wanted camera rate; or a recording's, instead of its own times.")
]
Endpoint = Annotated[str, typer.Option("--endpoint", help="The publisher's ZeroMQ endpoint.")]
ServerKey = Annotated[str, typer.Option("--server-key", help="The publisher's public CURVE certificate (server.key).")]
ClientKey = Annotated[str, typer.Option("--client-key", help="This client's secret CURVE certificate.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ConfigFile = Annotated[Optional[Path], typer.Option("--config", help="TOML file of settings; flags override it.")]
Force = Annotated[
    Optional[bool],
    typer.Option("--force", help="Take a camera that covers less than a third of the network's view."),
]
PaceName = Annotated[Optional[str], typer.Option("--pace", help="Recordings: live, every-frame or max-rate.")]
EveryFrame = Annotated[bool, typer.Option("--every-frame", help="Recordings: skip none (same as --pace every-frame).")]
Loop = Annotated[Optional[bool], typer.Option("--loop", help="Recordings: start again at the end.")]
Statures = Annotated[
    Optional[list[float]],
    typer.Option(
        "--stature",
        help="How tall the wearer is, metres: poses get that size. Several cameras: one for all, or one each.",
    ),
]
Rotations = Annotated[
    Optional[list[int]],
    typer.Option(
        "--rotate",
        help="Degrees clockwise (0, 90, 180, 270) that turn the picture upright: the wearer's body at its bottom. "
        "Several cameras: one for all, or one each.",
    ),
]
Flip = Annotated[
    Optional[bool],
    typer.Option("--flip/--no-flip", help="The picture comes mirrored: undo it. It acts before --rotate."),
]
BatchWait = Annotated[
    Optional[float],
    typer.Option(
        "--batch-wait-ms", help="Several cameras: how long a fresh frame waits for others that are about to come."
    ),
]
StreamNames = Annotated[
    Optional[list[str]],
    typer.Option("--stream", help="Name of the stream in topics (several cameras: 0, 1, ..., or one name each)."),
]
PublishEndpoint = Annotated[
    Optional[str], typer.Option("--publish", help=f"ZeroMQ endpoint of poses (default {RunConfig().publish}).")
]
HeadEndpoint = Annotated[
    Optional[str],
    typer.Option("--head", help="ZeroMQ endpoint that receives head poses, such as tcp://127.0.0.1:5572; '' for none."),
]
ControlEndpoint = Annotated[
    Optional[str],
    typer.Option(
        "--control", help=f"ZeroMQ endpoint of control requests (default {RunConfig().control}); '' for none."
    ),
]
SecretKey = Annotated[
    Optional[str], typer.Option("--server-key", help="CURVE secret certificate: encrypt (egostream keys).")
]
ClientKeys = Annotated[
    Optional[str], typer.Option("--client-keys", help="Folder of public certificates that may connect.")
]
Insecure = Annotated[Optional[bool], typer.Option("--insecure", help="Allow a non-loopback endpoint in the clear.")]
Seconds = Annotated[Optional[float], typer.Option("--seconds", help="Stop after this long.")]
BridgeNames = Annotated[
    Optional[list[str]],
    typer.Option("--bridge", help="Also pass poses on: vmc, vrchat, vmt, websocket, lsl; with =HOST:PORT elsewhere."),
]
Record = Annotated[
    Optional[str],
    typer.Option("--record", help="MCAP file to record into, from the first pose on (docs/recordings.md)."),
]
View = Annotated[Optional[bool], typer.Option("--view", help="Also show the run on a page: http://127.0.0.1:5580.")]
ViewPort = Annotated[
    Optional[int], typer.Option("--view-port", help="Port of that page (default 5580); 0: any that is free.")
]
Metrics = Annotated[
    Optional[str],
    typer.Option("--metrics", help="Serve figures for Prometheus there, such as 127.0.0.1:9570; '' for none."),
]
PrintConfig = Annotated[bool, typer.Option("--print-config", help="Print the settings as TOML and exit.")]
