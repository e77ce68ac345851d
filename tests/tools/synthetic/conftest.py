"""Shared fixtures: one OpenGL context, one small rendered dataset, bodies of every source."""

from __future__ import annotations

import pytest
from conftest import SHARED
from rendered_people import SMALL, make

from egostream.calibration.file import canonical_calibration
from egostream.errors import EgostreamError
from tools.synthetic.people.capsules import Capsules
from tools.synthetic.people.makehuman import MakeHuman

MPFB = SHARED / "body" / "mpfb2"


@pytest.fixture(scope="session")
def context():
    """A renderer of the canonical camera, 64 pixels square. Skips where there is no OpenGL at all."""
    pytest.importorskip("moderngl")
    from tools.synthetic.picture.render import Renderer

    try:
        return Renderer(canonical_calibration(), (64, 64))
    except EgostreamError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["capsules", "makehuman"], scope="session")
def people(request):
    """A source of bodies: the built-in one, and MakeHuman's where its mesh is."""
    if request.param == "capsules":
        return Capsules()
    if not MPFB.is_dir():
        pytest.skip("the MakeHuman mesh does not lie beside this checkout")
    return MakeHuman(MPFB)


@pytest.fixture(scope="session")
def made(context, tmp_path_factory):
    """A small dataset, made by the command itself."""
    out = tmp_path_factory.mktemp("synthetic") / "data"
    make(out, *SMALL)
    return out
