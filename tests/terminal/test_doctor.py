"""``egostream doctor`` on machines that lack something."""

from __future__ import annotations

from egostream.errors import EgostreamError
from egostream.terminal import doctor


def test_doctor_tells_the_rest_when_the_weights_are_damaged(monkeypatch):
    def damaged():
        raise EgostreamError("weights are damaged")

    monkeypatch.setattr(doctor, "shipped_weights", damaged)
    findings = list(doctor.check_weights())
    assert ("error", "weights", "weights are damaged", "") in findings
