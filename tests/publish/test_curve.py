"""Encryption and known clients."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from egostream.config import RunConfig
from egostream.errors import EgostreamError
from egostream.publish.admission import LOOK_EVERY_S
from egostream.publish.client import PoseSubscriber
from egostream.publish.curve import load_key, make_keys
from egostream.publish.publisher import Publisher
from egostream.types import Pose


def test_curve_admits_known_clients_only(pipeline, tmp_path):
    server_public, server_secret = make_keys(tmp_path / "server", "server")
    known_public, known_secret = make_keys(tmp_path / "clients", "known")
    known_secret = known_secret.rename(tmp_path / "known.key_secret")  # the folder holds public keys only
    _, stranger_secret = make_keys(tmp_path / "stranger", "stranger")
    run = pipeline(
        publish="tcp://127.0.0.1:15572", server_key=str(server_secret), client_keys=str(tmp_path / "clients")
    )
    with run.subscribe(server_key=str(server_public), client_key=str(known_secret)) as poses:
        run.wait_first(poses)
        for keys in ({}, {"server_key": str(server_public), "client_key": str(stranger_secret)}):
            with PoseSubscriber(run.config.publish, **keys) as stranger:
                assert stranger.newest(1.0) is None
        assert poses.newest(2.0) is not None


def test_a_secret_is_nobody_elses_from_its_first_byte(tmp_path, monkeypatch):
    """Every file is opened under a mask that leaves others out, whatever the user's own mask is."""
    masks = []
    real_open = open

    def watching_open(file, mode="r", *rest, **options):
        if "w" in mode:
            mask = os.umask(0)
            os.umask(mask)
            masks.append((str(file), mask))
        return real_open(file, mode, *rest, **options)

    monkeypatch.setattr("builtins.open", watching_open)
    before = os.umask(0)
    try:
        public, secret = make_keys(tmp_path, "server")
    finally:
        os.umask(before)
    assert dict(masks)[str(secret)] == 0o077
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and stat.S_IMODE(public.stat().st_mode) == 0o644


def certificate(path: Path, public: bytes | str | None, secret: bytes | str | None = None) -> Path:
    """A certificate file with these halves, as they are; None leaves one out."""
    halves = (("public-key", public), ("secret-key", secret))
    lines = [f'  {name} = "{as_text(key)}"' for name, key in halves if key is not None]
    path.write_text("\n".join(["curve", *lines]) + "\n")
    path.chmod(0o600)
    return path


def as_text(key: bytes | str) -> str:
    """A key as a certificate has it."""
    return key.decode() if isinstance(key, bytes) else key


PAIR, OTHER = zmq.curve_keypair(), zmq.curve_keypair()


@pytest.mark.parametrize(
    ("public", "secret", "problem"),
    [
        (PAIR[0], OTHER[1], "the public key of one pair and the secret key of another"),
        ("é" * 40, PAIR[1], "malformed key"),
        ("~" * 40, PAIR[1], "malformed key"),
        (PAIR[0], "#" * 40, "malformed key|one pair and the secret key of another"),
        (PAIR[0], "", "malformed key"),
        (PAIR[0][:-1], PAIR[1], "malformed key"),
        (None, PAIR[1], "is not a CURVE certificate"),
        (PAIR[0], None, "has no secret key"),
    ],
    ids=["two pairs", "accents", "tildes", "hashes", "empty", "short", "no public half", "no secret half"],
)
def test_halves_that_are_no_pair_are_one_line(tmp_path, public, secret, problem):
    with pytest.raises(EgostreamError, match=problem):
        load_key(certificate(tmp_path / "a.key_secret", public, secret), need_secret=True)


@pytest.mark.parametrize("line", ["public-key", "secret-key", 'public-key "x"'])
def test_a_key_without_a_value_is_one_line(tmp_path, line):
    path = tmp_path / "a.key_secret"
    path.write_text(f"curve\n  {line}\n")
    with pytest.raises(EgostreamError, match="is not a CURVE certificate"):
        load_key(path, need_secret=True)


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_secret_that_others_may_read_is_refused(tmp_path):
    path = certificate(tmp_path / "a.key_secret", *PAIR)
    load_key(path, need_secret=True)
    path.chmod(0o640)
    with pytest.raises(EgostreamError, match="chmod 600"):
        load_key(path, need_secret=True)


def test_a_key_that_is_removed_stops_working_at_once(tmp_path):
    """Its holder is cut off; another client goes on, and a new one is admitted, without a restart."""
    server_public, server_secret = make_keys(tmp_path / "server", "server")
    secrets = {}
    for name in ("stays", "goes", "new"):
        public, secret = make_keys(tmp_path / name, name)
        secrets[name] = str(secret)
        if name != "new":
            (tmp_path / "clients").mkdir(exist_ok=True)
            shutil.copy(public, tmp_path / "clients")
    endpoint = f"ipc://{tmp_path}/poses"
    publisher = Publisher(
        RunConfig(publish=endpoint, server_key=str(server_secret), client_keys=str(tmp_path / "clients")), "w"
    )
    pose = Pose(0, 0, np.zeros((15, 3), np.float32), np.zeros((15, 2)), np.ones(15))

    def receives(subscriber, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            publisher.publish_pose("0", pose, 0)
            if subscriber.newest(0.02) is not None:
                return True
        return False

    def client(name):
        return PoseSubscriber(endpoint, server_key=str(server_public), client_key=secrets[name])

    with client("stays") as stays, client("goes") as goes, client("new") as new:
        try:
            assert receives(stays, 10) and receives(goes, 10) and not receives(new, 0.5)
            (tmp_path / "clients" / "goes.key").unlink()
            time.sleep(LOOK_EVERY_S)
            publisher.publish_pose("0", pose, 0)
            while goes.newest(0.1) is not None:
                pass
            assert not receives(goes, 1.0) and receives(stays, 10)
            shutil.copy(tmp_path / "new" / "new.key", tmp_path / "clients")
            assert receives(stays, 10) and not receives(goes, 1.5 * LOOK_EVERY_S)  # the folder was looked at meanwhile
            with client("new") as again:  # one that was turned away does not ask again
                assert receives(again, 10)
            (tmp_path / "clients" / "broken.key").write_text("half a certif")
            time.sleep(LOOK_EVERY_S)
            assert receives(stays, 10)  # what cannot be read changes nothing
        finally:
            publisher.close()
