"""Calibration files of other programs: read by what they hold, as their owners' libraries read them."""

from __future__ import annotations

import codecs
import json
import re

import cv2
import numpy as np
import pytest
from calibration_files import ARIA, ASKED, KALIBR, OCAMCALIB, OPENCV_YAML, OURS, PY_OCAMCALIB, ROS, SAMPLES, T265_SCRIPT
from lenses import SIZE, WRITTEN

from egostream.calibration.file import Calibration, as_json, load_calibration
from egostream.calibration.kannala_brandt import KannalaBrandtLens
from egostream.errors import EgostreamError


def write(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(folder, sample, name=""):
    return load_calibration(f"{write(folder, name or f'camera.{sample.ending}', sample.text)}{sample.asked}")


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_pixels_are_those_of_the_owners_library(tmp_path, sample):
    camera = read(tmp_path, sample)
    pixels, valid = camera.lens.project(ASKED[: len(sample.pixels)])
    assert camera.size == sample.size and valid.all()
    np.testing.assert_allclose(pixels, sample.pixels, atol=sample.within, err_msg=sample.source)


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_it_is_told_by_what_it_holds_not_by_its_name(tmp_path, sample):
    for name in ("x.json", "x.yaml", "x.xml", "calib", "my camera.txt.bak"):
        assert read(tmp_path, sample, name).lens == read(tmp_path, sample).lens


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_marks_encodings_and_line_ends_do_not_matter(tmp_path, sample):
    plain = read(tmp_path, sample)
    for data in (
        codecs.BOM_UTF8 + sample.text.encode(),
        sample.text.encode("utf-16"),
        codecs.BOM_UTF16_BE + sample.text.encode("utf-16-be"),
        sample.text.encode("utf-16-le"),
        sample.text.encode("utf-32"),
        sample.text.replace("\n", "\r\n").encode(),
    ):
        path = write(tmp_path, f"marked.{sample.ending}", data)
        assert load_calibration(f"{path}{sample.asked}").lens == plain.lens


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_it_becomes_ours_without_loss(tmp_path, sample):
    camera = read(tmp_path, sample)
    again = load_calibration(write(tmp_path, "ours.json", as_json(camera)))
    assert again.lens == camera.lens and again.size == camera.size and again.name == camera.name
    np.testing.assert_array_equal(again.lens.project(ASKED)[0], camera.lens.project(ASKED)[0])


@pytest.mark.parametrize("lens", [lens for _, lens in WRITTEN], ids=[name for name, _ in WRITTEN])
def test_every_lens_of_ours_is_written_and_read_back(tmp_path, lens):
    path = write(tmp_path, "ours.json", as_json(Calibration("a", SIZE, lens, warnings=("a rim without a board",))))
    camera = load_calibration(path)
    assert camera.lens == lens and camera.warnings == ("a rim without a board",)


def test_opencvs_own_storage_is_read(tmp_path):
    """Files that cv2.FileStorage writes here and now, in its three formats."""
    matrix = np.array([[320, 0, 640.3], [0, 322, 511.2], [0, 0, 1.0]])
    terms = np.array(
        [[0.4], [0.1], [0.001], [-0.0005], [0.004], [0.6], [0.15], [0.01], [0.003], [-0.001], [0.002], [-6e-4]]
    )
    for count in (5, 8, 12):
        for ending in ("yml", "xml", "json"):
            path = tmp_path / f"storage.{ending}"
            storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
            storage.write("image_width", 1280)
            storage.write("image_height", 1024)
            storage.write("camera_matrix", matrix)
            storage.write("distortion_coefficients", terms[:count])
            storage.release()
            camera = load_calibration(path)
            expected = cv2.projectPoints(ASKED[:1], np.zeros(3), np.zeros(3), matrix, terms[:count])[0][:, 0]
            np.testing.assert_allclose(camera.lens.project(ASKED[:1])[0], expected, atol=1e-9)
            assert camera.size == (1280, 1024) and len(camera.lens.distortion) == count


def test_four_numbers_of_opencv_fit_two_lenses(tmp_path):
    text = OPENCV_YAML.format(fisheye=0, count=4, terms="0.02, -0.006, 0.001, -0.0004")
    path = write(tmp_path, "cv.yml", text)
    assert type(load_calibration(path).lens).__name__ == "PinholeLens"  # it says so: fisheye_model: 0
    path = write(tmp_path, "cv.yml", text.replace("fisheye_model: 0\n", ""))
    with pytest.raises(EgostreamError, match=r"holds 2 cameras \(fisheye, pinhole\). Say which: .*#fisheye"):
        load_calibration(path)
    assert type(load_calibration(f"{path}#pinhole").lens).__name__ == "PinholeLens"
    assert type(load_calibration(f"{path}#fisheye").lens).__name__ == "KannalaBrandtLens"


def test_a_stereo_pair_of_opencv_holds_two_cameras(tmp_path):
    both = {"M1": [[400, 0, 320], [0, 400, 240], [0, 0, 1]], "D1": [[-0.2, 0.05, 0, 0, 0]], "image_size": [640, 480]}
    both |= {"M2": [[410, 0, 322], [0, 410, 241], [0, 0, 1]], "D2": [[-0.2, 0.05, 0, 0, 0]]}
    path = write(tmp_path, "pair.json", json.dumps(both))
    with pytest.raises(EgostreamError, match="holds 2 cameras"):
        load_calibration(path)
    assert load_calibration(f"{path}#2").lens.fx == 410
    assert load_calibration(f"{path}#1").lens.fx == 400
    with pytest.raises(EgostreamError, match="has no camera '0'; it has 1, 2"):
        load_calibration(f"{path}#0")


def test_both_cameras_of_a_pair_with_four_numbers_can_be_had_as_either_lens(tmp_path):
    both = {"K1": [[400, 0, 320], [0, 400, 240], [0, 0, 1]], "D1": [0.02, -0.006, 0.001, -0.0004], "size": [640, 480]}
    both |= {"K2": [[410, 0, 322], [0, 410, 241], [0, 0, 1]], "D2": [0.03, -0.006, 0.001, -0.0004]}
    path = write(tmp_path, "pair.json", json.dumps(both))
    for asked in ("", "#1", "#2", "#fisheye", "#1,640x480"):
        with pytest.raises(EgostreamError, match="1-fisheye, 1-pinhole, 2-fisheye, 2-pinhole"):
            load_calibration(f"{path}{asked}")
    for n, focal in ((1, 400), (2, 410)):
        assert load_calibration(f"{path}#{n}-fisheye").lens == KannalaBrandtLens(
            focal, focal, *((320, 240) if n == 1 else (322, 241)), (0.01 * (n + 1), -0.006, 0.001, -0.0004)
        )
        assert load_calibration(f"{path}#{n}-pinhole,640x480").lens.distortion[0] == 0.01 * (n + 1)


def test_a_size_that_contradicts_the_file_is_refused_whatever_the_format(tmp_path):
    for name, text, asked in (("chain.yaml", KALIBR, "cam0,"), ("ours.json", OURS, ""), ("o.txt", OCAMCALIB, "")):
        path = write(tmp_path, name, text)
        with pytest.raises(EgostreamError, match="its frames are .*, not as asked"):
            load_calibration(f"{path}#{asked}321x123")


def test_stretched_pixels_leave_a_files_two_polynomials_agreeing(tmp_path):
    data = json.loads(PY_OCAMCALIB)
    data["stretch_matrix"] = [[1.05, 0], [0, 1]]
    wide = load_calibration(f"{write(tmp_path, 'wide.json', json.dumps(data))}#1024x768").lens
    data["stretch_matrix"] = [[1, 0], [0, 1]]
    plain = load_calibration(f"{write(tmp_path, 'plain.json', json.dumps(data))}#1024x768").lens
    shifts = [lens.project(ASKED[1])[0] - (lens.cx, lens.cy) for lens in (plain, wide)]
    np.testing.assert_allclose(shifts[1], shifts[0] * (1.05, 1), atol=1e-6)
    data["inverse_poly"] = [2 * value for value in data["inverse_poly"]]
    with pytest.raises(EgostreamError, match="its two polynomials disagree"):
        load_calibration(f"{write(tmp_path, 'other.json', json.dumps(data))}#1024x768")


def test_a_matrix_that_matlab_did_not_print_is_said(tmp_path):
    text = """fisheyeIntrinsics with properties:
     MappingCoefficients: [880.3 -3.1e-04 0 0]
        DistortionCenter: [640.1 510.9]
           StretchMatrix: [2×2 double]
               ImageSize: [1024 1280]
    """
    assert any("StretchMatrix" in line for line in load_calibration(write(tmp_path, "m.txt", text)).warnings)
    text = text.replace("[2×2 double]", "[1 0; 0 1]")
    assert not any("StretchMatrix" in line for line in load_calibration(write(tmp_path, "n.txt", text)).warnings)


def test_one_camera_of_several_is_asked_for(tmp_path):
    path = write(tmp_path, "chain.yaml", KALIBR)
    with pytest.raises(EgostreamError, match=r"holds 6 cameras \(cam0, cam1, .*\). Say which: .*chain.yaml#cam0"):
        load_calibration(path)
    with pytest.raises(EgostreamError, match="has no camera 'cam9'; it has cam0, cam1"):
        load_calibration(f"{path}#cam9")
    assert load_calibration(f"{path}#1") == load_calibration(f"{path}#cam1")
    assert load_calibration(f"{path}#cam1").name == "chain cam1"
    single = write(tmp_path, "one.yaml", KALIBR[: KALIBR.index("cam1:")])
    assert load_calibration(single).name == "one"
    odd = write(tmp_path, "odd#name.json", OURS)
    assert load_calibration(odd).lens == load_calibration(write(tmp_path, "even.json", OURS)).lens


def test_a_broken_camera_does_not_hide_its_neighbour(tmp_path):
    path = write(tmp_path, "chain.yaml", KALIBR.replace("[401.3, 399.2, 639.1, 512.4]", "[0, 0, 0, 0]"))
    assert load_calibration(f"{path}#cam0").size == (1280, 1024)
    with pytest.raises(EgostreamError, match="focal must be positive"):
        load_calibration(f"{path}#cam3")


def test_frames_of_unknown_size_are_asked_for(tmp_path):
    path = write(tmp_path, "py.json", PY_OCAMCALIB)
    with pytest.raises(EgostreamError, match="does not say how large its frames are.*FILE#1280x1024"):
        load_calibration(path)
    assert load_calibration(f"{path}#1024x768").size == (1024, 768)
    with pytest.raises(EgostreamError, match="its frames are 720x480, not as asked"):
        load_calibration(f"{write(tmp_path, 'o.txt', OCAMCALIB)}#1024x768")
    aria = write(tmp_path, "aria.json", ARIA.replace("camera-rgb", "camera-new"))
    assert load_calibration(f"{aria}#camera-new,2880x2880").size == (2880, 2880)


def test_py_ocamcalibs_way_back_is_its_own(tmp_path):
    """Rays of its cam2world."""
    camera = load_calibration(f"{write(tmp_path, 'py.json', PY_OCAMCALIB)}#1024x768")
    rays, valid = camera.lens.unproject([[100.0, 50], [900, 700], [543.9, 377.6], [20, 600]])
    expected = [
        [-0.7954839974623477, -0.5889026470186903, -0.14282465513945256],
        [0.7362658782469134, 0.668805544243213, 0.10301310848062421],
        [-0.00025423932035983725, -0.0001445302144310125, 0.9999999572366917],
        [-0.9011483862709145, 0.3837940238142304, -0.20157810696057424],
    ]
    assert valid.all()
    np.testing.assert_allclose(rays, expected, atol=1e-9)
    back, _ = camera.lens.project(rays)
    np.testing.assert_allclose(back, [[100.0, 50], [900, 700], [543.9, 377.6], [20, 600]], atol=1e-5)


def test_affine_terms_are_used_where_they_count(tmp_path):
    """Values of OCamCalib's model in full; those within half a thousandth are left out, as the datasets do."""
    data = {
        "name": "rpg", "size": [720, 480], "image_center": [365.152978, 171.30288],
        "polynomialC2W": [-273.669, 0, 0.001491215, -1.81041e-06, 6.614668e-09],
        "polynomialW2C": [
            390.641079, 204.159602, -11.846278, 36.007709, 17.104646, 38.577696, 89.296165, 75.701556, 27.64826,
            3.714537,
        ],
        "affine": [0.884024, 0.025906, -0.027663],
    }  # fmt: skip
    points = [[0, 1, 1], [1, 1, 1]]
    used = load_calibration(write(tmp_path, "a.json", json.dumps(data)))
    np.testing.assert_allclose(used.lens.project(points)[0], [[359.31, 357.93], [539.78, 334.73]], atol=0.01)
    assert not used.lens.is_symmetric
    plain = load_calibration(write(tmp_path, "b.json", json.dumps(data | {"affine": [1, 0, 0]})))
    small = load_calibration(write(tmp_path, "c.json", json.dumps(data | {"affine": [0.99975, -0.000224, 0.00033]})))
    larger = load_calibration(write(tmp_path, "d.json", json.dumps(data | {"affine": [0.9994, -0.000224, 0.00033]})))
    assert small.lens == plain.lens != larger.lens
    np.testing.assert_allclose(plain.lens.project(points)[0], [[365.15, 382.41], [544.75, 350.90]], atol=0.01)
    spread = {key: data[key] for key in data if key != "affine"} | {"c": 0.884024, "d": 0.025906, "e": -0.027663}
    assert load_calibration(write(tmp_path, "e.json", json.dumps(spread))).lens == used.lens


def test_a_skew_is_used(tmp_path):
    text = ROS.format(
        matrix="320, 2.5, 640.3, 0, 322, 511.2, 0, 0, 1",
        model="equidistant",
        count=4,
        terms="0.02, -0.006, 0.001, -0.0004",
    )
    lens = load_calibration(write(tmp_path, "a.yaml", text)).lens
    assert lens.skew == 2.5 and not lens.is_symmetric
    straight = load_calibration(write(tmp_path, "b.yaml", text.replace("320, 2.5", "320, 0"))).lens
    moved = lens.project(ASKED)[0] - straight.project(ASKED)[0]
    np.testing.assert_allclose(moved[:, 0], 2.5 * (straight.project(ASKED)[0][:, 1] - 511.2) / 322, atol=1e-9)
    assert not moved[:, 1].any()


KB = json.loads(OURS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(KB | {"schema": 99}), "schema 99 is unknown"),
        (json.dumps(KB | {"schema": "1"}), "schema '1' is unknown"),
        (json.dumps(KB | {"size": ["1280", "1024"]}), "expected a number, got '1280'"),
        (json.dumps(KB | {"size": [True, 1024]}), "expected a number, got True"),
        (json.dumps(KB | {"size": [1e9, 1024]}), "at most 32766 pixels"),
        (json.dumps(KB | {"focal": [0.4, 0.4]}), "a focal length of 0.4 px belongs to no lens before 1280x1024"),
        (json.dumps(KB | {"focal": [3e6, 3e6]}), "belongs to no lens"),
        (json.dumps(KB | {"focal": [320, 32]}), "differ by more than any pixels' shape"),
        (json.dumps(KB | {"name": "\ud800"}), "name must be one printable line"),
        (json.dumps(KB | {"name": "a\nb"}), "name must be one printable line"),
        (json.dumps(KB | {"name": ["a"]}), "name must be one printable line"),
        (json.dumps(KB | {"k": [1e300, 0, 0, 0]}), "absurdly large"),
        (json.dumps(KB | {"k": [0, "0", 0, 0]}), "expected a number"),
        (json.dumps(KB | {"k": [[0, 0], [0, 0]]}), "expected 4 numbers"),
        (json.dumps(KB | {"warnings": "none"}), "warnings must be a list"),
        (json.dumps(KB | {"warnings": ["a\nb"]}), "warnings must be printable lines"),
        (json.dumps(KB | {"model": "double_sphere", "xi": 3, "alpha": 0.5}), "xi 3 and alpha 0.5"),
        (json.dumps(KB | {"model": "eucm", "alpha": 0.5}), "lacks the field beta"),
        (json.dumps(KB | {"model": "fov", "w": 0}), "w is 0 radians"),
        (json.dumps(KB | {"model": "mei", "xi": -2}), "xi is -2"),
        (json.dumps(KB | {"model": "ocam", "polynomial_w2c": [1, 2], "polynomial_c2w": [-1, 0], "affine": [9, 0, 0]}),
         "belong to no camera"),
        (KALIBR[: KALIBR.index("cam1:")].replace("pinhole", "omni"), "'omni' with distortion .* is not among"),
        (KALIBR[: KALIBR.index("cam1:")].replace("320.0, 322.0, 640.3", "320.0, 322.0"), "expected 4 numbers"),
        (KALIBR[: KALIBR.index("cam1:")].replace("pinhole", "scara"), "is not among Kalibr's pairs"),
        (KALIBR[: KALIBR.index("cam1:")].replace("equidistant", "radial9"), "not among radtan, equidistant"),
        (ROS.format(matrix="1, 2, 3", model="plumb_bob", count=1, terms="0"), "with 3 numbers"),
        (ROS.format(matrix="320, 0, 640, 0, 322, 511, 0, 0, 1", model="thin", count=1, terms="0"), "'thin' is unknown"),
        (ROS.format(matrix="320, 0, 640, 0, 322, 511, 0, 0, 1", model="equidistant", count=4, terms="0, 0, 0, '1'"),
         "expected a number, got '1'"),
        (ROS.format(matrix="320, 0, 640, 0, 322, 511, 0, 0, 1", model="plumb_bob", count=5, terms="0, 0, 0, 0, 0")
         + "binning_x: 2\n", "binned"),
        (T265_SCRIPT.replace("distortion.kannala_brandt4", "distortion.inverse_brown_conrady"), "is not read"),
        (OCAMCALIB.replace("\n5 ", "\n6 "), "5 coefficients where 6 are announced"),
        (OCAMCALIB.replace("365.152978", "365,152978"), "expected a number"),
        (PY_OCAMCALIB, "does not say how large"),
        ("a: &a [1, 2]\nb: *a\n", "lacks the field model"),
        ("a: [" + "[" * 100_000, "nests too deep"),
        ("x: " * 50, "not readable YAML"),
        ("just words", "not a YAML object"),
        ("", "not a YAML object"),
        ("\0\0\0\0", "NUL bytes"),
        (b"\xff\xfe{", "not readable text"),
        (b"\x80abc", "not readable text"),
        ("<svg/>", "not <opencv_storage>"),
        ("<!DOCTYPE x><opencv_storage/>", "document type"),
        ("<opencv_storage>", "not readable XML"),
        ("{" + " " * 300_000 + "}", "larger than 256 kB"),
        ('{"a": 1' + "0" * 5000 + "}", "not readable JSON"),
        ("a: 1" + "0" * 5000, "not readable YAML"),
        ("a: 1e" + "9" * 200_000, "a number of 200002 characters"),
        ('{"a": 1e' + "9" * 200_000 + "}", "a number of 200002 characters"),
        ("\n" * 200_000, "not a YAML object"),
    ],
    ids=lambda value: re.sub(r"\W+", " ", str(value))[-50:],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(tmp_path, text, message):
    path = write(tmp_path, "bad.json", text)
    with pytest.raises(EgostreamError, match=message) as caught:
        load_calibration(path)
    assert "bad.json" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_fields_that_no_lens_has_are_said(tmp_path):
    camera = load_calibration(write(tmp_path, "a.json", json.dumps(KB | {"skew": 0.0, "k5": 0.1, "fit": {}})))
    assert camera.warnings == ("its fields are not used: 'k5'",)
    assert load_calibration(write(tmp_path, "b.json", json.dumps(KB | {"warnings": ["rim"]}))).warnings == ("rim",)


def test_paths_that_lead_nowhere(tmp_path):
    for path in (tmp_path / "none.json", f"{tmp_path}/none.yaml#cam1"):
        with pytest.raises(EgostreamError, match="no calibration file .*none"):
            load_calibration(path)
    for path in (tmp_path, "a\0b.json", "x" * 5000):
        with pytest.raises(EgostreamError, match="calibration .* is not readable"):
            load_calibration(path)


def test_aliases_that_multiply_end_at_once(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    text = "\n".join([*lines, "camera_model: pinhole", "intrinsics: *a29", "resolution: *a29"])
    with pytest.raises(EgostreamError, match="expected 2 numbers"):
        load_calibration(write(tmp_path, "laughs.yaml", text))


def pixels_of(folder, data, asked=""):
    text = data if isinstance(data, str) else json.dumps(data)
    return load_calibration(f"{write(folder, 'camera', text)}{asked}").lens.project(ASKED)[0]


def basalt(model, **numbers):
    return {"value0": {"intrinsics": [{"camera_type": model, "intrinsics": numbers}], "resolution": [[1280, 1024]]}}


COMMON = {"fx": 401.3, "fy": 399.2, "cx": 639.1, "cy": 512.4}


def test_basalts_rarer_models(tmp_path):
    fov = pixels_of(tmp_path, basalt("fov", **COMMON, w=0.93))
    np.testing.assert_allclose(fov, SAMPLES["kalibr fov"].pixels, atol=1e-6)
    x, y, z = ASKED.T
    ideal = np.stack([401.3 * x / z + 639.1, 399.2 * y / z + 512.4], -1)
    np.testing.assert_allclose(pixels_of(tmp_path, basalt("pinhole", **COMMON)), ideal, atol=1e-9)
    below = 0.62 * np.sqrt(x**2 + y**2 + z**2) + 0.38 * z  # Usenko et al., equation (14)
    unified = np.stack([401.3 * x / below + 639.1, 399.2 * y / below + 512.4], -1)
    np.testing.assert_allclose(pixels_of(tmp_path, basalt("ucm", **COMMON, alpha=0.62)), unified, atol=1e-9)
    with pytest.raises(EgostreamError, match="camera_type 'kb8' is unknown; known: ds, eucm"):
        pixels_of(tmp_path, basalt("kb8", **COMMON))


def test_realsenses_other_models(tmp_path):
    """Pixels of pyrealsense2 2.59's rs2_project_point_to_pixel, in single precision."""
    data = json.loads(T265_SCRIPT)
    theta = pixels_of(tmp_path, data | {"model": "distortion.ftheta", "coeffs": [0.93, 0, 0, 0, 0]})
    expected = [[447.46469, 343.08124], [624.10834, 564.77832], [91.21674, 490.68701], [478.00485, 789.46320]]
    np.testing.assert_allclose(theta, expected, atol=2e-3)
    brown = pixels_of(tmp_path, data | {"model": 4, "coeffs": [0.1, -0.05, 0.001, -0.002, 0.01]})
    np.testing.assert_allclose(brown[:2], [[445.79800, 346.37109], [690.65253, 617.47620]], atol=2e-3)
    ideal = pixels_of(tmp_path, data | {"model": "distortion.inverse_brown_conrady", "coeffs": [0, 0, 0, 0, 0]})
    np.testing.assert_allclose(ideal[0], [417.1 + 28.61, 403.8 - 57.21], atol=1e-9)


def test_camodocals_other_models(tmp_path):
    head = "%YAML:1.0\n---\nmodel_type: {}\ncamera_name: c\nimage_width: 1280\nimage_height: 1024\n"
    text = head.format("KANNALA_BRANDT") + "projection_parameters:\n" + "".join(
        f"   {key}: {value}\n"
        for key, value in zip("k2 k3 k4 k5 mu mv u0 v0".split(), (0.02, -0.006, 0.001, -0.0004, 320, 322, 640.3, 511.2))
    )  # fmt: skip
    np.testing.assert_allclose(pixels_of(tmp_path, text), SAMPLES["ours"].pixels, atol=1e-6)
    text = head.format("PINHOLE") + "distortion_parameters:\n   k1: -0.21\n   k2: 0.06\n   p1: 0.001\n   p2: -0.0005\n"
    text += "projection_parameters:\n   fx: 610.0\n   fy: 612.0\n   cx: 633.0\n   cy: 498.0\n"
    np.testing.assert_allclose(pixels_of(tmp_path, text)[:2], SAMPLES["ros plumb_bob"].pixels, atol=1e-9)


def test_eurocs_sensor_yaml(tmp_path):
    text = (
        "sensor_type: camera\nrate_hz: 20\nresolution: [1280, 1024]\ncamera_model: pinhole\n"
        "intrinsics: [610, 612, 633, 498] #fu, fv, cu, cv\ndistortion_model: radial-tangential\n"
        "distortion_coefficients: [-0.21, 0.06, 0.001, -0.0005]\n"
    )
    np.testing.assert_allclose(pixels_of(tmp_path, text)[:2], SAMPLES["ros plumb_bob"].pixels, atol=1e-9)


def test_matlabs_other_fields(tmp_path):
    upright = {
        "K": [[610, 3, 634], [0, 612, 499], [0, 0, 1]], "RadialDistortion": [-0.21, 0.06], "ImageSize": [1024, 1280],
        "TangentialDistortion": [0.001, -0.0005],
    }  # fmt: skip
    pixels = pixels_of(tmp_path, upright)[:2]
    expected = np.array(SAMPLES["ros plumb_bob"].pixels)
    expected[:, 0] += 3 * (expected[:, 1] - 498) / 612
    np.testing.assert_allclose(pixels, expected, atol=1e-9)
    lying = {key: value for key, value in upright.items() if key != "K"} | {
        "IntrinsicMatrix": [[610, 0, 0], [3, 612, 0], [634, 499, 1]]
    }
    np.testing.assert_allclose(pixels_of(tmp_path, lying)[:2], expected, atol=1e-9)
    kannala_brandt = {
        "FocalLength": [320, 322], "PrincipalPoint": [641.3, 512.2], "ImageSize": [1024, 1280],
        "DistortionCoefficients": [0.02, -0.006, 0.001, -0.0004],
    }  # fmt: skip
    np.testing.assert_allclose(pixels_of(tmp_path, kannala_brandt), SAMPLES["ours"].pixels, atol=1e-6)


def test_arias_sizes(tmp_path):
    data = json.loads(ARIA)
    data["ImageSizes"] = [[640, 480], [1408, 1408], [320, 240]]
    data["CameraCalibrations"][1]["Projection"]["Params"][:3] = [610.0, 704.0, 700.0]
    path = write(tmp_path, "online.json", json.dumps(data))
    assert load_calibration(f"{path}#camera-rgb").size == (1408, 1408)
    linear = {"CameraCalibrations": [{"Label": "a", "Projection": {"Name": "Linear", "Params": [610, 612, 633, 498]}}]}
    x, y, z = ASKED.T
    found = pixels_of(tmp_path, linear, "#1280x1024")
    np.testing.assert_allclose(found, np.stack([610 * x / z + 633, 612 * y / z + 498], -1), atol=1e-9)
    linear["CameraCalibrations"][0]["Calibrated"] = False
    with pytest.raises(EgostreamError, match="a was not calibrated"):
        pixels_of(tmp_path, linear, "#1280x1024")


def test_opencvs_fields_in_anybodys_json(tmp_path):
    """As scripts write them around cv2.fisheye.calibrate, with a word for the model."""
    data = {"model": "fisheye", "K": [[320, 0, 640.3], [0, 322, 511.2], [0, 0, 1]], "size": [1280, 1024]}
    data |= {"D": [[0.02], [-0.006], [0.001], [-0.0004]]}
    np.testing.assert_allclose(pixels_of(tmp_path, data), SAMPLES["ours"].pixels, atol=1e-6)
    other = {
        "mtx": data["K"],
        "dist": data["D"],
        "image_width": 1280,
        "image_height": 1024,
        "camera_type": "equidistant",
    }
    np.testing.assert_allclose(pixels_of(tmp_path, other), SAMPLES["ours"].pixels, atol=1e-6)
    with pytest.raises(EgostreamError, match="does not say how large its frames are"):
        pixels_of(tmp_path, {key: data[key] for key in ("model", "K", "D")})
