"""Annotating over a Ray cluster: two nodes on this machine, one of which is killed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest
from conftest import ROOT
from processes import wait_for

from egostream.annotate.cluster import each_on_ray
from egostream.annotate.on_ray import work_on_ray
from egostream.annotate.one import annotate
from egostream.annotate.plan import Job
from egostream.errors import EgostreamError

COUNT, LONG = 3, 200


@pytest.fixture
def cluster(monkeypatch):
    """A cluster of two nodes that take a task each, and the node to kill."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="pip install ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    memory = {"object_store_memory": 80_000_000}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **memory})
    try:
        yield cluster, cluster.add_node(num_cpus=1, **memory)
    finally:
        cluster.shutdown()


def test_a_node_that_is_killed_in_the_middle_changes_no_byte(cluster, setup, stream, images_in, tmp_path):
    whole, doomed = cluster
    clips = [images_in(tmp_path / f"clip{n}", LONG) for n in range(COUNT)]
    jobs = [Job(str(clip), (str(tmp_path / "out" / f"{clip.name}.csv"),)) for clip in clips]

    killed: list[object] = []

    def kill_one() -> None:
        """When both nodes are in the middle of a recording, one of them dies."""
        if wait_for(lambda: len(list((tmp_path / "out").glob(".*.csv"))) == 2, 90):
            whole.remove_node(doomed, allow_graceful=False)
            killed.append(doomed)

    thread = threading.Thread(target=kill_one)
    thread.start()
    reports = dict(work_on_ray(setup, jobs, whole.address))
    thread.join()
    assert killed and len(list(reports)) == COUNT
    assert {job: report.error for job, report in reports.items()} == dict.fromkeys(jobs, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"clip{n}.csv" for n in range(COUNT)]
    alone = tmp_path / "alone.csv"
    assert not annotate(stream, Job(jobs[0].source, (str(alone),)), lambda *_: None).error
    assert all(Path(job.outputs[0]).read_bytes() == alone.read_bytes() for job in jobs)  # which show the same


def shout(text: str) -> str:
    return text.upper()


def test_what_no_cluster_answers_is_named():
    pytest.importorskip("ray", reason="pip install ray")
    with pytest.raises(EgostreamError, match="--ray walk.mp4: no cluster answers.*ray start --head"):
        list(each_on_ray("walk.mp4", shout, ["x"]))


def test_without_ray_the_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EgostreamError, match=r"pip install 'egostream\[ray\]'"):
        list(each_on_ray("auto", shout, ["x"]))
