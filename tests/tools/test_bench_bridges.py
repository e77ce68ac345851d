"""Which datagram belongs to which pose."""

from __future__ import annotations

import socket
import sys
import time

import pytest

from tools.bench_bridges import ages_ms, received, stamped_socket

MS = 1_000_000


def test_the_last_datagram_of_a_pose_counts_whoever_had_it_first():
    plain = [((n * 33 * MS).to_bytes(8, "big"), n * 33 * MS + MS) for n in range(1, 4)]
    bridged = [(b"", at * MS) for at in (2, 33 + 0.5, 33 + 3, 66 + 2, 66 + 4)]  # one of before; two; two; none
    assert ages_ms(plain, [(data, int(at)) for data, at in bridged]).tolist() == [[1, 3], [1, 4]]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's stamps are Linux's")
def test_datagrams_carry_the_time_of_their_arrival():
    with stamped_socket() as udp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        before_ns = time.monotonic_ns()
        sender.sendto(b"pose", udp.getsockname())
        found = []
        while not found:
            found = received(udp)
        ((data, at_ns),) = found
        assert data == b"pose" and before_ns - 50 * MS < at_ns < time.monotonic_ns() + 50 * MS
