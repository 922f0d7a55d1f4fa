"""A run whose every figure is computed from answers drawn with a seed, and its report."""

from __future__ import annotations

from pathlib import Path

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
