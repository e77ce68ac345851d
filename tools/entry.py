"""How every tool starts and ends: what a user can act on is one line, never a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from egostream.errors import EgostreamError
from egostream.terminal.streams import print_what_can_be_printed


def run_tool(main: Callable[[], None], stopped: str = "stopped") -> None:
    """Run a tool's ``main``. Exits with 1 for an error, 130 (as shells do) for Ctrl-C, which says ``stopped``."""
    name = Path(sys.argv[0]).stem
    print_what_can_be_printed()
    try:
        main()
    except (EgostreamError, OSError) as error:
        sys.exit(f"{name}: {error}")
    except ModuleNotFoundError as error:
        sys.exit(f"{name}: {error}. Install what it needs: pip install -e '.[train]'")
    except KeyboardInterrupt:
        print(f"{name}: {stopped}", file=sys.stderr)
        sys.exit(130)
