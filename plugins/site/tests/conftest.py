"""A site of two small models and a filter, served by `pupila serve`, and a browser."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pupila import Artifact, Dataset, InputSpec
from pupila.artifact import Threshold
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import (
    colour_teacher,
    disc_dataset,
    disc_locator,
    draw_images,
    keras_artifact,
    photograph_filter,
    read_images,
    run_step,
    skip_without,
)
from pupila_site import page

INPUT = InputSpec(height=48, width=64)
WAIT_MS = 90_000
_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
_ARGUMENTS = (
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--disable-quic",
    *_CAMERA,
)


@pytest.fixture(scope="session")
def built() -> Path:
    """Skip, with the reason, if the page is not built."""
    skip_without(page.PAGES)
    return page.PAGES.find()


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("site") / "store")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return read_images(draw_images(folder / "images", images=8), folder / "cache")


Run = Callable[..., Artifact]
Open = Callable[..., Any]
Draw = Callable[..., Path]
COLOURS = {"blue": (200, 200, 255), "red": (255, 200, 200)}


@pytest.fixture(scope="session")
def run(store: Store, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run an installed step on artifacts, with the images `data` instead of the usual ones."""

    def run_plugin(
        name: str, *inputs: Artifact, data: Dataset = dataset, **settings: Any
    ) -> Artifact:
        plugin = installed().step(name)
        folder = tmp_path_factory.mktemp("run")
        config = plugin.config(**settings)
        return run_step(plugin, config, inputs, folder, store=store, dataset=data).artifact

    return run_plugin


@pytest.fixture(scope="session")
def model(store: Store, run: Run) -> Artifact:
    return run("export-tflite", keras_artifact(store, input=INPUT))


@pytest.fixture(scope="session")
def image_filter(store: Store, run: Run) -> Artifact:
    return run("export-tflite", keras_artifact(store, ("fundus", "other"), seed=5))


@pytest.fixture(scope="session")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Draw images for `localization`; the last five of each split have no disc."""
    return disc_dataset(tmp_path_factory.mktemp("discs"), images=16, absent=5)


@pytest.fixture(scope="session")
def locator(run: Run, discs: Dataset) -> Artifact:
    """Train a small student to find discs."""
    settings = {"student": "conv-32-64-8", "size": [48, 72], "epochs": 25, "batch_size": 8}
    augmentation = {"views": 2, "rotation_degrees": 0}
    return run(
        "export-tflite", run("train", data=discs, augmentation=augmentation, **settings), data=discs
    )


@pytest.fixture(scope="session")
def strict_filter(store: Store, image_filter: Artifact) -> Artifact:
    """Return the filter with a threshold that no photograph reaches."""
    with store.draft() as folder:
        shutil.copy(image_filter.file(".tflite"), folder)
        fields = dict(image_filter.record) | {
            "threshold": Threshold(positive="fundus", value=1, chosen_on="nothing")
        }
        del fields["files"]
        return store.add(folder, **fields)


@pytest.fixture(scope="session")
def site(built: Path, model: Artifact, image_filter: Artifact, run: Run) -> Artifact:
    """Return a site of one model, unchanged and with weights in float16, and a filter."""
    small = run("quantize-float16", model)
    names = ("unchanged", "float16", "filter")
    return run("site", model, small, image_filter, names=names, filter="fundus", title="Shapes")


@dataclass(frozen=True)
class ServedSite:
    url: str
    stop: Callable[[], int]
    """Press Ctrl-C and return the exit code."""


Serve = Callable[[Path], AbstractContextManager[ServedSite]]


@contextmanager
def _serve(folder: Path) -> Generator[ServedSite]:
    """Run `pupila serve` on a site."""
    command = [sys.executable, "-m", "pupila_flows"]
    arguments = ["serve", str(folder), "--port", "0", "--workspace", str(folder.parent)]
    with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None

        def stop() -> int:
            child.send_signal(signal.SIGINT)
            return child.wait(timeout=20)

        try:
            yield ServedSite(child.stdout.readline().strip(), stop)
        finally:
            child.kill()


@pytest.fixture(scope="session")
def serve() -> Serve:
    return _serve


@pytest.fixture(scope="session")
def served(site: Artifact) -> Iterator[ServedSite]:
    with _serve(site.path) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Skip, with the reason, if Chromium or Playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = os.environ.get("PUPILA_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("needs Chromium: install it, or set PUPILA_CHROMIUM to the program")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=program,
            args=list(_ARGUMENTS),
            chromium_sandbox=os.geteuid() != 0,  # Chromium refuses to sandbox root
        )
        yield opened
        opened.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Open a page in its own profile."""
    contexts: list[Any] = []

    def open_page(url: str, **options: Any) -> Any:
        contexts.append(browser.new_context(**{"locale": "en-GB"} | options))
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        if url != "about:blank":
            page.wait_for_selector("#model option", state="attached")  # ready for a drop
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def draw(tmp_path_factory: pytest.TempPathFactory) -> Draw:
    """Draw a dark photograph with a disc, a crop of a disc, or something else."""
    folder = tmp_path_factory.mktemp("drawn")
    random = np.random.default_rng(0)

    def to_file(kind: str, size: tuple[int, int], colour: str = "red") -> Path:
        path = folder / f"{random.integers(1 << 60)}.png"
        width, height = size
        pixels = random.integers(0, 60, (height, width, 3), np.uint8)
        if kind == "crop":
            pixels = np.clip(random.normal(COLOURS[colour], 12, pixels.shape), 0, 255)
        if kind == "other":
            pixels[:] = (20, 90, 200)
        image = Image.fromarray(pixels.astype(np.uint8))
        if kind == "disc":
            x, y = random.uniform(0.3, 0.7, 2) * size
            half = 0.09 * width
            pen = ImageDraw.Draw(image)
            pen.ellipse((x - half, y - half, x + half, y + half), COLOURS[colour])
            pen.rectangle((x, y, x + half / 3, y + half / 3), (255, 0, 255))  # the marker's colour
        image.save(path)
        return path

    return to_file


@pytest.fixture(scope="session")
def photographs(draw: Draw, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Photographs of discs and crops, in two colours."""
    folder = tmp_path_factory.mktemp("photographs")
    for split in ("train", "validation", "test"):
        for colour in COLOURS:
            for kind, size in (("disc", (300, 200)), ("disc", (96, 64)), ("crop", (40, 40))):
                path = draw(kind, size, colour)
                target = folder / "images" / split / colour / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    return read_images(folder / "images", folder / "cache")


@pytest.fixture(scope="session")
def stages(store: Store, run: Run) -> tuple[Artifact, Artifact, Artifact]:
    """Return a filter, a locator and a classifier."""
    models = (
        photograph_filter(store),
        disc_locator(store, nowhere=20.0),
        colour_teacher(store, slope=2.0),
    )
    image_filter, locator, classifier = (run("export-tflite", model) for model in models)
    return image_filter, locator, classifier


@pytest.fixture(scope="session")
def chain(stages: tuple[Artifact, ...], run: Run) -> Artifact:
    return run("chain", *stages, photograph="photograph", crop="crop", size=256)
