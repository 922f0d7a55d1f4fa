"""The built site of a locator in Chromium: what it finds, and what visitors correct by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pupila import Artifact, Dataset
from pupila.images import decode, resize
from pupila.predictions import open_model
from pupila.store import Store
from pupila.task import answers_of_outputs
from pupila.testing import disc_locator, ignore_progress
from pupila_site import page as site_page

pytestmark = pytest.mark.slow

Open = Callable[..., Any]
Serve = Callable[[Path], Any]
ANSWERED = "#answer .verdict"
MARGIN = 2.0
NEAR = 1e-3


@pytest.fixture(scope="module")
def url(
    built: Path, run: Any, locator: Artifact, image_filter: Artifact, discs: Dataset, serve: Serve
) -> Iterator[str]:
    site = run("site", locator, image_filter, data=discs, filter="fundus", margin=MARGIN)
    with serve(site.path) as served:
        yield served.url


@pytest.fixture(scope="module")
def shown(discs: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image with a disc near its right edge, as large as a photograph."""
    images = discs.select("test")
    labels: list[str] = images.frame["label"].tolist()
    columns = [0.0 if label == "absent" else float(label.split()[0]) for label in labels]
    right = images.paths[int(np.argmax(columns))]
    target = tmp_path_factory.mktemp("images") / "disc.png"
    Image.open(right).resize((960, 640), Image.Resampling.BICUBIC).save(target)
    return target


@pytest.fixture(scope="module")
def empty(discs: Dataset) -> Path:
    """Return an image without a disc."""
    images = discs.select("test")
    return images.paths[images.frame["label"].tolist().index("absent")]


def answer_of(artifact: Artifact, image: Path) -> NDArray[np.float32]:
    """Return x, y, half width, half height and presence, as LiteRT gives them in Python."""
    pixels = resize(decode(image), artifact.record.input)
    with closing(open_model(artifact)) as model:
        outputs = model.predict(pixels[np.newaxis], ignore_progress)
    return answers_of_outputs(artifact.record.output, outputs)[0]


def give(page: Any, image: Path) -> None:
    page.wait_for_selector("#status:has-text('Ready'), #status:has-text('Listo')")
    page.set_input_files("#file", image)
    page.wait_for_selector(ANSWERED)


def ellipse(page: Any) -> NDArray[np.float64]:
    """Return x, y, half width and half height of the ellipse, as fractions of the image."""
    sides = page.eval_on_selector(
        "#ellipse", "({ style: s }) => [s.left, s.top, s.width, s.height].map(parseFloat)"
    )
    left, top, width, height = (side / 100 for side in sides)
    return np.array([left + width / 2, top + height / 2, width / 2, height / 2])


def middle(page: Any, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_ellipse_is_where_python_finds_the_disc(
    opened: Open, url: str, locator: Artifact, shown: Path
):
    page = opened(url)
    give(page, shown)
    x, y, half_width, half_height, presence = answer_of(locator, shown).tolist()
    assert presence > 0.5
    np.testing.assert_allclose(ellipse(page), [x, y, half_width, half_height], atol=NEAR)
    outline = page.locator("#ellipse").bounding_box()
    photograph = page.locator("#preview").bounding_box()
    assert outline["width"] == pytest.approx(2 * half_width * photograph["width"], abs=1)
    assert outline["height"] == pytest.approx(2 * half_height * photograph["height"], abs=1)
    assert middle(page, "#ellipse")[0] - photograph["x"] == pytest.approx(
        x * photograph["width"], abs=1
    )
    assert page.inner_text(ANSWERED) == "Found: disc"
    assert float(page.get_attribute(".score data", "value")) == pytest.approx(presence, abs=0.002)
    said = f"Centre at {100 * x:.1f}".removesuffix(".0")
    assert page.inner_text("#where").startswith(f"{said}% from the left")
    assert f"{2 * half_height * 640:.0f} pixels large" in page.inner_text("#where")
    assert "On 16 test images" in page.inner_text("#tested")
    assert "Median error" in page.inner_text("#tested")


def test_what_is_not_there_has_no_ellipse_until_it_is_marked_by_hand(
    opened: Open, url: str, locator: Artifact, empty: Path
):
    assert answer_of(locator, empty)[4] < 0.5
    page = opened(url)
    give(page, empty)
    assert page.inner_text(ANSWERED) == "Not there: disc."
    for hidden in ("#ellipse", "#crop", "#smaller", "#back", "#hint"):
        assert not page.is_visible(hidden)
    assert page.inner_text("#where") == ""
    page.click("#mark")
    assert page.evaluate("document.activeElement.id") == "ellipse"
    assert page.inner_text("#where").startswith("By hand: centre at")
    page.wait_for_selector("#crop:not([hidden])")
    page.click("#back")
    assert not page.is_visible("#ellipse") and not page.is_visible("#crop")
    assert page.evaluate("document.activeElement.id") == "mark"


def test_the_keyboard_moves_and_sizes_the_ellipse_and_leads_back(
    opened: Open, url: str, shown: Path
):
    page = opened(url)
    give(page, shown)
    original = ellipse(page)
    page.focus("#file")
    page.keyboard.press("Tab")  # the camera
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "ellipse"
    assert page.get_attribute("#ellipse", "aria-label") == "Ellipse around: disc"
    assert page.get_attribute("#where", "aria-live") == "polite"
    outline = page.evaluate("getComputedStyle(document.getElementById('ellipse')).outlineStyle")
    assert outline == "solid"
    for key, step in (
        ("ArrowLeft", (-0.005, 0)),
        ("ArrowUp", (0, -0.0075)),  # as far on the screen: the image is 3 : 2
        ("Shift+ArrowLeft", (-0.025, 0)),
        ("ArrowDown", (0, 0.0075)),
        ("ArrowRight", (0.005, 0)),
    ):
        before, said = ellipse(page), page.inner_text("#where")
        page.keyboard.press(key)
        np.testing.assert_allclose(ellipse(page) - before, [*step, 0, 0], atol=1e-4)
        assert page.inner_text("#where") != said
    moved = ellipse(page)
    page.keyboard.press("+")
    np.testing.assert_allclose(ellipse(page), moved * [1, 1, 1.05, 1.05], atol=1e-4)
    page.keyboard.press("-")
    page.keyboard.press("-")
    np.testing.assert_allclose(ellipse(page)[2:], moved[2:] / 1.05, atol=1e-4)
    page.click("#larger")
    np.testing.assert_allclose(ellipse(page), moved, atol=1e-4)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "back"
    page.keyboard.press("Enter")
    np.testing.assert_allclose(ellipse(page), original, atol=1e-6)
    assert page.inner_text("#where").startswith("Centre at")
    assert page.evaluate("document.activeElement.id") == "ellipse"


def test_a_mouse_drags_the_ellipse_its_handle_and_its_centre(opened: Open, url: str, shown: Path):
    page = opened(url, viewport={"width": 1100, "height": 900})
    give(page, shown)
    photograph = page.locator("#preview").bounding_box()
    before = ellipse(page)
    x, y = middle(page, "#ellipse")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 20, steps=4)
    page.mouse.up()
    page.mouse.move(x, y)  # lets go
    by = [-60 / photograph["width"], 20 / photograph["height"], 0, 0]
    np.testing.assert_allclose(ellipse(page) - before, by, atol=2e-3)
    before, centre, corner = ellipse(page), middle(page, "#ellipse"), middle(page, "#handle")
    away = [2 * end - start for start, end in zip(centre, corner, strict=True)]
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(*away, steps=4)
    page.mouse.up()
    np.testing.assert_allclose(ellipse(page), before * [1, 1, 2, 2], rtol=0.02)
    page.mouse.click(photograph["x"] + 50, photograph["y"] + 40)
    clicked = [50 / photograph["width"], 40 / photograph["height"]]
    np.testing.assert_allclose(ellipse(page)[:2], clicked, atol=2e-3)


def test_a_finger_drags_the_ellipse_and_does_not_scroll(opened: Open, url: str, shown: Path):
    page = opened(url, viewport={"width": 390, "height": 844}, has_touch=True)
    give(page, shown)
    before, scrolled = ellipse(page), page.evaluate("scrollY")
    x, y = middle(page, "#ellipse")
    finger = page.context.new_cdp_session(page)
    for kind, points in (
        ("touchStart", [{"x": x, "y": y}]),
        ("touchMove", [{"x": x - 20, "y": y - 15}]),
        ("touchMove", [{"x": x - 40, "y": y - 30}]),
        ("touchEnd", []),
    ):
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    photograph = page.locator("#preview").bounding_box()
    by = [-40 / photograph["width"], -30 / photograph["height"], 0, 0]
    np.testing.assert_allclose(ellipse(page) - before, by, atol=4e-3)
    assert page.evaluate("scrollY") == scrolled


LOG_SQUARES = """
    self.squares = [];
    self.Worker = class extends Worker {
        postMessage(job, ...rest) {
            if (job?.square) squares.push(job.square);
            super.postMessage(job, ...rest);
        }
    };
"""


def crop_by_pillow(image: Path, left: float, top: float, side: float) -> NDArray[np.uint8]:
    """Cut a square out of an image on black ground, at its own size."""
    pixels = np.asarray(decode(image))
    height, width = pixels.shape[:2]
    ground = np.pad(pixels, ((height, height), (width, width), (0, 0)))
    x, y, size = left + width, top + height, round(side)
    box = (x, y, x + side, y + side)
    return np.asarray(
        Image.fromarray(ground).resize((size, size), Image.Resampling.BILINEAR, box=box)
    )


@pytest.mark.parametrize("corner", [False, True])
def test_the_saved_crop_has_the_pixels_of_pillow_and_black_beyond_the_image(
    opened: Open, url: str, shown: Path, tmp_path: Path, corner: bool
):
    page = opened("about:blank")
    page.add_init_script(LOG_SQUARES)
    page.goto(url)
    give(page, shown)
    page.focus("#ellipse")
    for key in ("ArrowRight", "ArrowDown") if corner else ():
        for _ in range(41):
            page.keyboard.press(f"Shift+{key}")
    page.wait_for_timeout(500)  # for the last of several crops
    x, y, half_width, half_height = ellipse(page) * [960, 640, 960, 640]
    left, top, side = page.evaluate("squares.map(({ left, top, side }) => [left, top, side])")[-1]
    assert side == pytest.approx(2 * MARGIN * max(half_width, half_height), abs=0.02)
    assert (left + side / 2, top + side / 2) == pytest.approx((x, y), abs=0.02)
    assert all((64 * edge).is_integer() for edge in map(float, (left, top, side)))
    with page.expect_download() as download:
        page.click("#save")
    download.value.save_as(tmp_path / "crop.png")
    assert download.value.suggested_filename == "crop.png"
    saved = np.asarray(Image.open(tmp_path / "crop.png").convert("RGB"))
    np.testing.assert_array_equal(saved, crop_by_pillow(shown, left, top, side))
    half = len(saved) // 2
    assert saved[: half - 4, : half - 4].any()
    assert (saved[half + 4 :, half + 4 :] == 0).all() == corner
    assert f"{len(saved)} × {len(saved)} pixels" in page.inner_text("#crop-size")


def test_a_correction_stays_in_another_language_and_goes_with_another_image(
    opened: Open, url: str, shown: Path, empty: Path
):
    page = opened(url, locale="es-ES")
    give(page, shown)
    assert page.inner_text(ANSWERED) == "Localizado: disc"
    page.focus("#ellipse")
    page.keyboard.press("ArrowLeft")
    moved = ellipse(page)
    assert page.inner_text("#where").startswith("A mano: centro al")
    page.select_option("#language", "en")
    np.testing.assert_array_equal(ellipse(page), moved)
    assert page.inner_text("#where").startswith("By hand: centre at")
    assert "times the longer axis" in page.inner_text("#crop-size")
    page.set_input_files("#file", empty)
    page.wait_for_selector(f"{ANSWERED}:has-text('Not there')")
    assert not page.is_visible("#ellipse") and not page.is_visible("#crop")


def test_the_filter_warns_beside_a_locator(
    opened: Open, url: str, image_filter: Artifact, shown: Path
):
    page = opened(url)
    give(page, shown)
    accepted = answer_of(image_filter, shown)[0] >= 0.5
    assert page.locator("#warning [role=alert]").count() == (0 if accepted else 1)


def test_a_model_that_cannot_say_not_there_says_so(
    opened: Open, built: Path, run: Any, store: Store, discs: Dataset, serve: Serve, shown: Path
):
    for kind in ("heat-map", "coordinates"):
        always = run("export-tflite", disc_locator(store, kind=kind))
        with serve(run("site", always, data=discs).path) as served:
            page = opened(served.url)
            give(page, shown)
            assert "it cannot say that there is none" in page.inner_text("#answer")
            assert not page.locator("[role=meter]").count()
            assert "has no filter, and answers for any image" in page.inner_text("#unfiltered")
            np.testing.assert_allclose(ellipse(page), answer_of(always, shown)[:4], atol=NEAR)


@pytest.mark.parametrize("width", [320, 390, 1100])
@pytest.mark.parametrize("language", ["en-GB", "es-ES"])
def test_the_page_fits_the_screen_and_axe_finds_nothing(
    opened: Open, url: str, shown: Path, empty: Path, width: int, language: str
):
    packages = site_page.PAGES.packages.find() / "node_modules"
    axe = (packages / "axe-core" / "axe.min.js").read_text()
    page = opened(url, viewport={"width": width, "height": 844}, locale=language)
    give(page, shown)
    page.evaluate(axe)
    for image in (shown, empty):
        page.set_input_files("#file", image)
        page.wait_for_selector(ANSWERED)
        if image == shown:
            page.focus("#ellipse")
            page.keyboard.press("ArrowLeft")
            page.wait_for_selector("#crop:not([hidden])")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for control in page.locator("button:visible, label.button:visible").all():
            assert control.bounding_box()["height"] >= 44
        violations = page.evaluate("axe.run().then(({ violations }) => violations)")
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in violations] == []
    page.click("#benchmark-tab")
    assert page.evaluate("axe.run().then(({ violations }) => violations)") == []
