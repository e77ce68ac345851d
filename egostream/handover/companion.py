"""A companion's view of its run: when to end, and how to speak to the user.

A companion is a client, such as the page or a recorder, that the supervisor starts with a run. All else it learns as
any client does, from the sockets.
"""

from __future__ import annotations

import multiprocessing

from egostream.handover.board import CompanionBoard


class Companion:
    """What the supervisor and a companion share."""

    def __init__(self, board: CompanionBoard):
        self.board = board
        self.parent = multiprocessing.parent_process()  # None in tests, which play the child themselves

    def should_stop(self) -> bool:
        """Whether to end: the run's last pose is out, or the supervisor is gone.

        The control socket still answers, with the last pictures too, until the companion has ended or its time is up.
        """
        return bool(self.board["stop"]) or (self.parent is not None and not self.parent.is_alive())

    def say(self, note: str) -> None:
        """Show a note to the user."""
        self.board.note("companion", note)

    @property
    def restarts(self) -> int:
        """How often it died in this run before."""
        return int(self.board["companion_restarts"])
