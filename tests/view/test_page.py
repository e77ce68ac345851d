"""The page in a real browser: what its canvases show, how it is turned, what it says, what it asks of the network."""

from __future__ import annotations

import cv2
import numpy as np
import psutil
import pytest
import simplejpeg
from processes import wait_for
from sample_clip import sample_images
from senders import free_port

PANEL = "egostream.panels.get('0')"
DRAWS = f"({PANEL}?.picture.canvas.drawn ?? 0) > 2 && ({PANEL}?.scene.canvas.drawn ?? 0) > 2 && {PANEL}.picture.bitmap"
#: Poses have stopped, the page has said so, and nothing moves any more.
STANDS = f"document.querySelector('.word') && {PANEL}.scene.canvas.request === 0"


#: An Exif segment that asks viewers to turn the picture by a quarter.
EXIF_TURNED = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """How far two pictures are apart on average, 0..255."""
    return float(np.abs(one.astype(float) - other).mean())


def saturated(pixels: np.ndarray) -> int:
    """Pixels of a strong colour: bones and joints, on a page that is grey."""
    return int((np.ptp(pixels.astype(int), axis=2) > 60).sum())


def is_a_frame_of_the_clip(pixels: np.ndarray) -> bool:
    """Whether a canvas [H, W, 3] shows one of the sample's frames, up to the skeleton on it, and nothing else."""
    height, width = pixels.shape[:2]
    scale = min(width / 1280, height / 1024)
    size = round(1280 * scale), round(1024 * scale)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    shown = pixels[top : top + size[1], left : left + size[0]]
    frames = [cv2.resize(simplejpeg.decode_jpeg(image, "RGB"), size) for image in sample_images()[::3]]
    apart = sorted(difference(shown, frame) for frame in frames)
    return apart[0] < 12 and apart[-1] > 1.5 * apart[0]


def test_a_run_with_a_page_that_dies_and_a_run_that_is_started_again(pipeline, browse):
    """The real thing: pictures of the clip, a skeleton, two pages at once, no other host; poses without the page."""
    port = free_port()
    run = pipeline(loop=True, view=True, view_port=port)
    url = f"http://127.0.0.1:{port}/"
    assert wait_for(lambda: f"view: the page is on {url}" in run.output(), 60), run.output()
    pages = [browse(url), browse(url, width=400, scheme="light")]
    for page in pages:
        page.wait(DRAWS, 90)
    assert is_a_frame_of_the_clip(pages[0].pixels(".picture")) and is_a_frame_of_the_clip(pages[1].composed(".picture"))
    assert saturated(pages[0].pixels(".scene")) > 500 and saturated(pages[1].composed(".scene")) > 500
    assert "streaming" in pages[0].text()
    with run.subscribe() as poses:
        run.wait_first(poses)
        page_process(port).kill()
        pages[0].wait("document.querySelector('.link-text').textContent === 'not connected'")
        assert poses.newest(5.0) is not None
        assert wait_for(lambda: "view ended (killed by signal 9); restarting it in 0.1 s" in run.output())
        pages[0].wait("document.querySelector('.link-text').textContent !== 'not connected'", 60)
        assert poses.status(1.0).restarts == {"capture": 0, "infer": 0}
    run.close()
    pages[0].wait("document.body.innerText.includes('The viewer is not running')")
    again = pipeline(loop=True, view=True, view_port=port)
    drawn = pages[1].run(f"{PANEL}?.picture.canvas.drawn ?? 0")  # its panel may be away as yet
    pages[1].wait(f"{PANEL}?.picture.canvas.drawn > {drawn} + 2", 120)
    assert "Traceback" not in run.output() + again.output()
    for page in pages:
        assert {request.split("/")[2] for request in page.requests} == {f"127.0.0.1:{port}"}, page.requests


def page_process(port: int) -> psutil.Process:
    """The process that listens on a port."""
    found = [
        one for one in psutil.net_connections("tcp") if one.laddr.port == port and one.status == psutil.CONN_LISTEN
    ]
    return psutil.Process(found[0].pid)


def test_keypoints_and_bones_lie_on_the_picture_in_the_colours_of_their_confidence(made_run, viewer, browse):
    blank = simplejpeg.encode_jpeg(np.full((1024, 1280, 3), 90, np.uint8))
    run = made_run(images=[np.frombuffer(blank, np.uint8)])
    page = browse(viewer(run).url)
    page.wait(DRAWS)
    run.streams["0"].is_posing = False
    page.wait(STANDS)
    answer, pixels = still_picture(page)
    scale = min(pixels.shape[1] / 1280, pixels.shape[0] / 1024)
    offset = (np.array(pixels.shape[1::-1]) - scale * np.array([1280, 1024])) / 2
    assert answer["keypoints"].pop() == [None, None]  # the camera does not see it: it is not drawn
    points = offset + scale * (np.array(answer["keypoints"]) + 0.5)
    colours = page.run(f"import('/palette.js').then(({{confidenceColour}}) => "
                       f"{answer['confidence']}.map(confidenceColour))")  # fmt: skip
    for (x, y), confidence, colour in zip(points, answer["confidence"], colours):
        wanted = [int(value) for value in colour[4:-1].split(",")]
        if confidence > 0.3 and min(np.hypot(*(points - (x, y)).T)[np.hypot(*(points - (x, y)).T) > 0]) > 8:
            assert difference(pixels[round(y), round(x)], wanted) < 40, (x, y, colour)
    assert difference(pixels[int(offset[1]) + 8, int(offset[0]) + 8], [90] * 3) < 5  # and the picture is under it


def still_picture(page) -> tuple[dict, np.ndarray]:
    """What the page shows once nothing moves any more: head of the picture, and the pixels of its canvas."""
    drawn = -1
    while drawn != (now := page.run(f"{PANEL}.picture.canvas.drawn")):
        drawn = now
        page.run("new Promise(done => setTimeout(done, 400))")
    return page.run(f"{PANEL}.picture.answer"), page.pixels(".picture")


def test_the_skeleton_is_turned_by_mouse_touch_keys_and_buttons_and_stands_upright(made_run, viewer, browse):
    run = made_run()
    page = browse(viewer(run).url)
    page.wait(DRAWS)
    run.streams["0"].is_posing = False
    page.wait(STANDS)
    begin = page.pixels(".scene")
    assert difference(begin, page.pixels(".scene")) == 0
    look = {"begin": begin}
    page.drag(".scene", 120, 40)
    look["dragged"] = page.pixels(".scene")
    for view in ("front", "side", "top"):
        page.run(f"document.querySelector('[data-view={view}]').click()")
        look[view] = page.pixels(".scene")
        assert page.run("document.querySelector('[data-view][aria-pressed=true]').dataset.view") == view
    page.run("document.querySelector('.scene').focus()")
    page.press("ArrowLeft")
    look["key"] = page.pixels(".scene")
    assert page.run("document.querySelectorAll('[data-view][aria-pressed=true]').length") == 0
    page.press("-")
    look["far"] = page.pixels(".scene")
    page.touch(".scene", ((0, 0), (80, 30)))
    look["touched"] = page.pixels(".scene")
    distance = page.run(f"{PANEL}.scene.orbit.distance")
    page.touch(".scene", ((-30, 0), (-60, 0)), ((30, 0), (60, 0)))
    look["pinched"] = page.pixels(".scene")
    assert page.run(f"{PANEL}.scene.orbit.distance") < distance
    pictures = list(look.values())
    assert all(difference(one, other) > 0.3 for n, one in enumerate(pictures) for other in pictures[:n])
    page.press("0")
    assert difference(page.pixels(".scene"), begin) == 0
    page.press("2")
    neck, left, right, feet = page.run(FRONT)
    assert neck[1] < left[1] < feet[1] and neck[1] < right[1] < feet[1], "upright"
    assert right[0] < left[0], "seen from the front, the wearer's right is at our left"


#: Neck, hips and a foot in the front view, in pixels.
FRONT = (
    f"(() => {{ const scene = {PANEL}.scene; const project = scene.orbit.projection(600, 600);"
    "return [0, 11, 7, 14].map(joint => project(scene.to.joints[joint])); })()"
)


def test_a_4k_camera_is_shown_whole_and_trails_and_themes_are_drawn(made_run, viewer, browse):
    image = np.zeros((2160, 3840, 3), np.uint8)
    for number, colour in enumerate([(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40)]):
        top, left = 1080 * (number // 2), 1920 * (number % 2)
        image[top : top + 1080, left : left + 1920] = colour
    jpeg = simplejpeg.encode_jpeg(image, 90)
    turned = jpeg[:2] + EXIF_TURNED + jpeg[2:]  # keypoints are of the picture as it lies in the file
    run = made_run(images=[np.frombuffer(turned, np.uint8)], size=(3840, 2160))
    page = browse(viewer(run).url)
    page.wait(DRAWS, 60)
    assert "3840 × 2160" in page.text()
    pixels = page.pixels(".picture")
    height, width = pixels.shape[:2]
    drawn = width * 2160 / 3840
    for row, column, colour in ((0.04, 0.03, (200, 40, 40)), (0.04, 0.97, (40, 200, 40)), (0.96, 0.97, (200, 200, 40))):
        x, y = int(column * width), int((height - drawn) / 2 + row * drawn)
        assert difference(pixels[y, x], colour) < 12, (x, y)
    dark = page.pixels(".scene").mean()
    page.run("document.querySelector('.theme').click()")
    assert page.pixels(".scene").mean() > dark + 100
    page.run("document.querySelector('[data-toggle=trails]').click()")
    page.wait(f"{PANEL}.scene.trails.length > 5")


def test_what_is_wrong_is_said_in_words(made_run, viewer, browse):
    run = made_run()
    page = browse(viewer(run).url)
    page.wait(DRAWS)
    stream = run.streams["0"]
    says = lambda text: page.wait(f"document.body.innerText.includes({text!r})")
    stream.change(mount="the picture seems upside down: --rotate 180")
    says("The picture seems upside down: --rotate 180")
    stream.trained = False
    says("are untrained: the poses mean nothing")
    stream.is_posing = False
    stream.change(mount="", state="lost", note="camera lost: unplugged; opening it again in 2 s")
    says("Camera lost: unplugged; opening it again in 2 s")
    stream.trained, stream.dropped = True, 1234
    stream.change(state="ended", note="")
    says("The recording has ended.")
    says("1,234")
    run.close()
    says("The recording has ended, and its run with it.")
    again = made_run()
    page.wait("!document.querySelector('.word')")
    drawn = page.run(f"{PANEL}.picture.canvas.drawn")
    page.wait(f"{PANEL}.picture.canvas.drawn > {drawn} + 2")
    again.close()
    says("has stopped. A new one appears here by itself.")


def test_several_streams_are_tabs_or_side_by_side(made_run, viewer, browse):
    run = made_run("left", "right", "10")
    page = browse(viewer(run).url)
    page.wait("document.querySelectorAll('[role=tab]').length === 4")
    drawn = "Object.fromEntries([...egostream.panels].map(([name, panel]) => [name, panel.picture.canvas.drawn]))"
    page.wait("egostream.panels.get('10').picture.bitmap")
    assert page.run("egostream.panels.get('left').picture.bitmap") is None  # what is not shown is not asked for
    page.run("document.querySelector('[data-name=left]').focus()")
    page.press("ArrowRight")
    page.wait("egostream.panels.get('right').picture.bitmap && !egostream.panels.get('right').element.hidden")
    page.run("document.querySelector('[data-name=all]').click()")
    page.wait("[...egostream.panels.values()].every(panel => panel.picture.bitmap && !panel.element.hidden)")
    before = page.run(drawn)
    page.wait(f"Object.entries({drawn}).every(([name, count]) => count > ({before})[name] + 2)")
    assert {name for name, stream in run.streams.items() if stream.ring["written"]} == set(run.streams)


def test_a_page_left_open_does_not_grow(made_run, viewer, browse):
    """What grows with time, after ten seconds of poses and then some: nothing that the page or the browser counts."""
    run = made_run(fps=200.0)
    page = browse(viewer(run).url)
    page.wait(DRAWS)
    page.run("document.querySelector('[data-toggle=trails]').click()")
    page.wait(f"{PANEL}.scene.canvas.drawn > 100", 120)
    page.call("Performance.enable")
    count = lambda: {one["name"]: one["value"] for one in page.call("Performance.getMetrics")["metrics"]}
    page.call("HeapProfiler.collectGarbage")
    before, drawn = count(), page.run(f"{PANEL}.picture.canvas.drawn")
    page.wait(f"{PANEL}.picture.canvas.drawn > {drawn} + 20", 120)
    page.call("HeapProfiler.collectGarbage")
    after = count()
    for what in ("Nodes", "JSEventListeners", "Documents"):
        assert after[what] <= before[what] + 20, what
    kept = page.run(
        f"(() => {{ const panel = {PANEL}, pose = {{...panel.picture.answer, stages_ms: {{}},"
        "joints: panel.scene.to.joints};"
        "for (let n = 0; n < 2000; n++) panel.takePose({...pose, t_ms: n});"
        "return [panel.chart.samples.length, panel.scene.trails.length]; })()"
    )
    assert kept == [1024, 45]  # of poses, however many come


def test_a_page_nobody_looks_at_asks_for_nothing(made_run, viewer, browse):
    run = made_run()
    page = browse(viewer(run).url)
    page.wait(DRAWS)
    page.run("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    page.wait("[...egostream.link.lanes.values()].every(lane => !lane.isAsked && !lane.isBusy)")
    ring = run.streams["0"].ring
    assert wait_for(lambda: not ring.is_wanted(ring["wanted_until_ns"]))
    page.run("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    drawn = page.run(f"{PANEL}.picture.canvas.drawn")
    page.wait(f"{PANEL}.picture.canvas.drawn > {drawn} + 2")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling_and_follows_the_system(made_run, viewer, browse, scheme):
    page = browse(viewer(made_run()).url, width=360, height=740, scheme=scheme)
    page.wait(DRAWS)
    assert page.run("document.documentElement.scrollWidth") <= 360
    assert page.run("document.documentElement.dataset.theme") == scheme
    unnamed = page.run(
        "[...document.querySelectorAll('button, canvas')].filter(one => !one.innerText?.trim() && "
        "!one.getAttribute('aria-label')).map(one => one.outerHTML)"
    )
    assert unnamed == []


def test_a_wrong_token_and_nobody_at_the_endpoint_are_said(viewer, browse, tmp_path):
    nobody = viewer(None, "--endpoint", f"ipc://{tmp_path}/nobody", "--control", "")
    page = browse(nobody.url)
    page.wait(f"document.body.innerText.includes('No run at ipc://{tmp_path}/nobody. Start one: egostream run')")
    open_to_all = viewer(None, "--host", "0.0.0.0", "--endpoint", f"ipc://{tmp_path}/nobody", "--control", "")
    address = open_to_all.url.replace(open_to_all.place, f"127.0.0.1:{open_to_all.port}")
    assert "?token=" in address
    page = browse(address)
    page.wait("document.body.innerText.includes('No run at')")
    page = browse(address[:-4] + "beef")
    page.wait("document.body.innerText.includes('Wrong token')")
