from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest

import pupila.testing
from pupila import keras_files
from pupila.hookspecs import PROJECT, Hooks
from pupila.plugin import Technique
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import keras_artifact, plugin_installed, run_step, write_distribution


def code_block(text: str | None, language: str) -> str:
    """Return the one fenced block of a language in a docstring."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", inspect.cleandoc(text or ""), re.DOTALL)
    return block


SPARSIFY = code_block(Hooks.pupila_techniques.__doc__, "python")


@pytest.fixture
def sparsify(tmp_path: Path) -> Generator[Technique]:
    with plugin_installed(tmp_path / "path", "sparsify-dist", "the_module_above", SPARSIFY):
        plugin = installed().step("sparsify")
        assert isinstance(plugin, Technique)
        yield plugin


def test_the_plugin_in_the_docstring_does_what_it_says(sparsify: Technique, tmp_path: Path):
    store = Store(tmp_path / "store")
    dense = keras_artifact(store)
    settings = sparsify.config.model_validate({"fraction": 0.75})
    ran = run_step(sparsify, settings, [dense], tmp_path / "step", store=store)
    kernels = [
        np.asarray(weight)
        for weight in keras_files.load(ran.artifact).trainable_weights
        if len(weight.shape) > 1
    ]
    assert len(kernels) == 4
    for kernel in kernels:
        assert (kernel == 0).mean() == pytest.approx(0.75, abs=0.02)
    assert ran.artifact.record.origin.distribution == "sparsify-dist"
    assert ran.artifact.record.origin.config == {"fraction": 0.75}
    assert ran.artifact.record.origin.inputs == (dense.digest,)
    assert ran.artifact.record.parameters == dense.record.parameters


def test_the_entry_point_in_the_docstring_has_our_group():
    text = code_block(Hooks.pupila_techniques.__doc__, "toml")
    entries = tomllib.loads(text)["project"]["entry-points"]
    assert entries == {PROJECT: {"sparsify": "the_module_above"}}


def test_every_hook_says_what_to_yield():
    hooks = {name: hook for name, hook in vars(Hooks).items() if name.startswith("pupila_")}
    assert len(hooks) == 14
    for name, hook in hooks.items():
        assert (inspect.getdoc(hook) or "").startswith("Yield "), name


@pytest.mark.slow
def test_the_contract_in_one_docstring_passes_for_the_plugin_in_the_other(tmp_path: Path):
    write_distribution(tmp_path / "path", "sparsify-dist", "the_module_above", SPARSIFY)
    contract = code_block(pupila.testing.__doc__, "python")
    (tmp_path / "test_sparsify.py").write_text(contract)
    report = tmp_path / "report.json"
    hook = "import json\nouts = []\ndef pytest_runtest_logreport(report):\n"
    hook += "    if report.when == 'call' or report.skipped:\n        outs.append(report.outcome)\n"
    hook += f"def pytest_sessionfinish():\n    open({str(report)!r}, 'w').write(json.dumps(outs))\n"
    (tmp_path / "conftest.py").write_text(hook)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={"PYTHONPATH": str(tmp_path / "path"), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    outcomes = json.loads(report.read_text())
    assert len(outcomes) >= 15
    assert set(outcomes) == {"passed"}
