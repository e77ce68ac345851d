"""The clients of docs/clients, built where their tools are installed, and what a running one said."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from processes import wait_for

from egostream.publish.client import OPENXR, UNITY

CLIENTS = ROOT / "docs" / "clients"
#: What each turns joints into.
AXES = {"python": np.ones(3), "cpp": OPENXR, "csharp": UNITY, "javascript": OPENXR}
NUMBER = r"-?\d+\.\d+"
PLACE = rf"({NUMBER}),({NUMBER}),({NUMBER})"
#: The line as docs/clients/README.md specifies it.
LINE = re.compile(
    rf"pose stream=(\S+) seq=(\d+) missed=(\d+) age_ms=({NUMBER}) confidence=({NUMBER}) "
    rf"neck={PLACE} left_wrist={PLACE} right_wrist={PLACE}\n"
)


def need(program: str, package: str) -> None:
    """Skip without a program."""
    if shutil.which(program) is None:
        pytest.skip(f"no {program}. On Debian: apt-get install {package}")


def build(*command: object, folder: Path) -> None:
    """Run a step of a build."""
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def compiles(code: str, *flags: str) -> bool:
    """Whether g++ takes a few lines of C++."""
    return subprocess.run(["g++", *flags, "-xc++", "-"], input=code, text=True, capture_output=True).returncode == 0


def build_cpp(folder: Path) -> list[str]:
    """The C++ client, by CMake, without a warning."""
    need("cmake", "cmake")
    need("g++", "g++")
    for header, package in [("zmq.h", "libzmq3-dev"), ("zmq.hpp", "cppzmq-dev"), ("msgpack.hpp", "libmsgpack-cxx-dev")]:
        if not compiles(f"#include <{header}>", "-DMSGPACK_NO_BOOST", "-fsyntax-only"):
            pytest.skip(f"no {header}. On Debian: apt-get install {package}")
    build("cmake", "-S", CLIENTS / "cpp", "-B", folder, "-DCMAKE_CXX_FLAGS=-Werror", folder=folder)
    build("cmake", "--build", folder, folder=folder)
    return [str(folder / "client")]


def build_csharp(folder: Path) -> list[str]:
    """The C# client, by mono's compiler, without a warning."""
    need("mcs", "mono-mcs")
    need("mono", "mono-runtime")
    if not glob.glob("/usr/lib/*/libzmq.so") + glob.glob("/usr/*/lib/libzmq.so") + glob.glob("/usr/lib*/libzmq.so"):
        pytest.skip("no libzmq.so. On Debian: apt-get install libzmq3-dev")
    program = folder / "client.exe"
    build("mcs", "-warnaserror", f"-out:{program}", *sorted((CLIENTS / "csharp").glob("*.cs")), folder=folder)
    return ["mono", str(program)]


def build_javascript(folder: Path) -> list[str]:
    """The JavaScript client with its packages, in a folder of its own."""
    need("node", "nodejs")
    need("npm", "npm")
    shutil.copytree(CLIENTS / "javascript", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
    # zeromq brings its binaries: no package's own commands need to run.
    flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=0"]
    command = ["npm", "install", *flags]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot install zeromq and @msgpack/msgpack within two minutes")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm cannot install zeromq and @msgpack/msgpack: {' '.join(error.stderr.split())[:120]}")
    web = ["--experimental-websocket"] if node_knows("--experimental-websocket") else []
    return ["node", "--no-warnings", *web, str(folder / "node.mjs")]


def node_knows(flag: str) -> bool:
    """Whether this Node takes a flag."""
    return subprocess.run(["node", flag, "-e", "0"], capture_output=True).returncode == 0


def build_python(folder: Path) -> list[str]:
    """Python as it is."""
    return [sys.executable, str(CLIENTS / "python" / "client.py")]


BUILDERS = {"python": build_python, "cpp": build_cpp, "csharp": build_csharp, "javascript": build_javascript}


@dataclass(frozen=True)
class Line:
    """A pose's line, read."""

    stream: str
    seq: int
    missed: int
    age_ms: float
    confidence: float
    places: np.ndarray = field(repr=False)  # [3, 3] neck, left wrist, right wrist

    @classmethod
    def of(cls, text: str) -> Line:
        match = LINE.fullmatch(text)
        assert match, text
        values = match.groups()
        places = np.array(values[5:], float).reshape(3, 3)
        return cls(values[0], int(values[1]), int(values[2]), float(values[3]), float(values[4]), places)


class RunningClient:
    """A client in a process of its own, and all its lines so far."""

    def __init__(self, command: list[str], *arguments: str, **environment: str):
        self.lines: list[Line] = []
        self.notes: list[str] = []
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        self.readers = [
            threading.Thread(target=self.read_lines, daemon=True),
            threading.Thread(target=lambda: self.notes.extend(iter(self.process.stderr.readline, "")), daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def read_lines(self) -> None:
        for text in self.process.stdout:
            self.lines.append(Line.of(text))

    def skipped(self) -> list[str]:
        """What it said of messages that it could not use."""
        return [note for note in self.notes if note.startswith("note: message skipped: ")]

    def wait(self, condition) -> None:
        """Wait for something of its lines or notes; it has to live on."""
        assert wait_for(condition, 30), (self.lines[-3:], self.notes, self.process.poll())
        assert self.process.poll() is None, self.notes

    def line_of(self, seq: int) -> Line:
        """The newest line of a pose, waited for."""
        found: list[Line] = []
        self.wait(lambda: found.extend(line for line in self.lines[-20:] if line.seq == seq) or found)
        return found[-1]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for reader in self.readers:
            reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


def check_places(line: Line, joints: np.ndarray, axes: np.ndarray) -> None:
    """The joints of a line are those [15, 3] in camera axes, in the axes of the client's engine."""
    assert np.abs(line.places - joints[[0, 6, 3]] * axes).max() < 1e-4
