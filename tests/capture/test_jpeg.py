"""Damage inside a JPEG is found, and whole ones of all encoders are taken with the very pixels of OpenCV."""

from __future__ import annotations

import io
import re
import time
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image
from sample_clip import sample_images

from egostream.calibration.view import CameraView, InputGeometry
from egostream.capture.decode import DamagedFrame, WrongSize, decode
from egostream.capture.jpeg import DECODE_FLAGS, HABIT_FRAMES, DamagedJpeg, Habit, decode_jpeg, jpeg_size
from egostream.capture.rectify import REDUCTIONS, Rectifier, reduced_by
from egostream.types import CameraFrame

#: A part of the network's input, and grey levels: damage that is worse is visible.
VISIBLE_PART, VISIBLE_LEVELS = 0.01, 16


@pytest.fixture(scope="module")
def frames() -> list[bytes]:
    return [image.tobytes() for image in sample_images()]


@pytest.fixture(scope="module")
def rectifier() -> Rectifier:
    return Rectifier(CameraView(InputGeometry("canonical", "crop")))


def tidy_camera() -> Habit:
    """Of a camera whose frames have not been odd for long."""
    habit = Habit()
    for _ in range(HABIT_FRAMES):
        habit.excuses(False)
    return habit


def array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8)


def by_opencv(data: bytes, reduction: int) -> np.ndarray:
    return cv2.imdecode(array(data), DECODE_FLAGS[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)


def picture(width=301, height=203) -> np.ndarray:
    noise = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX)


def by_pillow(mode="RGB", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture()).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def by_cv2(*options) -> bytes:
    return cv2.imencode(".jpg", picture(), options)[1].tobytes()


def turned_exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x112] = 6  # orientation: turned by a quarter
    return exif


def segments(data: bytes) -> list[bytes]:
    """The marker segments before a JPEG's data, and last the data."""
    found, at = [data[:2]], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append(data[at:end])
        at = end
    return [*found, data[at:]]


def like_a_webcam(data: bytes) -> bytes:
    """As Motion-JPEG cameras send it: AVI1 instead of JFIF, and no Huffman tables."""
    start, _, *rest = segments(data)
    return b"".join([start, b"\xff\xe0\x00\x10AVI1" + bytes(10), *(part for part in rest if part[1] != 0xC4)])


def start_of_data(data: bytes) -> int:
    scan = segments(data)[-1]
    return len(data) - len(scan) + 2 + int.from_bytes(scan[2:4], "big")


WHOLE = {
    "progressive": by_pillow(progressive=True),
    "4:4:4": by_pillow(subsampling=0),
    "4:2:2": by_pillow(subsampling=1),
    "4:2:0": by_pillow(subsampling=2),
    "4:1:1": by_cv2(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411),
    "4:4:0": by_cv2(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440),
    "grey": by_pillow("L"),
    "CMYK": by_pillow("CMYK"),
    "turned by EXIF": by_pillow(exif=turned_exif()),
    "quality 100": by_pillow(quality=100),
    "optimised tables": by_pillow(optimize=True),
    "restart markers": by_cv2(cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
    "no Huffman tables": like_a_webcam(by_pillow(subsampling=1)),
    "no end marker": by_pillow()[:-2],
    "zeros after the end": by_pillow() + bytes(700),
    "another's start after the end": by_pillow() + b"garbage\xff\xd8\xff",
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("kind", WHOLE)
def test_whole_jpegs_of_all_encoders_have_the_pixels_of_opencv(kind, reduction):
    data = WHOLE[kind]
    wanted = by_opencv(data + b"\xff\xd9", reduction)  # OpenCV refuses one without an end marker
    size = jpeg_size(array(data))
    assert size == (301, 203)
    image = decode_jpeg(array(data), reduction, reduced_by(size, reduction), Habit())
    assert np.array_equal(image, wanted)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_every_frame_of_the_sample_has_the_pixels_of_opencv(frames, reduction):
    for data in frames:
        image = decode_jpeg(array(data), reduction, reduced_by((1280, 1024), reduction), Habit())
        assert np.array_equal(image, by_opencv(data, reduction))


def unnamed_sampling() -> bytes:
    """A JPEG whose first component has three samples across, where the others have one: it decodes, without a name."""
    import simplejpeg

    data = bytearray(simplejpeg.encode_jpeg(np.zeros((48, 96, 3), np.uint8), colorsubsampling="444"))
    at = data.index(b"\xff\xc0") + 11
    data[at] = 0x31
    return bytes(data)


def test_a_sampling_without_a_name_is_decoded_as_before():
    data = unnamed_sampling()
    assert jpeg_size(array(data)) is None
    assert by_opencv(data, 2) is not None
    assert np.array_equal(decode_jpeg(array(data), 2, (48, 24), Habit()), by_opencv(data, 2))


# -- damage ------------------------------------------------------------------------------------------------------------


def pick(rng, data: bytes, length: int = 1) -> int:
    """A place in a JPEG's data from which that many bytes can be had."""
    return int(rng.integers(start_of_data(data), len(data) - 2 - length))


def lose_bytes(rng, data, other):
    count = int(rng.choice([1, 4, 16, 64, 188, 512, 1024, 3000, 8000]))
    at = pick(rng, data, count)
    return data[:at] + data[at + count :]


def flip_bits(rng, data, other):
    damaged = bytearray(data)
    for _ in range(int(rng.choice([1, 2, 8, 32]))):
        damaged[pick(rng, data)] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def cut_short(rng, data, other):
    return data[: pick(rng, data)] + b"\xff\xd9" * int(rng.integers(2))


def splice_rest(rng, data, other):
    at = pick(rng, min(data, other, key=len))
    return data[:at] + other[at:]


def splice_whole(rng, data, other):
    return data[: pick(rng, data)] + other


def blank_out(rng, data, other):
    count = int(rng.choice([64, 188, 512, 1024, 3000]))
    at = pick(rng, data, count)
    return data[:at] + bytes(count) + data[at + count :]


def overwrite(rng, data, other):
    count = int(rng.choice([16, 64, 188, 512, 1024]))
    at = pick(rng, data, count)
    return data[:at] + rng.bytes(count) + data[at + count :]


DAMAGES = (lose_bytes, flip_bits, cut_short, splice_rest, splice_whole, blank_out, overwrite)


def with_restarts(data: bytes) -> bytes:
    """The same picture with a restart marker after every second row of blocks, as many cameras set them."""
    options = (cv2.IMWRITE_JPEG_QUALITY, 80, cv2.IMWRITE_JPEG_RST_INTERVAL, 160)
    return cv2.imencode(".jpg", cv2.imdecode(array(data), cv2.IMREAD_COLOR), options)[1].tobytes()


def visible_part(whole: bytes, damaged: bytes, rectifier: Rectifier) -> float:
    """Which part of the network's input is another when damage goes unseen, as with OpenCV."""
    try:
        image = by_opencv(damaged, rectifier.reduction)
    except cv2.error:
        return 0.0
    if image is None or image.shape[1::-1] != rectifier.reduced_size():
        return 0.0  # OpenCV refuses it, too
    wanted = rectifier.rectify(by_opencv(whole, rectifier.reduction)).astype(int)
    return float((np.abs(rectifier.rectify(image) - wanted).max(-1) > VISIBLE_LEVELS).mean())


@pytest.mark.parametrize("has_restarts", [False, True])
def test_visible_damage_is_refused(frames, rectifier, has_restarts, capfd):
    """500 mutations. What goes unseen leads the decoder back into step, or joins two frames at a restart marker."""
    rng, visible, refused = np.random.default_rng(16), Counter(), Counter()
    pool = [with_restarts(data) for data in frames[:20]] if has_restarts else frames
    for n in range(250):
        damage = DAMAGES[n % len(DAMAGES)]
        whole, other = (pool[int(k)] for k in rng.choice(len(pool), 2, replace=False))
        damaged = damage(rng, whole, other)
        is_refused = False
        try:
            decode(CameraFrame(0, 0, 0, array(damaged)), rectifier, tidy_camera())
        except DamagedFrame as bad:
            assert str(bad).startswith("the image is broken: ")
            is_refused = True
        assert capfd.readouterr().err == ""
        if visible_part(whole, damaged, rectifier) > VISIBLE_PART:
            visible[damage.__name__] += 1
            refused[damage.__name__] += is_refused
        capfd.readouterr()
    assert sum(visible.values()) > 150, visible
    share = sum(refused.values()) / sum(visible.values())
    print(f"{share:.1%} refused", {name: f"{refused[name]}/{visible[name]}" for name in visible})
    assert share > 0.95, (share, visible, refused)
    for name in ("cut_short", "splice_whole"):
        assert refused[name] == visible[name], name


def test_bytes_lost_in_the_middle_are_refused(frames, rectifier):
    """The case of a frame without 3000 of its 55,000 bytes: 47 % of the network's input was wrong."""
    for data in frames[::9]:
        lost = data[:25_000] + data[28_000:-2] + b"\xff\xd9"
        with pytest.raises(DamagedFrame, match="the image is broken: Corrupt JPEG data: premature end"):
            decode(CameraFrame(0, 0, 0, array(lost)), rectifier)


def test_restart_markers_that_miss_are_refused(frames, rectifier):
    data = with_restarts(frames[0])
    for n in range(8):
        marker = bytes([0xFF, 0xD0 + n])
        at = data.index(marker)
        with pytest.raises(DamagedFrame):
            decode(CameraFrame(0, 0, 0, array(data[:at] + data[at + 2 :])), rectifier)
    first, second = (data.index(bytes([0xFF, 0xD0 + n])) for n in (1, 2))
    with pytest.raises(DamagedFrame):  # a whole interval lost
        decode(CameraFrame(0, 0, 0, array(data[:first] + data[second:])), rectifier)


def test_a_size_is_believed_of_whole_jpegs_only(frames, rectifier):
    data = frames[0]
    at = data.index(b"\xff\xc0") + 5
    flipped = data[:at] + (512).to_bytes(2, "big") + data[at + 2 :]
    assert jpeg_size(array(flipped)) == (1280, 512)
    with pytest.raises(DamagedFrame):
        decode(CameraFrame(0, 0, 0, array(flipped)), rectifier)
    whole = cv2.imencode(".jpg", np.zeros((512, 1280, 3), np.uint8))[1].reshape(-1)
    with pytest.raises(WrongSize, match="1280x512"):
        decode(CameraFrame(0, 0, 0, whole), rectifier)


# -- habits ------------------------------------------------------------------------------------------------------------


def padded(data: bytes, count: int, before: bytes) -> bytes:
    """A JPEG with bytes that belong to nothing before each of some markers, as Logitech's and Foscam's cameras send."""
    return re.sub(b"(" + before + b")", bytes(count) + rb"\1", data)


def test_padding_before_restart_markers_is_no_damage(frames):
    whole = with_restarts(frames[0])
    for count in (1, 2, 10):
        image = decode_jpeg(array(padded(whole, count, rb"\xff[\xd0-\xd7]")), 4, (320, 256), Habit())
        assert np.array_equal(image, by_opencv(whole, 4))


def test_padding_does_not_hide_a_marker_that_misses(frames):
    whole = with_restarts(frames[0])
    at = whole.index(b"\xff\xd5")
    for damaged in (whole[:at] + whole[at + 2 :], whole[:at] + b"\xff\xd6" + whole[at + 2 :]):
        with pytest.raises(DamagedJpeg):
            decode_jpeg(array(padded(damaged, 2, rb"\xff[\xd0-\xd7]")), 4, (320, 256), Habit())


def test_padding_before_the_end_is_a_habit_or_damage(frames):
    """A camera that pads is used; one that never did is not when much is suddenly left over."""
    for count in (1, 12):
        habit = Habit()
        for data in frames:
            decode_jpeg(array(padded(data, count, rb"\xff\xd9$")), 8, (160, 128), habit)
    decode_jpeg(array(padded(frames[0], 4, rb"\xff\xd9$")), 8, (160, 128), tidy_camera())
    for count in (12, 40):
        with pytest.raises(DamagedJpeg, match="extraneous bytes before marker 0xd9"):
            decode_jpeg(array(padded(frames[0], count, rb"\xff\xd9$")), 8, (160, 128), tidy_camera())


def test_an_unknown_header_is_a_habit(frames):
    """JFIF of a revision that libjpeg does not know is decoded, with a warning each."""
    habit = Habit()
    data = frames[0].replace(b"JFIF\x00\x01", b"JFIF\x00\x03", 1)
    assert data != frames[0]
    for _ in range(20):
        decode_jpeg(array(data), 8, (160, 128), habit)


def test_finding_damage_costs_less_than_a_fifth_of_a_millisecond(frames):
    """Processor time of this thread, in turn with OpenCV's, so that a busy machine disturbs both alike."""
    habit, times = Habit(), {"ours": [], "opencv": []}

    def ours(data):
        jpeg_size(data)
        decode_jpeg(data, 4, (320, 256), habit)

    def opencv(data):
        cv2.imdecode(data, DECODE_FLAGS[4] | cv2.IMREAD_IGNORE_ORIENTATION)

    for data in map(array, frames):
        for name, function in (("ours", ours), ("opencv", opencv)):
            before = time.thread_time_ns()
            function(data)
            times[name].append(time.thread_time_ns() - before)
    assert np.median(times["ours"]) - np.median(times["opencv"]) < 200_000
