"""``egostream annotate`` as a person types it: what it shows, and bad input."""

from __future__ import annotations

import json

import pytest
from processes import egostream
from sample_clip import sample_images
from typer.testing import CliRunner

from egostream.errors import EgostreamError
from egostream.terminal.cli import app


@pytest.fixture
def clips(tmp_path):
    """A folder with a clip of three pictures, and one of none that can be used."""
    for name, images in (("good", sample_images()[:3]), ("bad", [b"no image"] * 2)):
        (tmp_path / "clips" / name).mkdir(parents=True)
        for number, image in enumerate(images):
            (tmp_path / "clips" / name / f"{number}.jpg").write_bytes(bytes(image))
    return tmp_path / "clips"


def test_a_recording_of_no_use_fails_and_the_others_are_done(clips, tmp_path):
    command = ["annotate", str(clips), "-o", str(tmp_path / "out"), "--format", "jsonl", "--assume-canonical"]
    done = egostream(*command)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"FAILED {clips / 'bad'} has no usable frame: the image is broken" in done.stderr
    assert f"{clips / 'good'}: 3 poses of 3 frames, confidence 0.7" in done.stderr
    assert "1 of 2 recordings done, 1 failed, 3 poses in" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good.jsonl"]
    again = egostream(*command, "--json")
    assert again.returncode == 1
    report = json.loads(again.stdout)
    assert (report["done_before"], report["left"], report["poses"]) == (1, 0, 0)
    assert report["recordings"][0]["bad"] == {"broken": 2} and not report["recordings"][0]["outputs"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{clips}/none", "-o", "{out}"], "no source '.*none'"),
        (["{out}", "-o", "{out}/poses"], "no recordings at .*out"),
        (["{clips}/good", "-o", "{out}/kept.csv"], "kept.csv exists. To make it anew: --again"),
        (["{clips}/good", "-o", "{out}/kept.csv/x"], "cannot write into .*kept.csv"),
        (["{clips}/good", "-o", "{out}/poses.doc"], "files of poses end in"),
        (["{clips}/good"], "nowhere to write"),
        (["{clips}/good", "-o", "{out}/p.csv"], "no calibration for source .*good.*--assume-canonical"),
        (["{clips}/good", "-o", "{out}/p.csv", "--assume-canonical", "--weights", "nowhere"], "not a weights folder"),
        (["{clips}/good", "-o", "{out}/p.csv", "--stature", "17"], "stature is 17"),
        (["rtsp://127.0.0.1:9/x", "-o", "{out}/p.csv"], "is a live camera, which has no end"),
    ],
)
def test_bad_input_is_a_line_and_writes_nothing(clips, tmp_path, arguments, words):
    out = tmp_path / "out"
    out.mkdir()
    (out / "kept.csv").write_text("kept")
    filled = [argument.format(clips=clips, out=out) for argument in arguments]
    done = CliRunner().invoke(app, ["annotate", *filled])
    assert done.exit_code == 1 and isinstance(done.exception, EgostreamError)
    pytest.raises(EgostreamError, raise_again, done.exception).match(words)
    assert [path.name for path in out.iterdir()] == ["kept.csv"] and (out / "kept.csv").read_text() == "kept"


def raise_again(error):
    raise error
