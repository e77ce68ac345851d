#!/usr/bin/env python
"""Checks the licences of what is installed against a short list, and writes them as a table.

    cyclonedx-py environment --pyproject pyproject.toml --of JSON -o sbom.json   # all that is installed: the SBOM
    python tools/licences.py sbom.json                       # refuses what is unknown, or does not go with Apache-2.0
    python tools/licences.py sbom.json --table docs/licences.md

Both need `pip install -e '.[supply]'`. Exit status 1: a licence was refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from egostream.errors import EgostreamError, first_line
from egostream.files import write_whole
from tools.entry import run_tool

NVIDIA = "LicenseRef-NVIDIA-Proprietary"
#: SPDX identifiers that go with Apache-2.0 without conditions on what uses them.
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
    "MPL-2.0",  # binds its own files alone, and none is changed or copied here
}  # fmt: skip
#: Others, for these packages alone: nothing of egostream's core needs one.
ONLY_FOR = {
    "LGPL-2.1-or-later": ("zeroconf",),  # the extra vrchat; imported as it is, and anybody can exchange it
    NVIDIA: ("nvidia-", "cuda-", "tensorrt"),  # GPUs' libraries, of the extras rtx, tensorrt and train
}
#: Classifiers that packages have in place of an SPDX identifier.
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: Other/Proprietary License": NVIDIA,
}
#: What packages say in a form that no program reads: looked up in their files, by hand.
BY_HAND = {
    "atheris": "Apache-2.0",
    "cuda-toolkit": NVIDIA,
    "nvidia-cusparselt-cu13": NVIDIA,
    "protobuf": "BSD-3-Clause",
    "python-osc": "Unlicense",
    "ray": "Apache-2.0",
    "torchvision": "BSD-3-Clause",
}


def main() -> None:
    """Check an SBOM. Exits with 1 where a licence is refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sbom", type=Path, help="CycloneDX JSON")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write a Markdown table of all packages here")
    options = parser.parse_args()
    found = licences_in(options.sbom)
    if options.table:
        write_whole(options.table, table(found).encode())
    refused = {name: why for name, licence in sorted(found.items()) if (why := problem(name, licence))}
    for name, why in refused.items():
        print(f"{name}: {why}")
    print(f"{len(found)} packages, {len(refused)} refused")
    sys.exit(1 if refused else 0)


def licences_in(sbom: Path) -> dict[str, str]:
    """Each package's licence in an SBOM, as an SPDX expression; empty where none is told. Raises EgostreamError."""
    try:
        components = json.loads(sbom.read_bytes())["components"]
        return {one["name"]: licence_of(one) for one in components}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EgostreamError(
            f"{sbom} is no SBOM in CycloneDX's JSON: {first_line(error)}. Make one: cyclonedx-py environment --of JSON"
        ) from None


def licence_of(component: dict[str, Any]) -> str:
    """A component's licence. Where several are told, all of them count."""
    if component["name"] in BY_HAND:
        return BY_HAND[component["name"]]
    told = [spdx(one) for one in component.get("licenses", [])]
    return " AND ".join(sorted({f"({one})" if " OR " in one else one for one in told if one}))


def spdx(licence: dict[str, Any]) -> str:
    """One of CycloneDX's licences as SPDX; a name that is unknown as it is, and nothing of a heading without one."""
    if "expression" in licence:
        return licence["expression"]
    one = licence["license"]
    name = one.get("id") or one.get("name", "")
    return "" if name == "License :: OSI Approved" else CLASSIFIERS.get(name, name)


def problem(name: str, licence: str) -> str:
    """Why a package cannot be used, in words; empty where it can."""
    from license_expression import ExpressionError, ExpressionParseError, get_spdx_licensing

    if not licence:
        return "no licence is told; look it up, and note it in BY_HAND of tools/licences.py"
    try:
        tree = get_spdx_licensing().parse(licence)
    except (ExpressionError, ExpressionParseError, ValueError):
        return f"the licence {licence[:80]!r} is unknown; look it up, and note it in BY_HAND of tools/licences.py"
    return "" if is_allowed(name, tree) else f"the licence {licence} is not on the list of tools/licences.py"


def is_allowed(name: str, tree: Any) -> bool:
    """Whether a parsed expression is met: every part of an AND, one of an OR."""
    if (parts := getattr(tree, "args", ())) and tree.operator.strip() in ("AND", "OR"):
        return (all if tree.operator.strip() == "AND" else any)(is_allowed(name, part) for part in parts)
    identifier = str(tree)
    return identifier in ALLOWED or name.startswith(ONLY_FOR.get(identifier, ()))


def table(found: dict[str, str]) -> str:
    """Packages by licence, in Markdown."""
    by_licence: dict[str, list[str]] = defaultdict(list)
    for name, licence in found.items():
        by_licence[licence or "none told"].append(name)
    rows = [
        f"| {licence} | {', '.join(sorted(names, key=str.lower))} |" for licence, names in sorted(by_licence.items())
    ]
    return "\n".join([HEADING, "| licence (SPDX) | packages |", "|---|---|", *rows]) + "\n"


HEADING = """# Licences of what is installed

Written by `python tools/licences.py sbom.json --table docs/licences.md`, of an environment with the extras `test` and
`supply` and all that they bring along. egostream itself is Apache-2.0, and ships none of these packages.

- Only `zeroconf` (the extra `vrchat`) is under the LGPL. It is imported as it is installed.
- NVIDIA's own licences come with the extras `rtx`, `tensorrt` and `train` alone.
"""

if __name__ == "__main__":
    run_tool(main)
