"""The companions of a run: clients that start and end with it, and die alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnContext

from egostream.errors import first_line
from egostream.handover.board import CompanionBoard
from egostream.supervise.processes import COMPANION, USER_ERROR, CompanionSpec, enter_companion
from egostream.supervise.signals import terminal_signals_blocked
from egostream.supervise.watched import NEVER, Watched, describe_exit

FINISH_S = 10.0  # companions that are told to end have so long: a recorder writes what it holds. Then they are killed
POLL_S = 0.02


class Companions:
    """Starts companions, restarts those that crash, gives up those that keep crashing. The run never ends for one.

    say: called with each line worth showing.
    """

    def __init__(self, specs: Sequence[CompanionSpec], context: SpawnContext, say: Callable[[str], None]):
        self.context, self.say = context, say
        self.specs = list(specs)
        self.watched = [Watched(COMPANION, spec.name, CompanionBoard()) for spec in specs]

    def watch(self) -> None:
        """Start what shall run, take leave of what has ended, and say what they said."""
        now = time.monotonic()
        for spec, watched in zip(self.specs, self.watched):
            self.relay(watched)
            if watched.process is None:
                if now >= watched.start_at_s:
                    self.start(spec, watched)
            elif watched.process.exitcode is not None:
                self.take_leave(watched, now, watched.process.exitcode)

    def start(self, spec: CompanionSpec, watched: Watched) -> None:
        """Start a companion's process."""
        watched.clear_board()
        process = self.context.Process(
            target=enter_companion, args=(spec, watched.board.name), name=f"egostream-{spec.name}"
        )
        try:
            with terminal_signals_blocked():
                process.start()
        except (OSError, EOFError, ValueError) as error:
            watched.started_s = time.monotonic()
            self.start_later(watched, time.monotonic(), f"it cannot be started: {first_line(error)}")
            return
        watched.watch_process(process)

    def take_leave(self, watched: Watched, now: float, exit_code: int) -> None:
        """Decide what follows the end of a companion."""
        watched.reap()
        reason = watched.board.text("companion_fatal")
        if exit_code == 0:
            watched.stay_down()
        elif exit_code == USER_ERROR:
            self.give_up(watched, reason)
        else:
            self.start_later(watched, now, describe_exit(exit_code, reason))

    def start_later(self, watched: Watched, now: float, reason: str) -> None:
        """Start a companion again after a pause, or give it up after too many."""
        if (pause := watched.plan_restart(now)) is None:
            self.give_up(watched, f"it failed {COMPANION.most_restarts + 1} times in a row; last: {reason}")
        else:
            self.say(f"{watched.title} ended ({reason}); restarting it in {pause:g} s")

    def give_up(self, watched: Watched, reason: str) -> None:
        """Go on without a companion."""
        watched.stay_down()
        self.say(f"{watched.title} is given up, the stream goes on: {reason}")

    def shut_down(self, answer_for: Callable[[float], None]) -> None:
        """Tell companions to end and wait for them; kill what does not end in time.

        answer_for: answers the run's control requests for so many seconds: a recorder asks for the last pictures.
        """
        for watched in self.watched:
            watched.board["stop"] = 1
            watched.start_at_s = NEVER
        deadline = time.monotonic() + FINISH_S
        while any(one.process and one.process.exitcode is None for one in self.watched) and time.monotonic() < deadline:
            answer_for(POLL_S)
        for watched in self.watched:
            self.end(watched)

    def end(self, watched: Watched) -> None:
        """Take leave of a companion whose time is over, and say what it said last."""
        self.relay(watched)
        process = watched.process
        if process is None:
            return
        if process.exitcode is None:
            self.say(f"{watched.title} did not end within {FINISH_S:g} s and was killed")
            process.kill()
            process.join(1.0)
        elif process.exitcode:
            self.say(
                f"{watched.title} ended ({describe_exit(process.exitcode, watched.board.text('companion_fatal'))})"
            )

    def relay(self, watched: Watched) -> None:
        """Say each new note of a companion."""
        for note in watched.take_notes():
            self.say(f"{watched.title}: {note}")

    def close(self) -> None:
        """Remove what was shared."""
        for watched in self.watched:
            watched.board.close()
