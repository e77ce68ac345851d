"""A picture that kills the process whose decoder gets it: left out after two deaths, whatever was read ahead of it.

The decoder is FFmpeg's, in processes of their own. At one packet it is killed by the kernel, as a fault of its own
would.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing import Semaphore
from types import SimpleNamespace

import av
import pytest
from made_videos import write_video

from egostream.capture import poison
from egostream.capture.camera import Pace
from egostream.capture.clips import Video
from egostream.capture.decode import BadFrame
from egostream.capture.main import avoid_poison, keep_place, place_to_go_on
from egostream.capture.poison import POISONOUS, DecodeWatch, LeftOut, watch_after
from egostream.capture.recording import RecordingCamera
from egostream.errors import StreamEnded
from egostream.handover.board import RunBoard, StreamBoard
from egostream.handover.worker import Worker

COUNT, GOP = 36, 7
#: Deaths of a capture process in a row that a supervisor takes from one that achieves nothing.
MOST_DEATHS = 8
forked = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")


@pytest.fixture
def worker():
    """A capture process's view, with real shared memory."""
    board = StreamBoard()
    yield Worker("capture", RunBoard(), [SimpleNamespace(board=board)], Semaphore(0), 0)
    board.close()


def places(path) -> list[int]:
    """Where the packets of a file stand, in the order in which they are decoded."""
    with av.open(str(path)) as container:
        return [packet.pos for packet in container.demux(video=0) if packet.size]


def read_on(path, worker, deadly, out, pace) -> None:
    """What a capture process does with a recording, as far as its frames; it dies where ``deadly`` packets come."""

    def hand_over(stream, packet):
        if packet is not None and packet.size and packet.pos in deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return stream.decode(packet)

    poison.hand_over = hand_over
    camera = RecordingCamera(Video(path), pace, False, *place_to_go_on(worker), worker.say)
    avoid_poison(camera, worker)
    camera.open()
    while True:
        try:
            worker.board["capture_at_seq"] = camera.seq + 1
            seq, line = camera.seq, ""
            line = f"{seq} good {int(camera.read().data.mean() * 1000)}"
        except BadFrame as bad:
            line = f"{seq} {bad}"
        except StreamEnded:
            return
        finally:
            keep_place(camera, worker)
            if line:
                out.write(f"{line}\n")
                out.flush()


def lives(path, worker, deadly, out_path, pace=Pace.EVERY_FRAME) -> tuple[int, dict[int, str]]:
    """How many processes died before one came to the end, and what became of each frame, by its number."""
    fork, deaths = multiprocessing.get_context("fork"), 0
    with open(out_path, "w") as out:
        for _ in range(MOST_DEATHS + 1):
            child = fork.Process(target=read_on, args=(path, worker, deadly, out, pace))
            child.start()
            child.join()
            assert child.exitcode in (0, -signal.SIGKILL)
            if child.exitcode == 0:
                break
            deaths += 1
    assert deaths <= MOST_DEATHS, "the recording never ends"
    lines = [line.split(" ", 1) for line in out_path.read_text().splitlines()]
    return deaths, {int(seq): text for seq, text in lines}


@forked
@pytest.mark.parametrize("bframes", [0, 2])
def test_a_picture_that_kills_the_decoder_is_left_out_and_the_rest_is_as_without_it(worker, tmp_path, bframes):
    path = write_video(tmp_path / "x.mp4", [40 * n for n in range(COUNT)], gop=GOP, bframes=bframes)
    whole = {}
    camera = RecordingCamera(Video(path), Pace.EVERY_FRAME, False, 0, 0, lambda note: None)
    camera.open()
    for seq in range(COUNT):
        whole[seq] = f"{seq} good {int(camera.read().data.mean() * 1000)}".split(" ", 1)[1]
    number = 2 * GOP + 3
    deaths, found = lives(path, worker, {places(path)[number]}, tmp_path / "out")
    assert POISONOUS <= deaths <= POISONOUS + 2 and sorted(found) == list(range(COUNT))
    different = [seq for seq in found if found[seq] != whole[seq]]
    assert different and all(2 * GOP <= seq < 3 * GOP for seq in different), different  # up to the next key frame
    assert any("its decoding ended the capture process" in found[seq] for seq in different)
    notes = worker.board.notes("capture", 0, worker.board.count_notes("capture"))
    assert any(f"ended the capture process {POISONOUS} times in its decoder: it is left out" in note for note in notes)


@forked
def test_where_all_of_a_group_kill_the_group_is_left_out(worker, tmp_path):
    path = write_video(tmp_path / "x.mp4", [40 * n for n in range(COUNT)], gop=GOP)
    deadly = set(places(path)[2 * GOP + 1 : 3 * GOP])
    deaths, found = lives(path, worker, deadly, tmp_path / "out")
    assert deaths <= 2 * POISONOUS + 1 and sorted(found) == list(range(COUNT))
    bad = [seq for seq, text in found.items() if not text.startswith("good")]
    assert set(range(2 * GOP + 1, 3 * GOP)) <= set(bad) <= set(range(2 * GOP, 3 * GOP))


def test_only_a_packet_at_which_processes_in_a_row_ended_is_left_out(worker):
    board, said = worker.board, []
    for at in ("0:1:0.1", "0:2:0.2", "", "0:1:0.1", "", "0:1:0.1"):  # killed by somebody, now and then
        board.say("capture_at_packet", at)
        assert not watch_after(board, 0, said.append).spared and not said
    board.say("capture_at_packet", "0:1:0.1")
    watch = watch_after(board, 0, said.append)
    assert watch.is_careful and watch.spared == {"0:1"} and "0.1 s (byte 1)" in said[0]
    assert not watch_after(board, 0, said.append).is_careful and DecodeWatch(board).spared == {"0:1"}


def test_a_packet_that_is_left_out_never_reaches_the_decoder(worker):
    class Stream:
        def decode(self, packet):
            assert (
                worker.board.text("capture_at_packet") == f"{packet.pos if packet.is_keyframe else 5}:{packet.pos}:2.00"
            )
            return ["a picture"]

    def packet(pos, is_keyframe=False):
        return SimpleNamespace(size=9, pos=pos, is_keyframe=is_keyframe, pts=2, dts=2, time_base=1)

    worker.board.say("capture_spared", "5:7 9:*")
    watch = DecodeWatch(worker.board)
    assert watch.decode(Stream(), packet(5, True)) == watch.decode(Stream(), packet(6)) == ["a picture"]
    assert worker.board.text("capture_at_packet") == ""
    for one in (packet(7), packet(9, True), packet(10)):
        with pytest.raises(LeftOut):
            watch.decode(Stream(), one)
    assert watch.decode(Stream(), packet(11, True)) == ["a picture"]
