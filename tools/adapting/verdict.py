"""Whether the new weights are better than those before, said as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tools.adapting.plan import JUDGED
from tools.compare_reports import FIGURES, compare_reports, read_report

JUDGED_BY = "mpjpe_mm"


@dataclass(frozen=True)
class Verdict:
    """What the paired reports of both weights show."""

    recordings: int
    has_bodies: bool  # whether the people have a real body's shape
    figures: dict[str, tuple[float, ...]]  # figure -> before, after, difference, lower and upper end of its interval

    @property
    def is_better(self) -> bool:
        """Whether the error fell, beyond what chance does."""
        return self.recordings >= JUDGED and self.figures[JUDGED_BY][4] < 0

    @property
    def is_worse(self) -> bool:
        """Whether the error rose, beyond what chance does."""
        return self.recordings >= JUDGED and self.figures[JUDGED_BY][3] > 0

    def lines(self) -> list[str]:
        """The figures, and the verdict in words."""
        rows = [
            f"  {FIGURES[name]}: {before:.1f} before, {after:.1f} after; difference {change:+.1f}, "
            f"95% interval {low:+.1f} to {high:+.1f}"
            for name, (before, after, change, low, high) in self.figures.items()
        ]
        return [f"on {self.recordings} held-out rendered recordings, as your camera sees:", *rows, self.words()]

    def words(self) -> str:
        """The verdict in a sentence or two."""
        if self.recordings < JUDGED:
            return f"{self.recordings} recordings are too few for a verdict. The new weights are not recommended."
        if self.is_better:
            doubt = "" if self.has_bodies else " Part of this is getting used to bodies of rounded limbs (no --body)."
            return f"The new weights are BETTER on rendered people.{doubt} How they do on real ones, look yourself."
        if self.is_worse:
            return "The new weights are WORSE. They are kept, and not recommended."
        return (
            "NO DIFFERENCE can be shown: the interval holds 0. The new weights are kept, and not recommended. "
            "More --hours may show one."
        )


def judge(before: Path, after: Path, has_bodies: bool) -> Verdict:
    """The verdict of two reports of tools/evaluate.py. Raises EgostreamError when they are not of the same frames."""
    reports = read_report(before), read_report(after)
    return Verdict(len(reports[0]), has_bodies, compare_reports(*reports))
