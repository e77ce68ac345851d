"""What may be shown of a source."""

from __future__ import annotations

from egostream.redact import without_password


def test_passwords_in_urls_are_not_shown():
    assert without_password("rtsp://me:secret@host/x") == "rtsp://***@host/x"
    assert without_password("rtsp://me:p@ss@host/x@2") == "rtsp://***@host/x@2"
