"""The built site in Chromium, served by `pupila serve`: what visitors do, and what goes wrong."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pupila import Artifact, InputSpec
from pupila.images import decode, resize
from pupila.predictions import open_model
from pupila.task import answers_of_outputs
from pupila.testing import flatbuffer_with_lacking_operator, ignore_progress

pytestmark = pytest.mark.slow

skimage = pytest.importorskip("skimage")
PHOTOGRAPHS = Path(skimage.__file__).parent / "data"
ANSWERED = ".verdict"
WAIT_MS = 90_000

Open = Callable[..., Any]
ServedSite = Any
Serve = Callable[[Path], Any]


def answer_of(artifact: Artifact, image: Path, column: int = 0) -> float:
    """Return the probability that LiteRT gives in Python."""
    pixels = resize(decode(image), artifact.record.input)
    with closing(open_model(artifact)) as model:
        outputs = model.predict(pixels[np.newaxis], ignore_progress)
    return float(answers_of_outputs(artifact.record.output, outputs)[0, column])


def shown(page: Any) -> float:
    """Wait for an answer, and return the output of the model that its score is made of."""
    page.wait_for_selector(ANSWERED)
    return float(page.get_attribute(".score data", "value"))


def drop(page: Any, image: Path) -> None:
    """Drop a file on the page."""
    page.evaluate(
        """([text, name]) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], name));
            const event = { dataTransfer, bubbles: true, cancelable: true };
            document.getElementById('drop').dispatchEvent(new DragEvent('drop', event));
        }""",
        [base64.b64encode(image.read_bytes()).decode(), image.name],
    )


@pytest.mark.parametrize("name", ["retina.jpg", "chelsea.png"])
def test_a_dropped_photograph_gets_the_answer_of_python(
    opened: Open, served: ServedSite, model: Artifact, image_filter: Artifact, name: str
):
    page = opened(served.url)
    drop(page, PHOTOGRAPHS / name)
    expected = answer_of(model, PHOTOGRAPHS / name)
    assert shown(page) == pytest.approx(expected, abs=6e-4)
    warned = page.locator("#warning [role=alert]").count() == 1
    assert warned == (answer_of(image_filter, PHOTOGRAPHS / name) < 0.5)
    assert "LiteRT.js" in page.inner_text("#took") and "ms" in page.inner_text("#took")
    assert page.is_visible("#notice") and "Not for clinical use" in page.inner_text("#notice")


def test_the_verdict_comes_first_and_a_score_on_demand(
    opened: Open, served: ServedSite, site: Artifact
):
    page = opened(served.url)
    drop(page, PHOTOGRAPHS / "retina.jpg")
    output, threshold = shown(page), site.record.measured["models"][0]["threshold"]
    below = output < threshold
    score = 50 * output / threshold if below else 50 + 50 * (output - threshold) / (1 - threshold)
    assert page.inner_text(ANSWERED) == f"{'No signs' if below else 'Signs'} of square"
    assert not page.is_visible(".score data")
    page.focus("summary")
    page.keyboard.press("Enter")
    assert page.inner_text(".score data") == str(int(score))
    assert page.get_attribute("[role=meter]", "aria-valuenow") == str(int(score))
    words = page.inner_text("main").lower()
    assert words.count("probab") == words.count("it is not a probability") == 1
    assert not page.is_visible("#unfiltered")


@pytest.mark.parametrize(
    ("language", "sensitivity"), [("en-GB", "Sensitivity"), ("es-ES", "Sensibilidad")]
)
def test_an_answer_stands_beside_the_metrics_of_the_test_images_with_intervals(
    opened: Open, served: ServedSite, site: Artifact, language: str, sensitivity: str
):
    page = opened(served.url, locale=language)
    drop(page, PHOTOGRAPHS / "retina.jpg")
    page.wait_for_selector(ANSWERED)
    entry = site.record.measured["models"][0]
    figures = page.inner_text("#figures")
    assert str(entry["images"]) in figures and str(entry["chosenOnImages"]) in figures
    ends = [100 * entry["specificity"][end] for end in ("value", "low", "high")]
    plain = figures.replace(",", ".").replace("\xa0", "")
    assert sensitivity in figures
    assert all(f"{end:.1f}".removesuffix(".0") + "%" in plain for end in ends)


def test_the_filter_warns_of_one_photograph_and_not_of_the_other(image_filter: Artifact):
    answers = [
        answer_of(image_filter, PHOTOGRAPHS / name) for name in ("retina.jpg", "chelsea.png")
    ]
    assert min(answers) < 0.5 <= max(answers), "the tests above would see one case alone"


def test_the_filter_warns_below_the_threshold_that_it_ships(
    opened: Open, serve: Serve, run: Any, model: Artifact, strict_filter: Artifact
):
    verdicts = ("Suspicious", "Not suspicious")
    site = run("site", model, strict_filter, filter="fundus", verdicts=verdicts, study=True)
    with serve(site.path) as served:
        page = opened(served.url)
        for name in ("retina.jpg", "chelsea.png"):
            drop(page, PHOTOGRAPHS / name)
            score = int(50 * answer_of(strict_filter, PHOTOGRAPHS / name))
            page.wait_for_selector(f"#warning:has-text('a score of {score}, below 50')")
            assert page.inner_text(".doubtful .verdict") in verdicts
        page.click("#benchmark-tab")
        assert page.is_visible("#study")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en-GB", "an operation that the runtime of this page lacks"),
        ("es-ES", "una operación que falta"),
    ],
)
@pytest.mark.parametrize("part", ["models", "filter"])
def test_a_model_with_an_operator_that_litertjs_lacks_gives_no_answer(
    opened: Open,
    serve: Serve,
    site: Artifact,
    tmp_path: Path,
    part: str,
    language: str,
    said: str,
):
    copy = shutil.copytree(site.path, tmp_path / "site")
    entry = json.loads((copy / "site.json").read_text())[part]
    entry = entry[0] if part == "models" else entry
    size = InputSpec(height=entry["height"], width=entry["width"])
    content = flatbuffer_with_lacking_operator(size, len(entry["classes"]))
    (copy / entry["file"]).write_bytes(content)
    with serve(copy) as served:
        page = opened(served.url, locale=language)
        page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")
        problem = page.wait_for_selector("#problem [role=alert]").inner_text()
        assert said in problem and "FlexMatrixDeterminant" in problem
        assert not page.locator(ANSWERED).count()
        page.select_option("#model", "1")
        page.wait_for_selector(ANSWERED if part == "models" else f"#problem:has-text('{said}')")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_is_turned_upright_as_in_python(
    opened: Open, served: ServedSite, model: Artifact, tmp_path: Path, orientation: int
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = tmp_path / "turned.png"  # lossless: only resizing remains
    Image.open(PHOTOGRAPHS / "coffee.png").save(image, exif=exif)
    page = opened(served.url)
    page.set_input_files("#file", image)
    assert shown(page) == pytest.approx(answer_of(model, image), abs=6e-4)


def test_transparency_becomes_black_as_in_python(
    opened: Open, served: ServedSite, model: Artifact, tmp_path: Path
):
    photograph = Image.open(PHOTOGRAPHS / "chelsea.png").convert("RGB")
    photograph.putalpha(Image.linear_gradient("L").resize(photograph.size))
    photograph.save(tmp_path / "fading.png")
    page = opened(served.url)
    page.set_input_files("#file", tmp_path / "fading.png")
    expected = answer_of(model, tmp_path / "fading.png")
    assert shown(page) == pytest.approx(expected, abs=0.005)


def test_forty_megapixels_are_answered_and_the_page_stays_responsive(
    opened: Open, served: ServedSite, model: Artifact, tmp_path: Path
):
    image = tmp_path / "large.jpg"
    Image.open(PHOTOGRAPHS / "retina.jpg").resize((8000, 5000)).save(image, quality=90)
    page = opened(served.url)
    page.wait_for_selector("#status:has-text('Ready')")
    page.set_input_files("#file", image)
    page.click("#benchmark-tab")  # answers while the image is being read
    assert page.is_visible("#benchmark") and not page.is_visible("#study")
    page.click("#diagnose-tab")
    assert shown(page) == pytest.approx(answer_of(model, image), abs=6e-4)
    assert "8000 × 5000" in str(page.get_attribute("#preview", "aria-label"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("damaged.jpg", b"\xff\xd8\xff\xe0 not a photograph", "damaged"),
        ("empty.png", b"", "damaged"),
        ("cut.jpg", (PHOTOGRAPHS / "retina.jpg").read_bytes()[:100_000], "damaged"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64, "HEIC"),
    ],
    ids=["damaged", "empty", "cut", "heic"],
)
def test_a_file_that_cannot_be_read_is_one_clear_sentence(
    opened: Open, served: ServedSite, tmp_path: Path, name: str, content: bytes, said: str
):
    page = opened(served.url)
    page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")
    page.wait_for_selector(ANSWERED)
    (tmp_path / name).write_bytes(content)
    page.set_input_files("#file", tmp_path / name)
    assert said in page.inner_text("#problem [role=alert]")
    assert not page.locator(ANSWERED).count(), "an old answer stands beside a new file"
    page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")  # the page stays usable
    page.wait_for_selector(ANSWERED)


def test_after_one_visit_it_works_without_a_server(
    opened: Open, serve: Serve, site: Artifact, model: Artifact
):
    with serve(site.path) as once:
        page = opened(once.url)
        page.wait_for_selector("#offline:not([hidden])")
        assert once.stop() == 130
        page.reload()
        drop(page, PHOTOGRAPHS / "chelsea.png")
        expected = answer_of(model, PHOTOGRAPHS / "chelsea.png")
        assert shown(page) == pytest.approx(expected, abs=6e-4)
        assert "threads" in page.inner_text("#took") or "1 thread" in page.inner_text("#took")


def test_without_isolation_it_answers_on_one_thread(
    opened: Open, serve: Serve, site: Artifact, model: Artifact, tmp_path: Path
):
    copy = shutil.copytree(site.path, tmp_path / "site")
    lines = (copy / "_headers").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "Cross-Origin-" not in line]
    (copy / "_headers").write_text("".join(kept))
    with serve(copy) as plain:
        page = opened(plain.url)
        page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")
        expected = answer_of(model, PHOTOGRAPHS / "chelsea.png")
        assert shown(page) == pytest.approx(expected, abs=6e-4)
        assert page.inner_text("#took").endswith("WebAssembly, 1 thread")


def test_all_requests_go_to_the_site_and_others_are_blocked(opened: Open, served: ServedSite):
    page = opened("about:blank")
    requests: list[tuple[str, str]] = []
    page.on("request", lambda request: requests.append((request.method, request.url)))
    page.goto(served.url)
    page.set_input_files("#file", PHOTOGRAPHS / "retina.jpg")
    page.wait_for_selector(ANSWERED)
    assert all(method == "GET" and url.startswith(served.url) for method, url in requests)
    refused = page.evaluate(
        """() => new Promise((resolve) => {
            const tell = (event) => resolve(event.violatedDirective);
            addEventListener('securitypolicyviolation', tell);
            fetch('http://127.0.0.1:9/', { method: 'POST', body: 'pixels' }).catch(() => {});
        })"""
    )
    assert refused == "connect-src"


def test_the_page_is_in_the_language_of_the_visitor_and_can_be_switched(
    opened: Open, served: ServedSite
):
    page = opened(served.url, locale="es-ES")
    page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")
    page.wait_for_selector(ANSWERED)
    assert "No para uso clínico" in page.inner_text("#notice")
    assert "ndicios de square" in page.inner_text(ANSWERED)
    page.click("summary")
    assert "Puntuación de square" in page.inner_text(".score")
    page.select_option("#language", "en")
    page.wait_for_selector("text=Score for square")  # it stays open
    assert page.get_attribute("html", "lang") == "en"


def test_tabs_work_with_the_keyboard_and_the_benchmark_runs(opened: Open, served: ServedSite):
    page = opened(served.url)
    page.wait_for_selector("#status:has-text('Ready')")
    page.focus("#diagnose-tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "benchmark-tab"
    assert page.is_visible("#benchmark") and not page.is_visible("#diagnose")
    page.select_option("#repeats", "10")
    page.focus("#run")
    page.keyboard.press("Enter")
    page.wait_for_selector("#progress:has-text('Measured 3 models')")
    rows = page.locator("#times tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["unchanged", "float16", "filter"]
    page.click("#diagnose-tab")
    page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")
    page.wait_for_selector(ANSWERED)  # the model was closed, and is opened again


def test_another_model_runs_on_the_same_image(opened: Open, served: ServedSite, model: Artifact):
    page = opened(served.url)
    page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")
    expected = answer_of(model, PHOTOGRAPHS / "chelsea.png")
    assert shown(page) == pytest.approx(expected, abs=6e-4)
    for index in ("1", "0"):
        page.select_option("#model", index)
        assert shown(page) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(("width", "height"), [(320, 640), (390, 844), (1280, 900)])
def test_the_page_fits_the_screen_and_every_control_is_large_enough_and_named(
    opened: Open, served: ServedSite, width: int, height: int
):
    page = opened(served.url, viewport={"width": width, "height": height})
    page.set_input_files("#file", PHOTOGRAPHS / "chelsea.png")
    page.wait_for_selector(ANSWERED)
    for tab in ("#diagnose-tab", "#benchmark-tab"):
        page.click(tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for control in page.locator("button:visible, select:visible, label.button:visible").all():
            assert control.bounding_box()["height"] >= 44
        named = page.locator(":is(button, select):visible").evaluate_all(
            "all => all.map(({ labels, textContent }) => labels[0]?.textContent ?? textContent)"
        )
        assert all(name.strip() for name in named)


def test_a_pasted_picture_is_taken(opened: Open, served: ServedSite, model: Artifact):
    page = opened(served.url)
    buffer = BytesIO()
    Image.open(PHOTOGRAPHS / "chelsea.png").save(buffer, "png")
    page.evaluate(
        """(text) => {
            const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([bytes], 'pasted.png'));
            dispatchEvent(new ClipboardEvent('paste', { clipboardData }));
        }""",
        base64.b64encode(buffer.getvalue()).decode(),
    )
    expected = answer_of(model, PHOTOGRAPHS / "chelsea.png")
    assert shown(page) == pytest.approx(expected, abs=6e-4)


def test_a_photograph_is_taken_with_the_camera(opened: Open, served: ServedSite):
    page = opened(served.url, permissions=["camera"])
    page.click("#camera")
    page.wait_for_selector("#shoot:visible")
    page.wait_for_selector("#shoot:focus")
    page.keyboard.press("Enter")
    assert 0 <= shown(page) <= 1
    assert not page.is_visible("#viewfinder")
    assert page.evaluate("document.getElementById('video').srcObject.active") is False


def test_a_new_version_is_shown_once_the_old_one_is_closed(
    opened: Open, serve: Serve, site: Artifact, tmp_path: Path
):
    copy = shutil.copytree(site.path, tmp_path / "site")
    with serve(copy) as served:
        old = opened(served.url)
        old.wait_for_selector("#offline:not([hidden])")
        for name, before, after in [
            ("site.json", '"title": "Shapes"', '"title": "Other shapes"'),
            ("precache.js", '"version": "', '"version": "new-'),
        ]:
            text = (copy / name).read_text()
            assert before in text
            (copy / name).write_text(text.replace(before, after))
        visit(old.context, served.url).close()
        old.close()
        for _ in range(60):
            page = visit(old.context, served.url)
            if page.title() == "Other shapes":
                return
            page.close()
        pytest.fail("the old version is still shown")


def visit(context: Any, url: str) -> Any:
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#offline:not([hidden])", timeout=WAIT_MS)
    page.wait_for_timeout(500)
    return page
