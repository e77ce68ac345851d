#!/usr/bin/env python3
"""Export the graph topologies of a network to ONNX, without tensors.

    python tools/export_graphs.py                      # refresh the shipped ones in engines/

Importing and training tools call ``export_topologies`` to complete the weights folders they write.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


try:
    import torch  # noqa: F401
except ImportError:
    sys.exit("export_graphs: PyTorch is needed. Install it: pip install -e '.[train]'")

from tools.entry import run_tool
from tools.network import NetworkSpec, build_network
from tools.network.export import export_topologies


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    engines = Path(__file__).resolve().parents[1] / "engines"
    for temporal in ("window", "causal"):
        folder = engines / f"paper-{temporal}"
        folder.mkdir(parents=True, exist_ok=True)
        for graph, model in export_topologies(build_network(NetworkSpec(temporal=temporal))).items():
            (folder / f"{graph}.onnx").write_bytes(model)
            print(f"{folder.name}/{graph}.onnx {len(model) / 1024:.0f} KiB")


if __name__ == "__main__":
    run_tool(main)
