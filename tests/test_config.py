"""Settings: defaults, then the file, then flags; one camera or several."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import ROOT
from processes import egostream

from egostream.config import MAX_STREAMS, RunConfig, StreamConfig, as_toml, load_config, stream_configs, stream_flags
from egostream.errors import EgostreamError


def test_streams_take_what_they_leave_out_from_the_run():
    config = RunConfig(
        fps=30.0, loop=True, streams=(StreamConfig(source="a"), StreamConfig(source="b", stream="left", loop=False))
    )
    first, second = stream_configs(config)
    assert (first.source, first.stream, first.loop, first.fps) == ("a", "0", True, 30.0)
    assert (second.source, second.stream, second.loop, second.fps) == ("b", "left", False, 30.0)
    assert stream_configs(RunConfig(source="a")) == [RunConfig(source="a")]


def test_settings_with_streams_survive_toml(tmp_path):
    config = RunConfig(
        publish="ipc:///tmp/x",
        streams=(StreamConfig(source='a "quoted"', loop=True), StreamConfig(source="b", fps=15.0)),
    )
    path = tmp_path / "run.toml"
    path.write_text(as_toml(config))
    assert load_config(path, {}) == config


def test_a_flag_goes_before_the_tables_or_is_refused(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(
        as_toml(RunConfig(streams=(StreamConfig(source="a", fps=15.0, loop=True), StreamConfig(source="b"))))
    )
    config = load_config(path, {"fps": 60.0})
    assert [(one.source, one.fps, one.loop) for one in stream_configs(config)] == [
        ("a", 60.0, True),
        ("b", 60.0, False),
    ]
    for flags in ({"source": "sample"}, {"stream": "x"}):
        with pytest.raises(EgostreamError, match="two.toml has .*streams.*which one is meant"):
            load_config(path, flags)
    assert len(load_config(path, {"streams": [{"source": "c"}]}).streams) == 1


@pytest.mark.parametrize(
    "given, expected",
    [
        ((["0"], [], []), {"source": "0"}),
        (([], ["head"], ["c.json"]), {"stream": "head", "calibration": "c.json"}),
        ((["0", "1"], [], ["c.json"]), {"calibration": "c.json", "streams": [{"source": "0"}, {"source": "1"}]}),
        (
            (["0", "1"], ["l", "r"], ["a", "b"]),
            {
                "streams": [
                    {"source": "0", "stream": "l", "calibration": "a"},
                    {"source": "1", "stream": "r", "calibration": "b"},
                ]
            },
        ),
    ],
)
def test_repeated_options_make_streams(given, expected):
    assert stream_flags(*given) == expected


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--camera", "sample", "--camera", "sample", "--stream", "a"], "2 cameras and 1 times --stream"),
        (
            ["--camera", "sample", "--camera", "sample", "--camera", "sample", *["--calibration", "a"] * 2],
            "3 cameras and 2 times --calibration",
        ),
        (["--camera", "sample", "--camera", "sample", "--stream", "a", "--stream", "a"], "two streams are named 'a'"),
        (["--camera", "sample", "--camera", "nowhere.mp4"], "no source 'nowhere.mp4'"),
        (["--camera", "sample"] * (MAX_STREAMS + 1), f"up to {MAX_STREAMS}"),
        (["--camera", "sample", "--batch-wait-ms", "nan"], "batch_wait_ms"),
    ],
)
def test_streams_that_do_not_fit_are_one_clear_line(arguments, message):
    done = subprocess.run(
        [sys.executable, "-m", "egostream", "run", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1 and message in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def test_config_file_and_flags_fill_one_object(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('source = "7"\nthreads = 3\nstream = "left"\n')
    config = load_config(path, {"threads": 1, "stream": None})
    assert (config.source, config.threads, config.stream) == ("7", 1, "left")
    printed = egostream("run", "--config", str(path), "--threads", "1", "--print-config")
    (tmp_path / "printed.toml").write_text(printed.stdout)
    assert load_config(tmp_path / "printed.toml", {}) == config


def test_config_round_trips_awkward_strings(tmp_path):
    config = RunConfig(source='C:\\cams\\"left" ünï', calibration="a b.json")
    path = tmp_path / "x.toml"
    path.write_text(as_toml(config), encoding="utf-8")
    assert load_config(path, {}) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sauce = 1", "unknown field `sauce`"),
        ('threads = "two"', r"Expected `int`, got `str` - at `\$.threads`"),
        ("threads = ", "not readable TOML"),
        ("streams = 5", r"Expected `array`, got `int` - at `\$.streams`"),
    ],
)
def test_bad_config_names_the_file_and_the_key(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(EgostreamError, match=message) as caught:
        load_config(path, {})
    assert "bad.toml" in str(caught.value)
