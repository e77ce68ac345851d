"""``egostream doctor``: what this machine can run, what would be used, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from typing import NamedTuple

import zmq
from rich.console import Console

from egostream import __version__
from egostream.capture.device import list_devices
from egostream.config import RunConfig
from egostream.engine.backends import PROCESSOR_BACKENDS, backend, has_tensorrt
from egostream.engine.choose import choose_runner
from egostream.engine.cuda import Cuda, find_gpu
from egostream.errors import EgostreamError
from egostream.files import asset, cache_folder
from egostream.graph.default_weights import resolve_weights, shipped_weights

CACHE_NEEDS_MIB = 1500  # untrained weights and engines of both precisions, twice over
MARKS = {"ok": "[green]ok[/]   ", "note": "[yellow]note[/] ", "error": "[red]error[/]"}


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: str  # ok, note or error
    topic: str
    text: str
    fix: str = ""  # what to do about it


def examine() -> list[dict]:
    """All findings: {"level": ok, note or error; "topic"; "text"; "fix"}."""
    checks = (check_system, check_backends, check_weights, check_cameras, check_ports, check_cache, check_curve)
    return [finding._asdict() for check in checks for finding in check()]


def check_system() -> Iterator[Finding]:
    """This machine and this version."""
    system = f"Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores"
    yield Finding("ok", "system", f"egostream {__version__}, {system}")


def check_backends() -> Iterator[Finding]:
    """What compiles and runs engines here, and which a run takes."""
    for name in PROCESSOR_BACKENDS:
        try:
            runner = backend(name)
            facts = f"{name} {runner.version()} on {runner.device()}: {', '.join(runner.precisions())}"
            yield Finding("ok", "backend", facts)
        except EgostreamError as error:
            yield Finding("note", "backend", str(error))
    yield from check_gpu()
    yield from check_choice()


def check_gpu() -> Iterator[Finding]:
    """An NVIDIA GPU, and what is missing to use it."""
    gpu: Cuda | None = None
    try:
        gpu = find_gpu()
        name, (major, minor) = gpu.device()
        cuda = ".".join(map(str, gpu.driver_version()))
        facts = f"{name}, compute capability {major}.{minor}, driver for CUDA {cuda}"
        yield Finding("ok", "gpu", f"{facts}, through {gpu.binding}")
    except EgostreamError as error:
        gpu = None
        yield Finding("note", "gpu", str(error))
    if not has_tensorrt():
        if gpu is not None:
            missing, fix = (
                "TensorRT, which would use this GPU, is not installed",
                "pip install tensorrt-rtx cuda-bindings",
            )
            yield Finding("note", "gpu", missing, fix)
        return
    try:
        runner = backend("tensorrt")
        what = ", ".join(runner.precisions()) if gpu is not None else "it compiles engines for other machines"
        yield Finding("ok", "gpu", f"{runner.version()}: {what}")
    except EgostreamError as error:
        yield Finding("note", "gpu", str(error))


def check_choice() -> Iterator[Finding]:
    """What ``--backend auto`` takes, by the way a run takes it."""
    said: list[str] = []
    try:
        runner, precision = choose_runner(RunConfig(), resolve_weights(RunConfig()), 1, said.append)
    except EgostreamError as error:
        yield Finding("error", "backend", str(error), "pip install openvino")
        return
    for line in said:
        yield Finding("note", "backend", line)
    choice = f"egostream run would use {runner.name} in {precision} (--preset {RunConfig().preset})"
    yield Finding("ok", "backend", choice)
    if precision == "fp32":
        slow = "this processor has no bf16, and these weights no scales for int8: expect about half the frame rate"
        yield Finding("note", "backend", slow, "python tools/quantize.py --help")


def check_weights() -> Iterator[Finding]:
    """The weights that a run takes unasked, and the bundled clip."""
    try:
        if not shipped_weights():
            untrained = "no trained weights: a random set (205 MB) is made at the first run, whose poses mean nothing"
            yield Finding("note", "weights", untrained, "python tools/import_checkpoint.py --help")
        else:
            weights = resolve_weights(RunConfig())
            form = f"{weights.variant} {weights.temporal}, T={weights.window}, step {weights.step_ms:.1f} ms"
            mm = weights.validation_mm
            known = f"{mm:.0f} mm off where validated" if mm else "errors: docs/model-card.md"
            yield Finding("ok", "weights", f"default weights {weights.id[:12]}: {form}, {known}")
    except EgostreamError as error:
        yield Finding("error", "weights", str(error))
    if not asset("sample", "sample.avi").is_file():
        missing = "the bundled clip is missing"
        yield Finding("error", "sample", missing, "pip install --force-reinstall egostream")


def check_cameras() -> Iterator[Finding]:
    """The cameras of this machine, and whether they may be read."""
    devices = list_devices()
    for device in devices:
        is_readable = not device["path"].startswith("/dev/") or os.access(device["path"], os.R_OK | os.W_OK)
        fix = "" if is_readable else "add yourself to the video group: sudo usermod -aG video $USER"
        text = f"{device['source']}: {device['name']} ({device['path']})"
        yield Finding("ok" if is_readable else "error", "camera", text, fix)
    if not devices:
        nothing = "none found; recordings and network streams work"
        yield Finding("note", "camera", nothing, "egostream run --source sample")


def check_ports() -> Iterator[Finding]:
    """Whether the default endpoints are free."""
    config = RunConfig()
    for name, endpoint, kind in (("publish", config.publish, zmq.PUB), ("control", config.control, zmq.REP)):
        with zmq.Context() as context, context.socket(kind) as socket:
            try:
                socket.bind(endpoint)
                yield Finding("ok", "port", f"{name} {endpoint} is free")
            except zmq.ZMQError as error:
                taken, fix = f"{name} {endpoint}: {error} (a run in progress?)", f"--{name} tcp://127.0.0.1:PORT"
                yield Finding("note", "port", taken, f"egostream run {fix}")


def check_cache() -> Iterator[Finding]:
    """Whether engines and weights can be kept."""
    folder, elsewhere = cache_folder(), "set EGOSTREAM_CACHE to a folder you can write"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free_mib = shutil.disk_usage(folder).free / 2**20
        is_writable = os.access(folder, os.W_OK)
    except OSError as error:
        yield Finding("error", "cache", f"{folder}: {error.strerror}", elsewhere)
        return
    if not is_writable:
        yield Finding("error", "cache", f"{folder} cannot be written", elsewhere)
    elif free_mib < CACHE_NEEDS_MIB:
        full = f"{folder} has {free_mib:.0f} MiB free, {CACHE_NEEDS_MIB} are needed"
        yield Finding("error", "cache", full, "free some space, or set EGOSTREAM_CACHE")
    else:
        yield Finding("ok", "cache", f"{folder}, {free_mib / 1024:.0f} GiB free")


def check_curve() -> Iterator[Finding]:
    """Whether ZeroMQ can encrypt."""
    if zmq.has("curve"):
        yield Finding("ok", "network", f"ZeroMQ {zmq.zmq_version()} with CURVE")
    else:
        lacking = f"ZeroMQ {zmq.zmq_version()} without CURVE: only loopback or --insecure"
        yield Finding("note", "network", lacking, "pip install --force-reinstall pyzmq")


def print_findings(findings: list[dict]) -> None:
    """Print what ``examine`` found, for people."""
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        fix = f"\n              → {finding['fix']}" if finding["fix"] else ""
        text = finding["text"].replace("[", r"\[")  # brackets are rich's markup
        console.print(f"{MARKS[finding['level']]} {finding['topic']:8}{text}{fix}")
