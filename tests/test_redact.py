"""What may be shown of a source."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from egostream.capture.sources import check_source
from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.redact import without_password
from egostream.supervise.prepare import resolve_calibration


def test_passwords_in_urls_are_not_shown():
    assert without_password("rtsp://me:secret@host/x") == "rtsp://***@host/x"
    assert without_password("rtsp://me:p@ss@host/x@2") == "rtsp://***@host/x@2"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("RTSP://me:secret@host:554/x", "RTSP://***@host:554/x"),
        ("rtp://me:secret@host:5004", "rtp://***@host:5004"),
        ("http://me@host/x", "http://***@host/x"),
        ("rtsp://me:se/cret@host/x", "rtsp://***@host/x"),
        ("rtsp://host:554/x@2", "rtsp://host:554/x@2"),
        ("rtsp://me:se%40c%2Fret@host/x", "rtsp://***@host/x"),
        ("srt://host:9000?passphrase=secret&latency=200", "srt://host:9000?passphrase=***&latency=200"),
        ("srt://host:9000?streamid=secret", "srt://host:9000?streamid=***"),
        ("http://host/v.cgi?user=me&pwd=secret&size=2#a", "http://host/v.cgi?user=***&pwd=***&size=2#a"),
        ("http://host/v.cgi?u=me&p=secret", "http://host/v.cgi?u=***&p=***"),
        ("https://host/x?Access_Token=secret", "https://host/x?Access_Token=***"),
        ("rtsp://host/x?udp", "rtsp://host/x?udp"),
        ("udp://@:5000?pkt_size=1316", "udp://***@:5000?pkt_size=1316"),
        ("clips/user=me.mp4", "clips/user=me.mp4"),
        ("/data/me@home/a?key=b.mp4", "/data/me@home/a?key=b.mp4"),
    ],
)
def test_what_lets_people_in_is_hidden_wherever_it_stands(source, shown):
    assert without_password(source) == shown


def test_no_error_shows_a_password():
    """Each refusal before a run starts that names the source."""
    source = "ftp://me:secret@host/x?token=secret"
    with pytest.raises(EgostreamError) as error:
        check_source(source)
    assert "***" in str(error.value) and "secret" not in str(error.value)
    weights = SimpleNamespace(input=None)
    with pytest.raises(EgostreamError, match=r"no calibration for source rtsp://\*\*\*@host/x") as error:
        resolve_calibration(RunConfig(source="rtsp://me:secret@host/x"), weights)
    assert "secret" not in str(error.value)
