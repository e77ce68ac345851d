"""Head poses from a file: read whole or refused by line, and sent on time."""

from __future__ import annotations

import time

import pytest
from processes import egostream

from egostream.errors import EgostreamError
from egostream.head.csv_file import read_head_csv, replay

HEADER = "t_s,x,y,z,qx,qy,qz,qw\n"


def written(folder, text: str):
    path = folder / "head.csv"
    path.write_text(text)
    return path


def test_rows_are_read(tmp_path):
    rows = read_head_csv(written(tmp_path, HEADER + "5.0,0,1.7,0,0,0,0,1\n5.02, 0.1,1.7,0, 0,0,0,-1\n"))
    assert [row.t_ns for row in rows] == [0, 20_000_000]
    assert (rows[1].pose.position, rows[1].pose.orientation) == ((0.1, 1.7, 0.0), (0.0, 0.0, 0.0, -1.0))
    assert rows[0].pose.gravity is None and rows[0].pose.space == "head"
    (row,) = read_head_csv(written(tmp_path, HEADER + "5.0,0,1.7,0,0,0,0,1\n"), "stage")
    assert row.pose.space == "stage"


def test_other_columns(tmp_path):
    """Gravity alone, nanoseconds, in any order, beside columns of others, with Excel's mark."""
    text = "\ufeffgz,gy,gx,name,t_ns\n0,-9.8,0,a,1000000000000000000\n1,-9.7,0,b,1000000000000001000\n"
    rows = read_head_csv(written(tmp_path, text))
    assert rows[1].t_ns in (1000, 1024) and rows[1].pose.gravity == (0.0, -9.7, 1.0)
    assert rows[0].pose.orientation is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "names nothing"),
        (HEADER, "no row"),
        ("a,b\n1,2\n", "names a, b"),
        ("t_s,x,y,z\n0,0,0,0\n", "names t_s"),
        ("t_s,t_ns,gx,gy,gz\n0,0,0,0,1\n", "names t_s, t_ns"),
        (HEADER + "0,0,0,0,0,0,0,1\n1,0,0,0,0,0,0\n", "line 3.*number is missing"),
        (HEADER + "0,0,0,up,0,0,0,1\n", "line 2.*number is missing"),
        (HEADER + "0,nan,0,0,0,0,0,1\n", "line 2.*not finite"),
        (HEADER + "0,0,0,0,0,0,0,0\n", "line 2.*unit quaternion"),
        (HEADER + "1,0,0,0,0,0,0,1\n1,0,0,0,0,0,0,1\n", "line 3.*time"),
        ("\0\1\2", "names"),
    ],
)
def test_a_file_that_is_wrong_is_refused_by_line(tmp_path, text, problem):
    with pytest.raises(EgostreamError, match=problem):
        read_head_csv(written(tmp_path, text))


def test_a_file_that_is_none_is_one_line(tmp_path):
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80" * 50)
    for path in (tmp_path / "none.csv", tmp_path, tmp_path / "binary.csv"):
        done = egostream("head", "csv", str(path))
        assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and str(path) in done.stderr, done.stderr


class Recorded:
    """What would be sent, and when."""

    def __init__(self):
        self.sent = []

    def send(self, pose, t_ns):
        assert time.monotonic_ns() >= t_ns  # never before its time
        self.sent.append((pose, t_ns))


def test_rows_are_sent_when_their_time_comes(tmp_path):
    lines = "".join(f"{n / 50},0,{n},0,0,0,0,1\n" for n in range(10))
    rows, sender, start_ns = read_head_csv(written(tmp_path, HEADER + lines)), Recorded(), time.monotonic_ns()
    replay(rows, sender, start_ns)
    assert [t_ns - start_ns for _, t_ns in sender.sent] == [n * 20_000_000 for n in range(10)]
    assert [pose.position[1] for pose, _ in sender.sent] == list(range(10))
