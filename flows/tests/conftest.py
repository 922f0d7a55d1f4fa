"""A run whose every figure is computed from answers drawn with a seed, its report; a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from gate_cases import GateModels
from report_pages import Page, read
from sample_runs import sample_run

from pupila_flows.results import RunResult


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(run_folder: Path) -> RunResult:
    """Two teachers, pupils of several formats, and their controls."""
    return sample_run(run_folder)


@pytest.fixture(scope="module")
def page(run: RunResult, run_folder: Path) -> Page:
    """The page that was drawn of it."""
    return read(run, run_folder)


@pytest.fixture
def gate_model(tmp_path: Path) -> GateModels:
    return GateModels(tmp_path)


_NAMES = "--host-resolver-rules=MAP evil.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
"""No name leads anywhere, but evil.test leads to this machine."""


@pytest.fixture(scope="module")
def browser() -> Generator[Any]:
    """Skip, saying why, where there is no Chromium or nothing to drive it.

    While it is open, an event loop runs in this thread: tests of other modules may need their own.
    """
    playwright = pytest.importorskip("playwright.sync_api")
    program = os.environ.get("PUPILA_CHROMIUM") or shutil.which("chromium")
    if not program:
        pytest.skip("needs Chromium: install it, or set PUPILA_CHROMIUM to the program")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=program,
            args=[_NAMES],
            chromium_sandbox=os.geteuid() != 0,  # it refuses to sandbox root
        )
        yield opened
        opened.close()
