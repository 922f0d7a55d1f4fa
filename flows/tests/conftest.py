"""A run whose every figure is computed from answers drawn with a seed, and its report."""

from __future__ import annotations

from pathlib import Path

import pytest
from gate_cases import Sides
from report_pages import Page, read
from sample_runs import sample_run

from pupila_flows.results import RunResult


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run."""
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def run(place: Path) -> RunResult:
    """Two teachers, pupils of several formats, and their controls."""
    return sample_run(place)


@pytest.fixture(scope="module")
def page(run: RunResult, place: Path) -> Page:
    """The page that was drawn of it."""
    return read(run, place)


@pytest.fixture
def side(tmp_path: Path) -> Sides:
    return Sides(tmp_path)
