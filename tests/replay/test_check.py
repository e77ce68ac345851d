"""Recorded poses once more, to the bit: under every circumstance that a live run decides by the clock."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from played_live import play_live

from egostream.config import RunConfig, StreamConfig
from egostream.errors import EgostreamError
from egostream.infer import replayed
from egostream.supervise.prepare import prepare_run
from egostream.terminal.replay import check, replay_config


def quiet(line: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def settings(thin_weights_of):
    """Settings of a run whose motion is computed between poses."""
    common = {"backend": "openvino", "source": "sample", "weights": str(thin_weights_of("two seconds").folder)}
    return lambda **given: RunConfig(**{**common, **given})


@pytest.fixture(scope="module")
def recording(tmp_path_factory, settings):
    """A recording of a live run whose machine was busy, with one request to forget the past; and its setup."""
    path, setup = tmp_path_factory.mktemp("played") / "live.mcap", prepare_run(settings(), quiet)
    motions = play_live(path, setup, frames=30, reset_at=12)
    assert any(len(one) == 0 for one in motions) and len({len(one) for one in motions}) > 1
    return path, setup


def test_a_busy_live_run_is_replayed_to_the_bit(recording, capsys):
    path, _ = recording
    assert check(path, replay_config(path, [], {}))
    said = capsys.readouterr().out
    assert "poses are identical" in said and "could not" not in said


def test_without_the_schedule_the_same_pictures_give_other_poses(recording, capsys, monkeypatch):
    """Else the schedule would be for nothing, or the check would see nothing."""
    monkeypatch.setattr(replayed.ReplayedEstimator, "follow", lambda self, number, frame: self.schedules.pop(number))
    assert not check(recording[0], replay_config(recording[0], [], {}))
    assert "poses differ, joints by up to" in capsys.readouterr().out


def test_another_filter_is_named_by_its_first_number(recording, capsys):
    assert not check(recording[0], replay_config(recording[0], [], {"filter": "off"}))
    said = capsys.readouterr().out
    assert "The first: frame 1, joints[neck].x: recorded " in said or "joints[" in said
    assert "keypoints" not in said  # which no filter touches


@pytest.mark.parametrize(
    "given",
    [
        {"motion": "every-frame", "filter": "off", "rays": False},
        {"rotate": 180, "flip": True, "stature": 1.8, "filter_beta": 2.0, "assume_canonical": True},
    ],
)
def test_settings_come_from_the_file(tmp_path, capsys, settings, given):
    setup = prepare_run(settings(**given), quiet)
    play_live(tmp_path / "live.mcap", setup, frames=10, seed=3)
    config = replay_config(tmp_path / "live.mcap", [], {})
    assert all(getattr(config, key) == value for key, value in given.items() if key != "assume_canonical")
    assert check(tmp_path / "live.mcap", config), capsys.readouterr().out


def test_several_streams_in_batches_are_each_replayed_alone(tmp_path, capsys, settings):
    streams = (StreamConfig(stream="left"), StreamConfig(stream="right", stature=1.6))
    setup = prepare_run(settings(streams=streams), quiet)
    play_live(tmp_path / "two.mcap", setup, frames=12, seed=5)
    config = replay_config(tmp_path / "two.mcap", [], {})
    assert [(one.stream, one.stature) for one in config.streams] == [("left", 0.0), ("right", 1.6)]
    assert check(tmp_path / "two.mcap", config)
    said = capsys.readouterr().out
    assert "stream left: " in said and "stream right: " in said and said.count("identical") == 2


def test_what_the_file_lacks_is_not_checked_and_said(recording, tmp_path, capsys):
    play_live(tmp_path / "holes.mcap", recording[1], frames=15, lost=(3,), reset_at=7)
    assert check(tmp_path / "holes.mcap", replay_config(tmp_path / "holes.mcap", [], {}))
    said = capsys.readouterr().out
    assert "identical; " in said and "poses could not be checked" in said


def test_a_recording_that_is_cut_off_is_checked_up_to_there(recording, tmp_path, capsys):
    data = recording[0].read_bytes()
    (tmp_path / "cut.mcap").write_bytes(data[: len(data) * 2 // 3])
    assert check(tmp_path / "cut.mcap", replay_config(tmp_path / "cut.mcap", [], {}))
    assert "the file is not whole" in capsys.readouterr().out


def test_other_weights_are_said(recording, thin_weights_of, capsys):
    config = replay_config(recording[0], [], {"weights": str(thin_weights_of("causal").folder), "precision": "fp32"})
    assert not check(recording[0], config)
    out, said = capsys.readouterr()
    assert "other poses are no error" in said and "differ" in out


def test_what_is_no_recording_is_refused(tmp_path):
    with pytest.raises(EgostreamError, match="no recording"):
        replay_config(tmp_path / "none.mcap", [], {})
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(EgostreamError, match="is no MCAP file"):
        replay_config(tmp_path / "text.txt", [], {})


def test_a_run_takes_the_wearers_settings_and_leaves_the_engine_to_its_own(recording, tmp_path):
    from egostream.config import load_config
    from egostream.terminal.recorded import settings_of_camera

    path, setup = recording
    tall = replace(setup.streams[0], config=msgspec.structs.replace(setup.streams[0].config, stature=1.9, rotate=180))
    play_live(tmp_path / "tall.mcap", replace(setup, streams=(tall,)), frames=1)
    config = load_config(None, {"source": str(tmp_path / "tall.mcap"), "rotate": 0}, settings_of_camera)
    assert (config.stature, config.rotate, config.precision) == (1.9, 0, "auto")
