"""Encryption and known clients."""

from __future__ import annotations

from egostream.publish.client import PoseSubscriber
from egostream.publish.curve import make_keys


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
