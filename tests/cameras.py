"""Cameras for the tests: any source opened as a run opens it, numbered images, and a network camera to kill."""

from __future__ import annotations

import http.server
import json
import threading
import time
from pathlib import Path

import cv2
import numpy as np

from egostream.capture.camera import Camera
from egostream.capture.decode import BadFrame
from egostream.capture.sources import choose_camera
from egostream.config import RunConfig
from egostream.errors import StreamEnded
from egostream.types import CameraFrame


def open_camera(source, say=lambda note: None, **settings) -> Camera:
    made = choose_camera(RunConfig(source=str(source), **settings), 0, 0, say)
    made.open()
    return made


def read_all(source: Camera) -> list[CameraFrame]:
    """All usable frames of a recording to its end."""
    frames = []
    while True:
        try:
            frames.append(source.read())
        except BadFrame:
            continue
        except StreamEnded:
            source.close()
            return frames


def write_numbered_images(folder: Path) -> Path:
    """Twelve images, each as bright as its number, named so that text order is wrong."""
    for n in range(12):
        cv2.imwrite(str(folder / f"img_{n}.png"), np.full((48, 64, 3), n * 20, np.uint8))
    (folder / "notes.txt").write_text("not an image")
    return folder


def write_small_calibration(folder: Path, size: tuple[int, int]) -> Path:
    """A calibration of small pictures, (width, height), whose lens sees all around."""
    width, height = size
    path = folder / "small.json"
    lens = {"model": "kannala_brandt", "focal": [width / 3.2] * 2, "center": [width / 2, height / 2], "k": [0] * 4}
    path.write_text(json.dumps({"schema": 1, "name": "small", "size": size, **lens}))
    return path


class MotionJPEGServer:
    """A real HTTP camera: multipart JPEG at about 30 frames a second, until it is told to die."""

    def __init__(self, port=0):
        outer = self
        self.is_alive, self.is_stalled, self.is_stuck, self.sent = True, False, False, 0

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                while outer.is_alive:
                    if outer.is_stalled:
                        time.sleep(0.05)
                        continue
                    outer.sent += not outer.is_stuck
                    jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), outer.sent % 250, np.uint8))[1].tobytes()
                    try:
                        self.wfile.write(
                            b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n"
                            % (len(jpeg), jpeg)
                        )
                    except OSError:
                        return
                    time.sleep(1 / 30)

            def log_message(self, *_):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def kill(self):
        self.is_alive = False
        self.server.shutdown()
        self.server.server_close()
