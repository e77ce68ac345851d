"""Licences of what is installed: the list refuses what it does not know."""

from __future__ import annotations

import json

import pytest

from egostream.errors import EgostreamError
from tools.licences import licence_of, licences_in, problem, table

pytest.importorskip("license_expression", reason="the extra supply is not installed")


@pytest.mark.parametrize(
    ("name", "licence"),
    [
        ("a", "MIT"),
        ("a", "Apache-2.0 AND Apache-2.0 WITH LLVM-exception"),
        ("a", "GPL-3.0-only OR MIT"),
        ("zeroconf", "LGPL-2.1-or-later"),
        ("nvidia-cublas", "LicenseRef-NVIDIA-Proprietary"),
    ],
)
def test_what_goes_with_apache_is_taken(name, licence):
    assert problem(name, licence) == ""


@pytest.mark.parametrize(
    ("name", "licence", "why"),
    [
        ("a", "", "no licence is told"),
        ("a", "GPL-3.0-or-later", "not on the list"),
        ("a", "MIT AND AGPL-3.0-only", "not on the list"),
        ("a", "(MIT OR Apache-2.0) AND GPL-2.0-only", "not on the list"),
        ("a", "LGPL-2.1-or-later", "not on the list"),
        ("a", "LicenseRef-NVIDIA-Proprietary", "not on the list"),
        ("a", "free for friends (of ours", "is unknown"),
    ],
)
def test_what_is_unknown_or_does_not_go_with_it_is_refused(name, licence, why):
    assert why in problem(name, licence)


def test_all_that_a_package_says_counts():
    says = [{"license": {"name": "License :: OSI Approved :: BSD License"}}, {"expression": "MIT OR GPL-2.0-only"}]
    assert licence_of({"name": "a", "licenses": says}) == "(MIT OR GPL-2.0-only) AND BSD-3-Clause"
    assert licence_of({"name": "a"}) == "" and licence_of({"name": "ray"}) == "Apache-2.0"


def test_an_sbom_becomes_a_table(tmp_path):
    sbom = tmp_path / "sbom.json"
    parts = [{"name": name, "licenses": [{"license": {"id": "MIT"}}]} for name in ("b", "A")]
    sbom.write_text(json.dumps({"components": parts}))
    assert "| MIT | A, b |" in table(licences_in(sbom))
    sbom.write_text("[]")
    with pytest.raises(EgostreamError, match="is no SBOM"):
        licences_in(sbom)
