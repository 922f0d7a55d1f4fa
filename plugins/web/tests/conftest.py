"""One small network in every format that browsers run, made by the installed plugins."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import sync_playwright

from pupila import Artifact, Dataset, PupilaError
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import (
    draw_images,
    ignore_progress,
    keras_artifact,
    read_images,
    run_step,
    skip_without,
)
from pupila_web import pages, pupila_runners
from pupila_web.browser import find_chromium
from pupila_web.runner import BrowserModel


@pytest.fixture(scope="session")
def browser() -> Path:
    """Skip, with the reason, if Chromium is missing or the pages are not built."""
    skip_without(pages.PAGES)
    try:
        with sync_playwright() as playwright:
            return find_chromium(Path(playwright.chromium.executable_path))
    except PupilaError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("web") / "store")


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return read_images(draw_images(folder / "images", images=12), folder / "cache")


@pytest.fixture(scope="session")
def images(dataset: Dataset, network: Artifact) -> NDArray[np.uint8]:
    """Return six drawn images that fit the network."""
    pixels = dataset.pixels(network.record.input)
    return np.stack([pixels[row] for row in range(0, len(dataset), len(dataset) // 6)][:6])


@pytest.fixture(scope="session")
def network(store: Store) -> Artifact:
    return keras_artifact(store)


RunSteps = Callable[..., Artifact]


@pytest.fixture(scope="session")
def run_steps(
    network: Artifact, store: Store, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> RunSteps:
    """Run these steps one after another on the network; each runs once."""

    @cache
    def make(*steps: str, **settings: Any) -> Artifact:
        *before, last = steps
        source = make(*before) if before else network
        plugin = installed().step(last)
        folder = tmp_path_factory.mktemp("run")
        config = plugin.config(**settings)
        return run_step(plugin, config, [source], folder, store=store, dataset=dataset).artifact

    return make


@pytest.fixture(scope="session")
def open_in_browser(browser: Path) -> Callable[..., Any]:
    """Open an artifact in the runtime of that name."""
    runners = {runner.name: runner for runner in pupila_runners()}

    @contextmanager
    def model(name: str, artifact: Artifact, threads: int = 1) -> Generator[BrowserModel]:
        with closing(runners[name].load()(artifact, threads)) as opened_model:
            yield opened_model

    return model


@dataclass(frozen=True)
class RuntimeOutputs:
    """The outputs of a runtime for the network, and what it downloaded."""

    runtime: str
    threads: int
    answers: NDArray[np.float32]
    downloaded: list[str]
    """Names of the files that the page fetched."""


@pytest.fixture(scope="session")
def outputs(
    open_in_browser: Callable[..., Any], run_steps: RunSteps, images: NDArray[np.uint8]
) -> Callable[[str, int], RuntimeOutputs]:
    """Run the images in the runtime of that name with that many threads, once."""

    @cache
    def run(name: str, threads: int) -> RuntimeOutputs:
        artifact = run_steps("export-tfjs" if name.startswith("tfjs") else "export-tflite")
        with open_in_browser(name, artifact, threads) as model:
            answers = model.predict(images, ignore_progress)
            names = [Path(path).name for path in model._server.downloaded]
            return RuntimeOutputs(model.runtime, model.threads, answers, names)

    return run
