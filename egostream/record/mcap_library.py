"""Whether the libraries of MCAP files are installed: they come with the extra ``record``."""

from __future__ import annotations

from importlib.util import find_spec

from egostream.errors import EgostreamError

MODULES = ("mcap", "mcap_protobuf", "foxglove_schemas_protobuf")


def check_mcap() -> None:
    """Raise EgostreamError, with the line that installs them, where the libraries are missing."""
    if missing := [name for name in MODULES if find_spec(name) is None]:
        raise EgostreamError(
            f"MCAP recordings need {', '.join(missing)}. Install what they need: pip install 'egostream[record]'"
        )
