"""three.js and pixiv's three-vrm, which draw VRM avatars: brought by npm into the cache, or taken from a folder."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from egostream.errors import EgostreamError
from egostream.files import cache_folder

#: The versions that were tested.
PACKAGES = {"three": "0.187.0", "@pixiv/three-vrm": "3.5.5"}
PATIENCE_S = 300


def packages_folder(given: Path | None) -> Path:
    """The folder ``node_modules`` with the packages. given: one that has them; None: the cache's, filled if need be.

    Raises EgostreamError where they cannot be had.
    """
    if given is not None:
        folder = given if given.name == "node_modules" else given / "node_modules"
        if missing := missing_in(folder):
            raise EgostreamError(f"--packages {given}: it lacks {', '.join(missing)}. Install it there: {npm(given)}")
        return folder
    kept = cache_folder() / "avatar"
    if missing_in(kept / "node_modules"):
        install(kept)
    return kept / "node_modules"


def missing_in(folder: Path) -> list[str]:
    """The packages that a folder lacks."""
    return [name for name in PACKAGES if not (folder / name / "package.json").is_file()]


def npm(folder: Path) -> str:
    """The command that installs the packages into a folder."""
    return " ".join(["npm install --ignore-scripts --prefix", str(folder), *(f"{n}@{v}" for n, v in PACKAGES.items())])


def install(folder: Path) -> None:
    """Bring the packages by npm, whole or not at all. Raises EgostreamError where that fails."""
    if shutil.which("npm") is None:
        raise EgostreamError(
            "npm is missing, which brings three.js and three-vrm (Debian: apt-get install npm). "
            "Or name a folder that has them: --packages FOLDER"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as staging:
        command = [*npm(Path(staging)).split(), "--no-audit", "--no-fund"]
        try:
            done = subprocess.run(command, cwd=staging, capture_output=True, text=True, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise EgostreamError(
                f"npm took longer than {PATIENCE_S} s. Check the network, or give --packages"
            ) from None
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EgostreamError(f"npm cannot bring {', '.join(PACKAGES)}: {reason}. Or give --packages FOLDER")
        shutil.rmtree(folder / "node_modules", ignore_errors=True)
        Path(staging, "node_modules").rename(folder / "node_modules")
