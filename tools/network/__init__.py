"""The AG-EgoPose network in PyTorch (arXiv 2603.25175): training, export and the reference for every backend.

Never imported by the ``egostream`` package: the runtime runs the graphs exported from here.
"""

from tools.network.build import build_network
from tools.network.spec import NetworkSpec

__all__ = ["NetworkSpec", "build_network"]
