"""``egostream doctor``: what this machine can run, what would be used, and what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator

import zmq
from rich.console import Console

from egostream import __version__
from egostream.config import RunConfig
from egostream.engine.backends import PROCESSOR_BACKENDS, backend, has_tensorrt
from egostream.engine.choose import choose_runner
from egostream.engine.cuda import find_gpu
from egostream.errors import EgostreamError
from egostream.files import asset, cache_folder
from egostream.graph.default_weights import resolve_weights, shipped_weights

CACHE_NEEDS_MIB = 1500  # untrained weights and engines of both precisions, twice over
MARKS = {"ok": "[green]ok[/]   ", "note": "[yellow]note[/] ", "error": "[red]error[/]"}


def examine() -> list[dict]:
    """All findings: {"level": ok, note or error; "topic"; "text"; "fix"}."""
    findings = []
    for check in (check_system, check_backends, check_weights, check_cameras, check_ports, check_cache, check_curve):
        findings += [{"level": level, "topic": topic, "text": text, "fix": fix} for level, topic, text, fix in check()]
    return findings


Finding = tuple[str, str, str, str]


def check_system() -> Iterator[Finding]:
    yield (
        "ok",
        "system",
        f"egostream {__version__}, Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores",
        "",
    )


def check_backends() -> Iterator[Finding]:
    for name in PROCESSOR_BACKENDS:
        try:
            runner = backend(name)
            yield (
                "ok",
                "backend",
                f"{name} {runner.version()} on {runner.device()}: {', '.join(runner.precisions())}",
                "",
            )
        except EgostreamError as error:
            yield "note", "backend", str(error), ""
    yield from check_gpu()
    yield from check_choice()


def check_gpu() -> Iterator[Finding]:
    """An NVIDIA GPU, and what is missing to use it."""
    try:
        gpu = find_gpu()
        name, capability = gpu.device()
        facts = f"{name}, compute capability {capability[0]}.{capability[1]}, driver for CUDA {'.'.join(map(str, gpu.driver_version()))}"
        yield "ok", "gpu", f"{facts}, through {gpu.binding}", ""
    except EgostreamError as error:
        gpu = None
        yield "note", "gpu", str(error), ""
    if not has_tensorrt():
        if gpu is not None:
            yield (
                "note",
                "gpu",
                "TensorRT, which would use this GPU, is not installed",
                "pip install tensorrt-rtx cuda-bindings",
            )
        return
    try:
        runner = backend("tensorrt")
        what = ", ".join(runner.precisions()) if gpu is not None else "it compiles engines for other machines"
        yield "ok", "gpu", f"{runner.version()}: {what}", ""
    except EgostreamError as error:
        yield "note", "gpu", str(error), ""


def check_choice() -> Iterator[Finding]:
    """What ``--backend auto`` takes, by the way a run takes it."""
    said = []
    try:
        runner, precision = choose_runner(RunConfig(), resolve_weights(RunConfig()), 1, said.append)
    except EgostreamError as error:
        yield "error", "backend", str(error), "pip install openvino"
        return
    for line in said:
        yield "note", "backend", line, ""
    yield "ok", "backend", f"egostream run would use {runner.name} in {precision} (--preset {RunConfig().preset})", ""
    if precision == "fp32":
        yield (
            "note",
            "backend",
            "this processor has no bf16, and these weights no scales for int8: expect about half the frame rate",
            "python tools/quantize.py --help",
        )


def check_weights() -> Iterator[Finding]:
    try:
        if not shipped_weights():
            yield (
                "note",
                "weights",
                "no trained weights: a random set (205 MB) is made at the first run, whose poses mean nothing",
                "python tools/import_checkpoint.py --help",
            )
        else:
            weights = resolve_weights(RunConfig())
            yield (
                "ok",
                "weights",
                f"default weights {weights.id[:12]}: {weights.variant} {weights.temporal}, T={weights.window}, step {weights.step_ms:.1f} ms",
                "",
            )
    except EgostreamError as error:
        yield "error", "weights", str(error), ""
    if not asset("sample", "sample.avi").is_file():
        yield "error", "sample", "the bundled clip is missing", "pip install --force-reinstall egostream"


def check_cameras() -> Iterator[Finding]:
    from egostream.capture.device import list_devices

    devices = list_devices()
    for device in devices:
        readable = not device["path"].startswith("/dev/") or os.access(device["path"], os.R_OK | os.W_OK)
        fix = "" if readable else "add yourself to the video group: sudo usermod -aG video $USER"
        yield "ok" if readable else "error", "camera", f"{device['source']}: {device['name']} ({device['path']})", fix
    if not devices:
        yield "note", "camera", "none found; recordings and network streams work", "egostream run --source sample"


def check_ports() -> Iterator[Finding]:
    config = RunConfig()
    for name, endpoint, kind in (("publish", config.publish, zmq.PUB), ("control", config.control, zmq.REP)):
        with zmq.Context() as context, context.socket(kind) as socket:
            try:
                socket.bind(endpoint)
                yield "ok", "port", f"{name} {endpoint} is free", ""
            except zmq.ZMQError as error:
                yield (
                    "note",
                    "port",
                    f"{name} {endpoint}: {error} (a run in progress?)",
                    f"egostream run --{name} tcp://127.0.0.1:PORT",
                )


def check_cache() -> Iterator[Finding]:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free / 2**20
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        yield "error", "cache", f"{folder}: {error.strerror}", "set EGOSTREAM_CACHE to a folder you can write"
        return
    if not writable:
        yield "error", "cache", f"{folder} cannot be written", "set EGOSTREAM_CACHE to a folder you can write"
    elif free < CACHE_NEEDS_MIB:
        yield (
            "error",
            "cache",
            f"{folder} has {free:.0f} MiB free, {CACHE_NEEDS_MIB} are needed",
            "free some space, or set EGOSTREAM_CACHE",
        )
    else:
        yield "ok", "cache", f"{folder}, {free / 1024:.0f} GiB free", ""


def check_curve() -> Iterator[Finding]:
    if zmq.has("curve"):
        yield "ok", "network", f"ZeroMQ {zmq.zmq_version()} with CURVE", ""
    else:
        yield (
            "note",
            "network",
            f"ZeroMQ {zmq.zmq_version()} without CURVE: only loopback or --insecure",
            "pip install --force-reinstall pyzmq",
        )


def print_findings(findings: list[dict]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        fix = f"\n              → {finding['fix']}" if finding["fix"] else ""
        console.print(
            f"{MARKS[finding['level']]} {finding['topic']:8}{finding['text'].replace('[', chr(92) + '[')}{fix}"
        )
