"""The built site of a chain in Chromium: the same answers as in Python, corrected by visitors."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila import Artifact, Dataset
from pupila.cropping import Square, crop, square_around
from pupila.images import content_of, decode, resize
from pupila.predictions import open_model
from pupila.runtime import Fate, StagedModel
from pupila.testing import ignore_progress
from pupila_site import page as site_page

pytestmark = pytest.mark.slow

Open = Callable[..., Any]
Serve = Callable[[Path], Any]
Draw = Callable[..., Path]
READY = "#status:has-text('Ready'), #status:has-text('Listo')"
ANSWERED = "#stages:not([hidden])"
CALM = "#result[aria-busy=false]"
PROBABILITY = 6e-4
POSITION = 1e-4
LARGE, SMALL, TALL, TINY = (900, 600), (150, 100), (300, 400), (90, 60)


@pytest.fixture(scope="module")
def url(
    built: Path, run: Any, chain: Artifact, photographs: Dataset, serve: Serve
) -> Iterator[str]:
    with serve(run("site", chain, data=photographs, names=("chain",)).path) as served:
        yield served.url


@dataclass(frozen=True)
class Expected:
    """What the chain says in Python."""

    kind: str
    located: NDArray[np.float32]
    """x, y, half width, half height and presence; NaN if the locator was not asked."""
    blue: float
    content: NDArray[np.uint8]


def of_python(chain: Artifact, image: Path) -> Expected:
    picture = resize(decode(image), chain.record.input)
    with closing(open_model(chain)) as model:
        staged: StagedModel = model  # pyright: ignore[reportAssignmentType]  - a chain has stages
        (trace,) = staged.trace(picture[np.newaxis], ignore_progress)
        (outputs,) = model.predict(picture[np.newaxis], ignore_progress)
    kinds = {Fate.PASSED: "photograph", Fate.RECOGNISED: "crop", Fate.TURNED_AWAY: "other"}
    kind = kinds[Fate(int(trace[0]))]
    return Expected(kind, trace[5:10], float(outputs[0]), content_of(picture, chain.record.input))


def crop_of(expected: Expected, ellipse: NDArray[Any], classifier: Artifact) -> NDArray[np.uint8]:
    return crop(expected.content, square_of(expected, ellipse), classifier.record.input)


def square_of(expected: Expected, ellipse: NDArray[Any]) -> Square:
    height, width = expected.content.shape[:2]
    x, y, half_width, half_height = map(float, ellipse[:4])
    centre, half = (x * width, y * height), (half_width * width, half_height * height)
    return square_around((width, height), centre, half)


def blue_of(classifier: Artifact, pixels: NDArray[np.uint8]) -> float:
    with closing(open_model(classifier)) as model:
        return float(model.predict(pixels[np.newaxis], ignore_progress)[0, 0])


def give(page: Any, image: Path) -> None:
    page.set_input_files("#file", image)
    page.wait_for_selector(ANSWERED)


def visit(opened: Open, url: str, image: Path, **options: Any) -> Any:
    page = opened(url, **options)
    page.wait_for_selector(READY)
    give(page, image)
    return page


def choose(page: Any, kind: str) -> None:
    page.check(f"#is-{kind}")
    page.wait_for_selector(CALM)


def shown(page: Any) -> float:
    return float(page.get_attribute(".score data", "value"))


def kind(page: Any) -> str:
    return page.evaluate("document.querySelector('[name=kind]:checked').id").removeprefix("is-")


def ellipse(page: Any) -> NDArray[np.float64]:
    """Return x, y, half width and half height of the ellipse, as fractions of the image."""
    sides = page.eval_on_selector(
        "#ellipse", "({ style: s }) => [s.left, s.top, s.width, s.height].map(parseFloat)"
    )
    left, top, width, height = (side / 100 for side in sides)
    return np.array([left + width / 2, top + height / 2, width / 2, height / 2])


def crop_shown(page: Any) -> NDArray[np.uint8]:
    height, width, rgba = page.eval_on_selector(
        "#crop-image",
        """(canvas) => {
            const { width, height } = canvas;
            const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
            return [height, width, [...data]];
        }""",
    )
    return np.array(rgba, np.uint8).reshape(height, width, 4)[..., :3]


def steps(page: Any) -> list[list[str]]:
    rows = page.locator("#steps tbody tr").all_inner_texts()
    return [row.split("\t") for row in rows]


@pytest.mark.parametrize("size", [LARGE, SMALL, TALL, (256, 256), (1111, 257)], ids=str)
@pytest.mark.parametrize("colour", ["blue", "red"])
def test_a_whole_photograph_gets_the_crop_and_the_answer_of_python(
    opened: Open,
    url: str,
    chain: Artifact,
    stages: Any,
    draw: Draw,
    size: tuple[int, int],
    colour: str,
):
    image = draw("disc", size, colour)
    expected = of_python(chain, image)
    page = visit(opened, url, image)
    assert kind(page) == expected.kind == "photograph"
    np.testing.assert_allclose(ellipse(page), expected.located[:4], atol=POSITION)
    np.testing.assert_array_equal(crop_shown(page), crop_of(expected, expected.located, stages[2]))
    assert shown(page) == pytest.approx(expected.blue, abs=PROBABILITY)
    assert (shown(page) > 0.5) == (colour == "blue")
    assert f"{size[0]} × {size[1]}" in str(page.get_attribute("#preview", "aria-label"))
    (filtered, located, cropped, classified) = steps(page)
    assert filtered[:2] == ["Filter", "photograph"]
    assert located[1].startswith("disc (score ") and classified[1].startswith("blue (score ")
    side = square_of(expected, expected.located).side
    assert cropped[1] == f"{side:.1f}".removesuffix(".0") + " px → 32 × 32"
    assert side >= 32 and "too small" not in page.inner_text("#answer")
    assert all(float(row[2]) > 0 for row in steps(page))
    assert "for all stages" in page.inner_text("#stages-took")
    assert "test images" in page.inner_text("#tested")


def test_a_crop_is_recognised_and_not_cropped_again(
    opened: Open, url: str, chain: Artifact, stages: Any, draw: Draw
):
    image = draw("crop", (90, 90))
    expected = of_python(chain, image)
    page = visit(opened, url, image)
    assert kind(page) == expected.kind == "crop"
    said = "The filter takes the image for: crop. It is not cropped again."
    assert page.inner_text("#kind-said") == said
    whole = resize(decode(image), stages[2].record.input)
    np.testing.assert_array_equal(crop_shown(page), whole)
    assert shown(page) == pytest.approx(expected.blue, abs=PROBABILITY)
    assert not page.is_visible("#ellipse")
    assert [row[1] for row in steps(page)[1:3]] == ["not asked", "all → 32 × 32"]


def test_something_else_is_turned_away_until_the_visitor_overrules(
    opened: Open, url: str, chain: Artifact, stages: Any, draw: Draw
):
    image = draw("other", SMALL)
    assert of_python(chain, image).kind == "other"
    page = visit(opened, url, image)
    assert kind(page) == "other"
    said = page.inner_text("#kind-said")
    assert "for: other." in said and "turned away" in said
    assert page.inner_text("#answer") == "No answer."
    for absent in ("[role=meter]", "#ellipse", "#crop"):
        assert not page.is_visible(absent)
    choose(page, "crop")
    assert "You said otherwise. It is not cropped again." in page.inner_text("#kind-said")
    whole = resize(decode(image), stages[2].record.input)
    assert shown(page) == pytest.approx(blue_of(stages[2], whole), abs=PROBABILITY)
    choose(page, "photograph")
    page.wait_for_selector("#where:not([hidden])")
    choose(page, "other")
    assert page.inner_text("#answer") == "No answer."
    assert "You said" not in page.inner_text("#kind-said")


def test_a_photograph_that_the_visitor_takes_for_a_crop_is_not_cropped_and_can_be_again(
    opened: Open, url: str, chain: Artifact, stages: Any, draw: Draw
):
    image = draw("disc", LARGE)
    expected = of_python(chain, image)
    page = visit(opened, url, image)
    choose(page, "crop")
    whole = resize(decode(image), chain.record.input)
    content = content_of(whole, chain.record.input)
    assert not page.is_visible("#ellipse") and not page.is_visible("#correction")
    assert shown(page) != pytest.approx(expected.blue, abs=0.02)
    assert crop_shown(page).mean() == pytest.approx(content.mean(), abs=1)
    choose(page, "photograph")
    np.testing.assert_allclose(ellipse(page), expected.located[:4], atol=POSITION)
    assert shown(page) == pytest.approx(expected.blue, abs=PROBABILITY)


def test_a_photograph_without_a_disc_has_no_answer_until_one_is_marked(
    opened: Open, url: str, chain: Artifact, draw: Draw
):
    image = draw("bare", LARGE)
    expected = of_python(chain, image)
    assert expected.kind == "photograph" and expected.located[4] < 0.5
    page = visit(opened, url, image)
    assert "No answer. Not there: disc." in page.inner_text("#answer")
    assert not page.is_visible("#ellipse") and not page.is_visible("#crop")
    page.click("#mark")
    page.wait_for_selector(".score")
    assert page.evaluate("document.activeElement.id") == "ellipse"
    assert page.is_visible("#crop") and page.inner_text("#where").startswith("By hand")
    page.click("#back")
    page.wait_for_selector("#answer:has-text('No answer')")
    assert not page.is_visible("#crop")


def test_the_keyboard_moves_the_ellipse_and_crop_and_answer_follow(
    opened: Open, url: str, chain: Artifact, stages: Any, draw: Draw
):
    image = draw("disc", LARGE)
    expected = of_python(chain, image)
    page = visit(opened, url, image)
    page.focus("#ellipse")
    for key in ("Shift+ArrowRight", "Shift+ArrowRight", "ArrowUp", "+"):
        page.keyboard.press(key)
    page.wait_for_selector(CALM)
    moved = ellipse(page)
    np.testing.assert_allclose(moved[0] - expected.located[0], 0.05, atol=1e-3)
    pixels = crop_of(expected, moved, stages[2])
    assert (pixels != crop_of(expected, expected.located, stages[2])).any()
    assert np.abs(crop_shown(page).astype(int) - pixels).max() <= 2  # the style has six digits
    assert shown(page) == pytest.approx(blue_of(stages[2], pixels), abs=1e-3)
    assert shown(page) != pytest.approx(expected.blue, abs=0.01)
    assert page.inner_text("#where").startswith("By hand: centre at")
    assert steps(page)[1][1] == "by hand"
    page.click("#back")
    page.wait_for_selector(CALM)
    np.testing.assert_array_equal(crop_shown(page), crop_of(expected, expected.located, stages[2]))
    assert shown(page) == pytest.approx(expected.blue, abs=PROBABILITY)
    assert page.evaluate("document.activeElement.id") == "ellipse"


def test_a_drag_ends_with_the_answer_of_its_last_position(
    opened: Open, url: str, chain: Artifact, stages: Any, draw: Draw
):
    image = draw("disc", LARGE)
    expected = of_python(chain, image)
    page = visit(opened, url, image, viewport={"width": 1100, "height": 900})
    box = page.locator("#ellipse").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 70, y + 30, steps=20)
    page.mouse.up()
    page.wait_for_selector(CALM)
    pixels = crop_of(expected, ellipse(page), stages[2])
    assert np.abs(crop_shown(page).astype(int) - pixels).max() <= 2
    assert shown(page) == pytest.approx(blue_of(stages[2], pixels), abs=1e-3)
    assert steps(page)[1][1] == "by hand"
    choose(page, "crop")
    assert steps(page)[1][1] == "not asked"
    choose(page, "photograph")
    assert steps(page)[1][1].startswith("disc (")
    assert shown(page) == pytest.approx(expected.blue, abs=PROBABILITY)


def test_a_correction_stays_in_another_language_and_goes_with_another_image(
    opened: Open, url: str, draw: Draw
):
    page = visit(opened, url, draw("disc", LARGE), locale="es-ES")
    page.focus("#ellipse")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector(CALM)
    moved, answer = ellipse(page), shown(page)
    assert "Según el filtro" in page.inner_text("#kind-said")
    page.select_option("#language", "en")
    np.testing.assert_array_equal(ellipse(page), moved)
    assert shown(page) == answer and steps(page)[1][:2] == ["Locator", "by hand"]
    give(page, draw("disc", SMALL))
    page.wait_for_selector("#where:has-text('Centre at')")
    assert not page.is_visible("#back")


def test_the_speed_of_a_chain_and_of_its_stages_is_measured(opened: Open, url: str, draw: Draw):
    page = visit(opened, url, draw("disc", SMALL))
    page.click("#benchmark-tab")
    page.select_option("#repeats", "10")
    page.click("#run")
    page.wait_for_selector("#progress:has-text('Measured')")
    rows = [row.split("\t") for row in page.locator("#times tbody tr").all_inner_texts()]
    assert [row[0] for row in rows] == [
        "chain",
        "chain: filter",
        "chain: locator",
        "chain: classifier",
    ]
    whole, *parts = (float(row[2]) for row in rows)
    assert max(parts) < whole < 2 * sum(parts)
    page.click("#diagnose-tab")
    choose(page, "crop")  # the image is still there, and the models are open
    assert "not cropped again" in page.inner_text("#kind-said")
    assert not page.locator("#problem [role=alert]").count()


def test_a_chain_works_without_a_server_after_one_visit(
    opened: Open,
    serve: Serve,
    run: Any,
    chain: Artifact,
    photographs: Dataset,
    draw: Draw,
    tmp_path: Path,
):
    site = shutil.copytree(run("site", chain, data=photographs).path, tmp_path / "site")
    image = draw("disc", LARGE)
    with serve(site) as once:
        page = opened(once.url)
        page.wait_for_selector("#offline:not([hidden])")
        assert once.stop() == 130
        page.reload()
        give(page, image)
        assert shown(page) == pytest.approx(of_python(chain, image).blue, abs=PROBABILITY)


def test_a_chain_without_a_filter_takes_every_image_for_a_photograph(
    opened: Open, serve: Serve, run: Any, stages: Any, photographs: Dataset, draw: Draw
):
    chain = run("chain", *stages[1:], size=256)
    with serve(run("site", chain, data=photographs).path) as served:
        page = visit(opened, served.url, draw("crop", (90, 90)))
        assert kind(page) == "photograph"
        assert "no filter" in page.inner_text("#kind-said")
        assert [row[0] for row in steps(page)] == ["Locator", "Crop", "Classifier"]
        choose(page, "crop")
        assert "not cropped again" in page.inner_text("#kind-said")


@pytest.mark.parametrize("width", [320, 390, 1100])
@pytest.mark.parametrize("language", ["en-GB", "es-ES"])
def test_the_page_fits_the_screen_and_axe_finds_nothing(
    opened: Open, url: str, draw: Draw, width: int, language: str
):
    packages = site_page.PAGES.packages.find() / "node_modules"
    axe = (packages / "axe-core" / "axe.min.js").read_text()
    viewport = {"width": width, "height": 844}
    page = visit(opened, url, draw("disc", LARGE), viewport=viewport, locale=language)
    page.evaluate(axe)
    for image in (
        draw("disc", LARGE),
        draw("bare", TALL),
        draw("crop", (90, 90)),
        draw("other", SMALL),
    ):
        give(page, image)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for control in page.locator("button:visible, label:has(input):visible").all():
            assert control.bounding_box()["height"] >= 44
        violations = page.evaluate("axe.run().then(({ violations }) => violations)")
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in violations] == []
    for live in ("#kind-said", "#answer", "#where"):
        assert page.get_attribute(live, "aria-live") == "polite"


def test_a_crop_with_fewer_pixels_than_the_classifier_reads_is_a_warning(
    opened: Open, url: str, chain: Artifact, draw: Draw
):
    image = draw("disc", TINY)
    expected = of_python(chain, image)
    side = square_of(expected, expected.located).side
    page = visit(opened, url, image)
    warning = f"{side:.0f} × {side:.0f} pixels in it, and the classifier reads 32 × 32"
    assert warning in page.inner_text("#answer .warning")
