"""OSC by hand, against python-osc; and addresses as people type them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egostream.bridge.osc import Bundle, encode, encode_bundle, parse_target
from egostream.errors import EgostreamError

pythonosc = pytest.importorskip("pythonosc", reason="pip install python-osc")
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
numbers = st.one_of(st.integers(-(2**31), 2**31 - 1), st.floats(width=32, allow_nan=False))
argument_lists = st.tuples(st.lists(texts, max_size=2), st.lists(numbers, max_size=5), st.lists(texts, max_size=2))


@given(st.lists(st.tuples(st.sampled_from(["/a", "/VMC/Ext/T", "/abc"]), argument_lists), min_size=1, max_size=4))
def test_messages_and_bundles_are_what_a_library_reads(drawn):
    from pythonosc.osc_bundle import OscBundle
    from pythonosc.osc_message import OscMessage

    sent = [(address, first + middle + last) for address, (first, middle, last) in drawn]
    for address, arguments in sent:
        read = OscMessage(encode(address, arguments))
        assert (read.address, read.params) == (address, arguments)
        assert [type(value) for value in read.params] == [type(value) for value in arguments]
    assert [(one.address, one.params) for one in OscBundle(encode_bundle(sent))] == sent


@given(st.lists(st.tuples(st.sampled_from(["/a", "/VMC/Ext/T", "/abc"]), argument_lists), min_size=1, max_size=4))
def test_a_bundle_that_is_laid_out_once_is_the_same_with_other_floats(drawn):
    before = [(address, first + middle + last) for address, (first, middle, last) in drawn]
    count = 0
    after = []
    for address, arguments in before:
        changed = []
        for one in arguments:
            count += isinstance(one, float)
            changed.append(count / 8 if isinstance(one, float) else one)
        after.append((address, changed))
    bundle = Bundle(before)
    assert bundle.filled(np.arange(1, count + 1) / 8) == encode_bundle(after)
    assert bundle.filled(np.arange(1, count + 1) / 8) == encode_bundle(after)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.7:39540", ("10.0.0.7", 39540)),
        ("headset.local", ("headset.local", 9000)),
        (":9001", ("127.0.0.1", 9001)),
        ("[fe80::1]:9001", ("fe80::1", 9001)),
        ("fe80::1", ("fe80::1", 9000)),
        ("[::1]", ("::1", 9000)),
    ],
)
def test_targets_as_people_type_them(text, found):
    assert parse_target(text, 9000) == found


@pytest.mark.parametrize("text", ["host:", "host:vmc", "host:0", "host:65536"])
def test_ports_that_are_none_are_refused(text):
    with pytest.raises(EgostreamError, match="is no port"):
        parse_target(text, 9000)
