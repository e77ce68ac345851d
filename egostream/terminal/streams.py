"""What a terminal cannot show must not end a command."""

from __future__ import annotations

import io
import sys


def print_what_can_be_printed() -> None:
    """Show a question mark for each character that the terminal's encoding lacks, as ASCII lacks arrows.

    Names of files need not be text at all: Python keeps their bytes as lone surrogates, which no encoding has.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
