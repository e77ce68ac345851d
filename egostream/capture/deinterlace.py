"""Interlaced frames made whole, by FFmpeg's bwdif filter."""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import av
import av.filter

from egostream.capture.held import Held

#: One picture for each frame, of its first field's time; frames that are not interlaced pass as they are. bwdif
#: interpolates each missing line from its own field and the neighbours' ones, so that moving edges have no comb.
SETTINGS = "mode=send_frame:parity=auto:deint=interlaced"


class Deinterlacer:
    """Passes frames through the filter, in order. It holds the newest one back until its successor is known."""

    def __init__(self) -> None:
        self.graph: av.filter.Graph | None = None
        self.shape: tuple[int, int, str] | None = None  # width, height and format that the graph is made for
        self.inside: deque[Held] = deque()  # frames whose pictures are in the filter
        self.pushed = 0

    def push(self, held: Held) -> list[Held]:
        """The frames that are whole now that ``held`` is known. One without a picture passes in its turn."""
        frame = held.content
        if not isinstance(frame, av.VideoFrame):
            return [*self.flush(), held]
        done: list[Held] = []
        shape = frame.width, frame.height, frame.format.name
        if shape != self.shape:
            done = self.flush()
            self.graph, self.shape = make_graph(frame), shape
        self.pushed += 1
        frame.pts, frame.time_base = self.pushed, Fraction(1, 25)  # of no meaning: ``held`` keeps its time
        self.inside.append(held)
        assert self.graph is not None
        self.graph.vpush(frame)
        return done + self.pull()

    def pull(self) -> list[Held]:
        """The frames that the filter is done with."""
        done = []
        while self.inside and self.graph is not None:
            try:
                whole = self.graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            held = self.inside.popleft()
            held.content = whole
            done.append(held)
        return done

    def flush(self) -> list[Held]:
        """The frames that the filter held back, after which it can take no more."""
        if self.graph is None:
            return []
        self.graph.vpush(None)
        done = self.pull()
        self.graph = self.shape = None
        for held in self.inside:  # the filter kept them for itself
            held.content, held.flaw = None, "the picture cannot be deinterlaced"
        done += self.inside
        self.inside.clear()
        return done


def make_graph(frame: av.VideoFrame) -> av.filter.Graph:
    """The filter for frames of this size and format."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("bwdif", SETTINGS), graph.add("buffersink")).configure()
    return graph
