"""`pupila plugins --check` finds what is wrong with installed packages before a recipe does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pupila.testing import write_distribution

FAULTY = """
from pupila import Config, Loader, Runner, Student, Technique, hookimpl


class Bare(Config):
    rate: float = 1.0


@hookimpl
def pupila_techniques():
    yield Technique(
        name="bare",
        summary="A technique of settings that nobody described",
        config=Bare,
        accepts=frozenset({"keras"}),
        produces="keras",
        control="train",
        implementation="faulty:no_such_function",
    )


@hookimpl
def pupila_loaders():
    yield Loader(
        name="greedy",
        summary="A loader that takes every file",
        produces="keras",
        recognises=lambda path: path.is_file(),
        implementation="faulty:pupila_loaders",
    )


@hookimpl
def pupila_runners():
    yield Runner(
        name="unsafe",
        summary="A runner without its check",
        format="beads",
        check="faulty:check_that_is_missing",
        implementation="faulty:pupila_runners",
    )
"""
GOOD = """
from pupila import Shift, hookimpl


@hookimpl
def pupila_shifts():
    yield Shift(name="dimmer", summary="Darker images", implementation="good:dim")


def dim(images, severity, random):
    return images / 2
"""


def check(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pupila_flows", "plugins", "--check", *options],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )


@pytest.mark.long
def test_the_faults_of_a_package_are_named_and_those_of_others_are_not(tmp_path: Path):
    write_distribution(tmp_path, "faulty-dist", "faulty", FAULTY, version="1.2")
    write_distribution(tmp_path, "good-dist", "good", GOOD)
    checked = check(tmp_path, "--json")
    answer = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert answer["checks"] > 500
    assert {(fault["plugin"], fault["expected"]) for fault in answer["faults"]} == {
        ("Technique 'bare' of faulty-dist 1.2", "its implementation can be imported"),
        ("Technique 'bare' of faulty-dist 1.2", "every setting is described"),
        (
            "Technique 'bare' of faulty-dist 1.2",
            "its control trains without a teacher on its settings",
        ),
        ("Loader 'greedy' of faulty-dist 1.2", "it recognises only models"),
        ("Runner 'unsafe' of faulty-dist 1.2", "its check and its stages can be imported"),
    }
    assert any("no_such_function" in fault["fault"] for fault in answer["faults"])


@pytest.mark.slow
def test_everything_that_is_installed_passes_and_the_rest_is_said(tmp_path: Path):
    write_distribution(tmp_path, "good-dist", "good", GOOD)
    write_distribution(tmp_path, "broken-dist", "broken", "import no_such_module\n")
    checked = check(tmp_path)
    assert "no faults" in checked.stdout
    assert "contracts of `pupila.testing`" in checked.stdout
    assert "'broken' of broken-dist 1.0 is skipped" in checked.stderr
    assert checked.returncode == 1, "a package that cannot be loaded is a fault"
