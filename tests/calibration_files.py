"""Calibration files as other programs write them, each with what its owner's library or its equations say of it."""

from __future__ import annotations

import json
from typing import NamedTuple

import numpy as np

#: Directions for which pixels are known.
ASKED = np.array([[0.1, -0.2, 1.0], [0.9, 0.7, 1.0], [-1.5, 0.4, 0.8], [0.3, 1.9, 0.6]])


class Sample(NamedTuple):
    """A file, how it is asked for, and the camera in it."""

    ending: str
    text: str
    asked: str  # after the file's name
    size: tuple[int, int]
    pixels: list  # of ASKED; fewer where the lens sees fewer
    source: str  # of the pixels
    within: float = 1e-4  # pixels; libraries that count in single precision need more


KALIBR = """cam0:
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [0.02, -0.006, 0.001, -0.0004]
  distortion_model: equidistant
  intrinsics: [320.0, 322.0, 640.3, 511.2]
  resolution: [1280, 1024]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1:
  - [1.0, 0.0, 0.0, -0.1]
  - [0.0, 1.0, 0.0, 0.0]
  - [0.0, 0.0, 1.0, 0.0]
  - [0.0, 0.0, 0.0, 1.0]
  camera_model: eucm
  distortion_coeffs: []
  distortion_model: none
  intrinsics: [0.62, 1.08, 401.3, 399.2, 639.1, 512.4]
  resolution: [1280, 1024]
  rostopic: /cam1/image_raw
cam2:
  camera_model: omni
  distortion_coeffs: [-0.19, 0.05, 0.0011, -0.0007]
  distortion_model: radtan
  intrinsics: [1.35, 620.5, 618.25, 640.2, 511.7]
  resolution: [1280, 1024]
cam3:
  camera_model: pinhole
  distortion_coeffs: [0.93]
  distortion_model: fov
  intrinsics: [401.3, 399.2, 639.1, 512.4]
  resolution: [1280, 1024]
cam4:
  camera_model: ds
  distortion_coeffs: []
  distortion_model: none
  intrinsics: [-0.18, 0.59, 300.0, 302.0, 639.0, 511.0]
  resolution: [1280, 1024]
cam5:
  camera_model: pinhole
  distortion_coeffs: [-2.1e-1, 6e-2, 1e-3, -5e-4]
  distortion_model: radtan
  intrinsics: [610, 612, 633, 498]
  resolution: [1280, 1024]
"""
ROS = """image_width: 1280
image_height: 1024
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [{matrix}]
distortion_model: {model}
distortion_coefficients:
  rows: 1
  cols: {count}
  data: [{terms}]
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [320, 0, 640.3, 0, 0, 322, 511.2, 0, 0, 0, 1, 0]
"""
ROS_TOPIC = """header:
  stamp:
    sec: 1700000000
    nanosec: 5
  frame_id: head
height: 1024
width: 1280
distortion_model: equidistant
d:
- 0.02
- -0.006
- 0.001
- -0.0004
k: [320.0, 0.0, 640.3, 0.0, 322.0, 511.2, 0.0, 0.0, 1.0]
binning_x: 0
binning_y: 0
roi:
  x_offset: 0
  y_offset: 0
  height: 0
  width: 0
  do_rectify: false
---
"""
OPENCV_YAML = """%YAML:1.0
---
calibration_time: "Fri Nov 27 10:00:00 2026"
nr_of_frames: 24
image_width: 1280
image_height: 1024
board_width: 9
# flags: +fix_skew
flags: 10
fisheye_model: {fisheye}
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 320., 0., 6.4030000000000001e+02, 0., 322.,
       5.1120000000000005e+02, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: {count}
   cols: 1
   dt: d
   data: [ {terms} ]
avg_reprojection_error: 3.1000000000000000e-01
"""
OPENCV_XML = """<?xml version="1.0"?>
<opencv_storage>
<image_Width>1280</image_Width>
<image_Height>1024</image_Height>
<Camera_Matrix type_id="opencv-matrix">
  <rows>3</rows>
  <cols>3</cols>
  <dt>d</dt>
  <data>
    620.5 1.7 640.2 0. 618.25 511.7 0. 0. 1.</data></Camera_Matrix>
<xi type_id="opencv-matrix">
  <rows>1</rows>
  <cols>1</cols>
  <dt>d</dt>
  <data>
    1.3500000000000001e+00</data></xi>
<Distortion_Coefficients type_id="opencv-matrix">
  <rows>1</rows>
  <cols>4</cols>
  <dt>d</dt>
  <data>
    -0.19 0.05 0.0011 -0.0007</data></Distortion_Coefficients>
</opencv_storage>
"""
OCAMCALIB = """#polynomial coefficients for the DIRECT mapping function (ocam_model.ss in MATLAB).

5 -2.736690e+02 0.000000e+00 1.491215e-03 -1.810410e-06 6.614668e-09 

#polynomial coefficients for the inverse mapping function (ocam_model.invpol in MATLAB).

10 390.641079 204.159602 -11.846278 36.007709 17.104646 38.577696 89.296165 75.701556 27.648260 3.714537 

#center: "row" and "column", starting from 0 (C convention)

171.302880 365.152978

#affine parameters "c", "d", "e"

0.884024 0.025906 -0.027663

#image size: "height" and "width"

480 720

"""
PY_OCAMCALIB = json.dumps(
    {
        "date": "18052022_154907",
        "camera_name": "fisheye_1",
        "valid": [True, True, False],
        "taylor_coefficient": [
            337.71684227978966, 0.0, -0.0012238320710672823, 1.3803997515890267e-06, -3.0106166073815756e-09,
        ],
        "distortion_center": [543.9861511428039, 377.64882547339226],
        "stretch_matrix": [[1.0032962305648117, 0.00014800947722706114], [0.00017686046028285402, 1.0]],
        "inverse_poly": [
            -1.3505550174375285, 12.863399898648574, -46.729025171144166, 72.39400507902279, -13.749079912593142,
            -94.022200026866, 100.86067075019912, -32.14422445443283, 3.931359017257052, -5.757743649593935,
            338.19818198264267, -0.012207504686747209,
        ],
        "extrinsics_t": [[[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 3.2]]],
        "img_path": ["a.png"],
        "rms_overall": 0.24125227245668737,
    },
    indent=4,
)  # fmt: skip
BASALT = json.dumps(
    {
        "value0": {
            "T_imu_cam": [{"px": 0, "py": 0, "pz": 0, "qx": 0, "qy": 0, "qz": 0, "qw": 1}] * 4,
            "intrinsics": [
                {"camera_type": "ds", "intrinsics": {
                    "fx": 300.0, "fy": 302.0, "cx": 639.0, "cy": 511.0, "xi": -0.18, "alpha": 0.59}},
                {"camera_type": "eucm", "intrinsics": {
                    "fx": 401.3, "fy": 399.2, "cx": 639.1, "cy": 512.4, "alpha": 0.62, "beta": 1.08}},
                {"camera_type": "kb4", "intrinsics": {
                    "fx": 320.0, "fy": 322.0, "cx": 640.3, "cy": 511.2, "k1": 0.02, "k2": -0.006, "k3": 0.001,
                    "k4": -0.0004}},
                {"camera_type": "pinhole-radtan8", "intrinsics": {
                    "fx": 610.0, "fy": 612.0, "cx": 633.0, "cy": 498.0, "k1": 0.4, "k2": 0.1, "p1": 0.001,
                    "p2": -0.0005, "k3": 0.004, "k4": 0.6, "k5": 0.15, "k6": 0.01, "rpmax": 2.7}},
            ],
            "resolution": [[1280, 1024]] * 4,
            "vignette": [],
            "cam_time_offset_ns": 0,
        }
    },
    indent=4,
)  # fmt: skip
ARIA_TERMS = [-0.02, 0.1, -0.07, 0.012, 0.0013, -0.0003, 0.0007, -0.0004, 0.0005, -0.0001, -0.0003, 0.0002]


def aria_camera(label: str, name: str, parameters: list, **more: object) -> dict:
    return {
        "Calibrated": True,
        "Label": label,
        "Projection": {"Description": "see FisheyeRadTanThinPrism.h", "Name": name, "Params": parameters},
        "SerialNumber": "x",
        "T_Device_Camera": {"Translation": [0, 0, 0], "UnitQuaternion": [1, [0, 0, 0]]},
        **more,
    }


ARIA = json.dumps(
    {
        "CameraCalibrations": [
            aria_camera("camera-slam-left", "FisheyeRadTanThinPrism", [241.6, 321.2, 236.9, *ARIA_TERMS]),
            aria_camera("camera-rgb", "FisheyeRadTanThinPrism", [1220.5, 1460.2, 1441.9, *ARIA_TERMS]),
            aria_camera(
                "camera-et-left", "KannalaBrandtK3", [275.0, 274.5, 318.0, 241.0, 0.01, -0.02, 0.003, -0.0004],
                ConfigData={"ImageWidth": 640, "ImageHeight": 480, "MaxSolidAngle": 0.75},
            ),
        ],
        "ImuCalibrations": [],
    }
)  # fmt: skip
T265_K = [-0.00626438, 0.0493399, -0.0463255, 0.00896666]
T265_SCRIPT = json.dumps(
    {
        "width": 848, "height": 800, "ppx": 417.1, "ppy": 403.8, "fx": 286.1, "fy": 286.05,
        "model": "distortion.kannala_brandt4", "coeffs": [*T265_K, 0.0],
    }
)  # fmt: skip
T265_TOOL = json.dumps(
    {
        "cameras": [
            {"center_px": [417.1, 403.8], "focal_length_px": [286.1, 286.05], "size_px": [848, 800],
             "distortion": {"type": "kannalabrandt4", "k": T265_K}},
            {"center_px": [420.0, 401.0], "focal_length_px": [285.9, 285.8], "size_px": [848, 800],
             "distortion": {"type": "kannalabrandt4", "k": T265_K}},
        ]
    }
)  # fmt: skip
T265_PRINT = (
    "[ 848x800  p[417.1 403.8]  f[286.1 286.05]  Kannala Brandt4 [-0.00626438 0.0493399 -0.0463255 0.00896666 0] ]\n"
)
T265_ENUMERATE = """Intrinsic Parameters:

 Intrinsic of "Fisheye 1" / 848x800 / {Y8}
  Width:      \t848
  Height:     \t800
  PPX:        \t417.1
  PPY:        \t403.8
  Fx:         \t286.1
  Fy:         \t286.05
  Distortion: \tKannala Brandt4
  Coeffs:     \t-0.00626438  \t0.0493399  \t-0.0463255  \t0.00896666  \t0
  FOV (deg):  \t112 x 108.9

 Intrinsic of "Fisheye 2" / 848x800 / {Y8}
  Width:      \t848
  Height:     \t800
  PPX:        \t420
  PPY:        \t401
  Fx:         \t285.9
  Fy:         \t285.8
  Distortion: \tKannala Brandt4
  Coeffs:     \t-0.00626438  \t0.0493399  \t-0.0463255  \t0.00896666  \t0
"""
EGO_REAR = json.dumps(
    {
        "name": "camera_front_left_scaramuzza", "size": [720, 1280], "imageCircleRadius": 781,
        "image_center": [670.9720051654531, 357.14620573354205],
        "polynomialC2W": [
            -525.9512877488152, -0.0, 0.0008554466953049432, -6.980288895176332e-07, 1.1719081248635975e-09],
        "polynomialW2C": [
            734.4823915377785, 370.2769502708119, -28.548347735866557, 62.06581011308032, -16.600186070110876,
            -40.06763614056629, 25.6837136319029, 36.96116086285284, 9.777197121684225],
        "affine": [0.9998671664511359, -0.0009335415021226156, -0.0002060565740847367],
    }
)  # fmt: skip
MATLAB_PINHOLE = json.dumps(
    {
        "RadialDistortion": [-0.21, 0.06], "TangentialDistortion": [0.001, -0.0005], "ImageSize": [1024, 1280],
        "WorldPoints": [], "WorldUnits": "millimeters", "EstimateSkew": False, "NumRadialDistortionCoefficients": 2,
        "RotationVectors": [], "TranslationVectors": [], "ReprojectionErrors": [],
        "IntrinsicMatrix": [[610, 0, 0], [0, 612, 0], [634, 499, 1]], "Version": {"Name": "MATLAB"},
    }
)  # fmt: skip
MATLAB_FISHEYE = json.dumps(
    {
        "Intrinsics": {
            "MappingCoefficients": [337.7, -0.0012238, 1.3804e-06, -3.0106e-09], "ImageSize": [768, 1024],
            "DistortionCenter": [545.0, 378.6], "StretchMatrix": [[1.0033, 0.002], [-0.001, 1.0]],
        },
        "WorldPoints": [], "WorldUnits": "millimeters", "EstimateAlignment": True,
    }
)  # fmt: skip
MATLAB_PRINT = """
intrinsics =

  cameraIntrinsics with properties:

             FocalLength: [610 612]
          PrincipalPoint: [634 499]
               ImageSize: [1024 1280]
        RadialDistortion: [-0.2100 0.0600]
    TangentialDistortion: [1.0000e-03 -5.0000e-04]
                    Skew: 0
                       K: [3×3 double]
"""
CAMODOCAL = """%YAML:1.0
---
model_type: MEI
camera_name: image_02
image_width: 1280
image_height: 1024
mirror_parameters:
   xi: 1.35
distortion_parameters:
   k1: -0.19
   k2: 0.05
   p1: 0.0011
   p2: -0.0007
projection_parameters:
   gamma1: 620.5
   gamma2: 618.25
   u0: 640.2
   v0: 511.7
"""
OURS = json.dumps(
    {
        "schema": 1, "name": "head", "model": "kannala_brandt", "size": [1280, 1024], "focal": [320.0, 322.0],
        "center": [640.3, 511.2], "k": [0.02, -0.006, 0.001, -0.0004],
    },
    indent=2,
)  # fmt: skip

KB_PIXELS = [[671.8121490496966, 447.7818000374854], [857.6998911192538, 681.3456092301382],
             [296.2405750157821, 603.5226123707652], [704.7528920783454, 921.9529101409562]]  # fmt: skip
EUCM_PIXELS = [[678.5778296773096, 433.85751504020936], [908.3686293930502, 720.7352044676854],
               [215.33542574954322, 624.8125379455319], [718.1996597469002, 1010.7429680607097]]  # fmt: skip
MEI_SKEWED = [[666.0389421796606, 459.92416943247486], [819.0981912257441, 650.18571381196],
              [357.94081580228675, 586.8875956144936], [693.8423676485028, 845.5583387206682]]  # fmt: skip
FOV_PIXELS = [[681.69121100763, 427.6633369835739], [929.4615791994102, 737.0549815640368],
              [181.99779706280134, 633.6560507766623], [724.5285551768056, 1050.6162183778015]]  # fmt: skip
ARIA_PIXELS = [[344.9723302250266, 189.37518675686493], [486.1586974259816, 364.94430359410455],
               [59.66581615650455, 306.59329305896847], [370.54411333384525, 546.6010930906008]]  # fmt: skip
T265_PIXELS = [[445.2415466308594, 347.5267333984375], [610.432861328125, 554.1436767578125],
               [113.77203369140625, 484.6733093261719], [472.8377380371094, 756.743896484375]]  # fmt: skip
PY_PIXELS = [[577.2320950949189, 311.361710754208], [769.9496935946283, 552.8407070693584],
             [189.98190281740375, 471.680905057724], [609.706602372216, 792.1352428730199]]  # fmt: skip


def unskewed(pixels: list, skew: float = 1.7, fy: float = 618.25, cy: float = 511.7) -> list:
    """OpenCV's pixels of the lens without its skew: the other formats have none."""
    return [[u - skew * (v - cy) / fy, v] for u, v in pixels]


def double_sphere_pixels() -> list:
    """Usenko's formula (45) with the samples' numbers, written out."""
    x, y, z = ASKED.T
    d1 = np.sqrt(x**2 + y**2 + z**2)
    below = 0.59 * np.sqrt(x**2 + y**2 + (-0.18 * d1 + z) ** 2) + 0.41 * (-0.18 * d1 + z)
    return np.stack([300 * x / below + 639, 302 * y / below + 511], -1).tolist()


def radtan_pixels(
    k1: float, k2: float, p1: float, p2: float, k3: float = 0, k4: float = 0, k5: float = 0, k6: float = 0
) -> list:
    """OpenCV's documentation of projectPoints, written out, for the first two directions."""
    x, y = (ASKED[:2, :2] / ASKED[:2, 2:]).T
    s = x**2 + y**2
    radial = (1 + k1 * s + k2 * s**2 + k3 * s**3) / (1 + k4 * s + k5 * s**2 + k6 * s**3)
    u = 610 * (x * radial + 2 * p1 * x * y + p2 * (s + 2 * x**2)) + 633
    v = 612 * (y * radial + p1 * (s + 2 * y**2) + 2 * p2 * x * y) + 498
    return np.stack([u, v], -1).tolist()


def ocam_pixels() -> list:
    """OCamCalib's world2cam, written out in its own axes: first down the rows, then along them, looking along -z."""
    inverse = [
        390.641079,
        204.159602,
        -11.846278,
        36.007709,
        17.104646,
        38.577696,
        89.296165,
        75.701556,
        27.64826,
        3.714537,
    ]
    pixels = []
    for x, y, z in ASKED:
        point = (y, x, -z)
        norm = np.hypot(point[0], point[1])
        rho = sum(value * np.arctan(point[2] / norm) ** order for order, value in enumerate(inverse))
        row, column = point[0] / norm * rho, point[1] / norm * rho
        pixels.append([row * -0.027663 + column + 365.152978, row * 0.884024 + column * 0.025906 + 171.30288])
    return pixels


def ego_rear_pixels() -> list:
    """EgoRear's formula with the stretch of py-OCamCalib, of which its converter takes the affine terms."""
    w = json.loads(EGO_REAR)["polynomialW2C"]
    c, d, e = json.loads(EGO_REAR)["affine"]
    x, y, z = ASKED.T
    norm = np.hypot(x, y)
    rho = sum(value * np.arctan(-z / norm) ** order for order, value in enumerate(w))
    x, y = x / norm * rho, y / norm * rho
    return np.stack([c * x + d * y + 670.9720051654531, e * x + y + 357.14620573354205], -1).tolist()


def matlab_fisheye_pixels() -> list:
    """MATLAB's documentation of fisheye calibration, solved by bisection; pixels counted from 0."""
    a0, a2, a3, a4 = json.loads(MATLAB_FISHEYE)["Intrinsics"]["MappingCoefficients"]
    pixels = []
    for x, y, z in ASKED:
        n, low, high = np.hypot(x, y), 0.0, 700.0
        for _ in range(200):
            rho = (low + high) / 2
            behind = np.arctan2(rho, a0 + a2 * rho**2 + a3 * rho**3 + a4 * rho**4) < np.arctan2(n, z)
            low, high = (rho, high) if behind else (low, rho)
        x, y = x / n * rho, y / n * rho
        pixels.append([1.0033 * x + 0.002 * y + 544.0, -0.001 * x + y + 377.6])
    return pixels


BIG = (1280, 1024)
KB_TERMS, RADTAN = "0.02, -0.006, 0.001, -0.0004", (-0.21, 0.06, 0.001, -0.0005)
RATIONAL = (0.4, 0.1, 0.001, -0.0005, 0.004, 0.6, 0.15, 0.01)
FISHEYE_MATRIX, PINHOLE_MATRIX = "320, 0, 640.3, 0, 322, 511.2, 0, 0, 1", "610, 0, 633, 0, 612, 498, 0, 0, 1"
GTSAM, COLMAP, OPENCV = "gtsam 4.3.0 Cal3Fisheye", "pycolmap 4.2.1", "cv2.omnidir of opencv-contrib 5.0.0"
RS, EQUATION = "pyrealsense2 2.59 rs2_project_point_to_pixel", "OpenCV's equations"
SAMPLES = {
    "ours": Sample("json", OURS, "", BIG, KB_PIXELS, GTSAM),
    "kalibr equidistant": Sample("yaml", KALIBR, "#cam0", BIG, KB_PIXELS, GTSAM),
    "kalibr eucm": Sample("yaml", KALIBR, "#cam1", BIG, EUCM_PIXELS, COLMAP),
    "kalibr omni": Sample("yaml", KALIBR, "#2", BIG, unskewed(MEI_SKEWED), OPENCV),
    "kalibr fov": Sample("yaml", KALIBR, "#cam3", BIG, FOV_PIXELS, COLMAP),
    "kalibr ds": Sample("yaml", KALIBR, "#cam4", BIG, double_sphere_pixels(), "Usenko's equations"),
    "kalibr radtan": Sample("yaml", KALIBR, "#cam5", BIG, radtan_pixels(*RADTAN), EQUATION),
    "ros equidistant": Sample(
        "yaml", ROS.format(matrix=FISHEYE_MATRIX, model="equidistant", count=4, terms=KB_TERMS),
        "", BIG, KB_PIXELS, GTSAM,
    ),
    "ros plumb_bob": Sample(
        "yaml", ROS.format(matrix=PINHOLE_MATRIX, model="plumb_bob", count=5, terms=f"{str(RADTAN)[1:-1]}, 0.0"),
        "", BIG, radtan_pixels(*RADTAN), EQUATION,
    ),
    "ros rational": Sample(
        "yaml", ROS.format(matrix=PINHOLE_MATRIX, model="rational_polynomial", count=8, terms=str(RATIONAL)[1:-1]),
        "", BIG, radtan_pixels(*RATIONAL), EQUATION,
    ),
    "ros topic": Sample("txt", ROS_TOPIC, "", BIG, KB_PIXELS, GTSAM),
    "opencv fisheye": Sample("yml", OPENCV_YAML.format(fisheye=1, count=4, terms=KB_TERMS), "", BIG, KB_PIXELS, GTSAM),
    "opencv omnidir": Sample("xml", OPENCV_XML, "", BIG, MEI_SKEWED, OPENCV),
    "ocamcalib": Sample("txt", OCAMCALIB, "", (720, 480), ocam_pixels(), "OCamCalib's world2cam, written out"),
    "py-ocamcalib": Sample(
        "json", PY_OCAMCALIB, "#1024x768", (1024, 768), PY_PIXELS, "py-OCamCalib's world2cam",
        0.03,  # it stretches the second axis by what it stretched already; its own cam2world does not
    ),
    "basalt ds": Sample("json", BASALT, "#cam0", BIG, double_sphere_pixels(), "Usenko's equations"),
    "basalt eucm": Sample("json", BASALT, "#cam1", BIG, EUCM_PIXELS, COLMAP),
    "basalt kb4": Sample("json", BASALT, "#cam2", BIG, KB_PIXELS, GTSAM),
    "basalt radtan8": Sample("json", BASALT, "#cam3", BIG, radtan_pixels(*RATIONAL), EQUATION),
    "aria slam": Sample("json", ARIA, "#camera-slam-left", (640, 480), ARIA_PIXELS, "projectaria_tools 2.3.0"),
    "aria rgb": Sample(
        "json", ARIA, "#camera-rgb", (2880, 2880),
        [[1580.29159370714, 1201.817075483252], [2293.5281879487193, 2088.746326724357]], "projectaria_tools 2.3.0",
    ),
    "aria et": Sample(
        "json", ARIA, "#camera-et-left", (640, 480), [[345.0667789651566, 186.9648667204692]], "projectaria_tools 2.3.0"
    ),
    "t265 script": Sample("json", T265_SCRIPT, "", (848, 800), T265_PIXELS, RS, 2e-3),
    "t265 tool": Sample("json", T265_TOOL, "#0", (848, 800), T265_PIXELS, RS, 2e-3),
    "t265 print": Sample("txt", T265_PRINT, "", (848, 800), T265_PIXELS, RS, 2e-3),
    "t265 enumerate": Sample("txt", T265_ENUMERATE, "#Fisheye-1", (848, 800), T265_PIXELS, RS, 2e-3),
    "egorear": Sample("json", EGO_REAR, "", (1280, 720), ego_rear_pixels(), "EgoRear's equations"),
    "matlab pinhole": Sample("json", MATLAB_PINHOLE, "", BIG, radtan_pixels(*RADTAN), "MATLAB's equations"),
    "matlab fisheye": Sample("json", MATLAB_FISHEYE, "", (1024, 768), matlab_fisheye_pixels(), "MATLAB's equations"),
    "matlab print": Sample("txt", MATLAB_PRINT, "", BIG, radtan_pixels(*RADTAN), "MATLAB's equations"),
    "camodocal": Sample("yaml", CAMODOCAL, "", BIG, unskewed(MEI_SKEWED), OPENCV),
}  # fmt: skip
