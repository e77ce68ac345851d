"""Libraries that only some bridges need."""

from __future__ import annotations

import importlib
from types import ModuleType

from egostream.errors import EgostreamError


def needed(module: str, package: str) -> ModuleType:
    """A library that only bridges need. Raises EgostreamError with the line that installs it."""
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        raise EgostreamError(
            f"this bridge needs {package}, which cannot be loaded ({error}): pip install 'egostream[bridge]'"
        ) from None
