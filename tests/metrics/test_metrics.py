"""A run's figures as Prometheus reads them: its own parser, over real HTTP, from a real publisher."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator

import msgspec
import numpy as np
import psutil
import pytest
from processes import wait_for
from prometheus_client.parser import text_string_to_metric_families

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.handover.board import CompanionBoard
from egostream.handover.companion import Companion
from egostream.metrics import main, server
from egostream.metrics.figures import Figures
from egostream.metrics.settings import CUSTOMARY, MetricsSettings, host_and_port, metrics_beside
from egostream.publish.message import CameraStatus, EngineStatus, SkeletonStatus, StatusMessage, WeightsStatus
from egostream.publish.publisher import Publisher
from egostream.terminal.companions import companions_of
from egostream.types import Pose

CAMERA = CameraStatus(
    state="streaming", source="0", mode="", fps=30.0, bad_frames=7, note="", calibration="", size=(1, 1),
    bad_frames_by_reason={"damaged": 3, "repeated": 4},
)  # fmt: skip
WEIGHTS = WeightsStatus(
    id="w", trained=True, variant="full", temporal="causal", window=60, step_ms=33.3, description="",
)  # fmt: skip
STATUS = StatusMessage(
    stream="0", t_publish_ns=1, clock_offset_ns=2, skeleton=SkeletonStatus(), camera=CAMERA, poses=120, fps=29.5,
    weights=WEIGHTS, engine=EngineStatus(backend="b", version="1", device="cpu", precision="fp32"),
    latency_ms={}, dropped_frames=10, window_resets=2, restarts={"capture": 1, "infer": 5},
)  # fmt: skip
STAGES = {"grab": 1_000_000, "network": 8_000_000}


def free_port() -> int:
    """A TCP port of this machine that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def asked(port: int) -> dict[tuple[str, ...], float]:
    """All samples that a server tells: by name and, sorted by their keys, the values of its labels."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    families = text_string_to_metric_families(answer.read().decode())
    connection.close()
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


@contextlib.contextmanager
def served(figures: Figures) -> Iterator[int]:
    """The port of a server of these figures."""
    port = free_port()
    with server.serving(MetricsSettings("", "127.0.0.1", port), figures.registry):
        yield port


def pose() -> Pose:
    """A pose whose stages are known."""
    return Pose(0, 0, np.zeros((15, 3), np.float32), np.zeros((15, 2)), np.ones(15), dict(STAGES))


def test_what_a_run_publishes_is_told_to_prometheus(tmp_path, monkeypatch):
    monkeypatch.setattr(main, "NICENESS", 0)
    publisher = Publisher(RunConfig(publish=f"ipc://{tmp_path}/poses"), "weights")
    settings = MetricsSettings(f"ipc://{tmp_path}/poses", "127.0.0.1", free_port())
    companion = Companion(CompanionBoard())
    thread = threading.Thread(target=main.run, args=(settings, companion))
    thread.start()
    found: dict[tuple[str, ...], float] = {}

    def is_told() -> bool:
        publisher.publish_pose("0", pose(), 0)
        publisher.publish_status(STATUS)
        publisher.publish_wire(b"pose/0\0half a message")
        with contextlib.suppress(OSError):
            found.update(asked(settings.port))
        return ("egostream_poses_total", "0") in found and ("egostream_latency_seconds_count", "0") in found

    try:
        assert wait_for(is_told)
    finally:
        companion.board["stop"] = 1
        thread.join()
        companion.board.close()
        publisher.close()
    assert found["egostream_poses_total", "0"] == 120 and found["egostream_window_resets_total", "0"] == 2
    assert found["egostream_poses_per_second", "0"] == 29.5 and found["egostream_status_age_seconds", "0"] < 60
    assert found["egostream_stage_seconds_bucket", "0.01", "network", "0"] >= 1
    assert found["egostream_stage_seconds_bucket", "0.005", "network", "0"] == 0
    mean = found["egostream_stage_seconds_sum", "grab", "0"] / found["egostream_stage_seconds_count", "grab", "0"]
    assert mean == pytest.approx(0.001)
    with pytest.raises(OSError):
        asked(settings.port)


def test_every_drop_bad_frame_restart_and_state_is_told_by_its_kind():
    figures = Figures(psutil.Process())
    figures.add_status(STATUS)
    with served(figures) as port:
        found = asked(port)
        assert found["egostream_dropped_frames_total", "unusable", "0"] == 3
        assert found["egostream_dropped_frames_total", "late", "0"] == 7
        assert found["egostream_bad_frames_total", "damaged", "0"] == 3
        assert found["egostream_bad_frames_total", "repeated", "0"] == 4
        assert found["egostream_bad_frames_total", "broken", "0"] == 0
        assert found["egostream_restarts_total", "infer", "0"] == 5
        assert found["egostream_camera_state", "streaming", "0"] == 1
        assert found["egostream_camera_state", "lost", "0"] == 0
        assert found["egostream_memory_bytes", "supervisor"] > 1e6 and found["egostream_processes",] >= 1
        lost = msgspec.structs.replace(CAMERA, state="lost", bad_frames_by_reason={"damaged": 8})
        figures.add_status(msgspec.structs.replace(STATUS, camera=lost, dropped_frames=11))
        found = asked(port)
        assert found["egostream_camera_state", "lost", "0"] == 1
        assert found["egostream_dropped_frames_total", "late", "0"] == 7  # a counter never goes back


def test_silent_askers_take_no_place_for_long_and_nothing_from_the_others(monkeypatch):
    monkeypatch.setattr(server, "PATIENCE_S", 0.2)
    with served(Figures()) as port, contextlib.ExitStack() as silent:
        before = threading.active_count()
        for _ in range(40):
            silent.enter_context(socket.create_connection(("127.0.0.1", port)))
        assert threading.active_count() - before <= server.MOST_ASKERS

        def is_answered() -> bool:
            with contextlib.suppress(OSError, http.client.HTTPException):
                return asked(port) is not None
            return False

        assert wait_for(is_answered)


def test_a_run_that_asks_for_them_gets_them_as_a_companion():
    (spec,) = companions_of(RunConfig(metrics=CUSTOMARY))
    assert spec.name == "metrics" and spec.setup == MetricsSettings(RunConfig().publish, "127.0.0.1", 9570)
    assert not companions_of(RunConfig())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"metrics": "0.0.0.0:9570"}, "can be reached from outside"),
        ({"metrics": "[::]:9570"}, "can be reached from outside"),
        ({"metrics": "example.org:9570"}, "can be reached from outside"),
        ({"metrics": "9570"}, "not of the form HOST:PORT"),
        ({"metrics": "127.0.0.1:"}, "not of the form HOST:PORT"),
        ({"metrics": "127.0.0.1:99999"}, "not of the form HOST:PORT"),
        ({"metrics": "::1:9570"}, "in brackets"),
        ({"metrics": CUSTOMARY, "client_keys": "keys"}, "--client-keys"),
    ],
)
def test_what_cannot_be_served_is_refused_before_anything_starts(settings, says):
    with pytest.raises(EgostreamError, match=says):
        metrics_beside(RunConfig(**settings))


def test_other_places_are_served_where_they_are_wanted():
    assert metrics_beside(RunConfig(metrics="0.0.0.0:9570", insecure=True)).host == "0.0.0.0"
    assert host_and_port("[::1]:80") == ("::1", 80)
    settings = MetricsSettings("", "127.0.0.1", free_port())
    with server.serving(settings, Figures().registry):
        with pytest.raises(EgostreamError, match="--metrics 127.0.0.1:PORT"):
            with server.serving(settings, Figures().registry):
                pass
