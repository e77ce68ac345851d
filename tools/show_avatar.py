#!/usr/bin/env python3
"""Show a VRM avatar that VMC moves, on a page, with the camera's picture of a run beside it.

    python tools/show_avatar.py                     # a figure that the tool makes
    python tools/show_avatar.py me.vrm              # an avatar of your own, of VRM 0.x or 1.0
    egostream run --source sample                   # beside it, in terminals of their own: a run,
    egostream bridge vmc --avatar me.vrm            # and its bridge, with the same file

Then open http://127.0.0.1:5582. Drag turns the avatar, the wheel zooms. ?view=front, side, left or back looks from
there.

It receives VMC as other programs with avatars do, and takes every bone's position, too: hence the same file. three.js
and three-vrm, which draw, are brought by npm once, into the cache.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from egostream.bridge.avatar import load_avatar
from egostream.config import DEFAULT_CONTROL
from egostream.errors import EgostreamError
from egostream.files import cache_folder, write_whole
from egostream.publish.client import DEFAULT_ENDPOINT
from tools.avatar.packages import packages_folder
from tools.avatar.person import SEED, make_person
from tools.avatar.shown import HOST, RunAddress, showing
from tools.avatar.vmc import PORT as VMC_PORT
from tools.entry import run_tool

PAGE_PORT = 5582


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("avatar", type=Path, nargs="?", help=".vrm file (a figure that is made)")
    parser.add_argument("--make", type=Path, help="write the figure that is made to this .vrm, and end")
    parser.add_argument("--bodies", type=Path, help="make it of MakeHuman's mesh, in this folder (of rounded limbs)")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of its shape and clothes ({SEED})")
    parser.add_argument("--port", type=int, default=PAGE_PORT, help=f"of the page; 0: a free one ({PAGE_PORT})")
    parser.add_argument("--vmc-port", type=int, default=VMC_PORT, help=f"where VMC comes; 0: a free one ({VMC_PORT})")
    parser.add_argument("--packages", type=Path, help="folder with node_modules (the cache; npm fills it)")
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help="the run whose camera is shown")
    parser.add_argument("--control", default=DEFAULT_CONTROL, help="its control socket; '': no picture")
    parser.add_argument("--stream", default="0", help="of that run (0)")
    return parser.parse_args(arguments)


def avatar_file(options: argparse.Namespace) -> Path:
    """The avatar to show: the user's, or one that is made. Raises EgostreamError for one that cannot be shown."""
    if options.avatar is None:
        path = options.make or cache_folder() / "avatar" / "person.vrm"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, make_person(options.bodies, options.seed))
        return path
    if options.make or options.bodies:
        raise EgostreamError("--make and --bodies make an avatar. Leave out the file, or these")
    load_avatar(options.avatar)
    return options.avatar


async def show(options: argparse.Namespace, path: Path) -> None:
    """Serve until Ctrl-C."""
    run = RunAddress(options.endpoint, options.control, options.stream) if options.control else None
    modules = packages_folder(options.packages)
    async with showing(path.read_bytes(), modules, options.port, options.vmc_port, run) as shown:
        to = "" if shown.vmc_port == VMC_PORT else f" --to {HOST}:{shown.vmc_port}"
        print(
            f"the avatar is on {shown.url}", f"move it: egostream bridge vmc --avatar {path}{to}", sep="\n", flush=True
        )
        await asyncio.Event().wait()


def main(arguments: list[str] | None = None) -> None:
    """Make or read the avatar, and serve it."""
    options = parse(arguments)
    path = avatar_file(options)
    if options.make:
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
        return
    asyncio.run(show(options, path))


if __name__ == "__main__":
    run_tool(main)
