"""A recipe that names a cluster: how it is read, and how its run outlives a worker."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from dask_calls import ignore
from dask_machines import Machines, machines, running, wait_until
from PIL import Image

from pupila_flows.data.synthetic import write_images
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.results import RunResult

RECIPE = """\
name: elsewhere
runner: {{use: {use}, address: "{address}"}}
data: {{path: images}}
steps:
  small: {{use: train, with: {{student: conv-32-64-8, size: 32, epochs: 1}}}}
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder beside `images`, where a recipe may lie."""
    for label in ("circle", "square"):
        file = tmp_path / "images" / "test" / label / "0.png"
        file.parent.mkdir(parents=True)
        Image.new("RGB", (40, 40), (len(label), 0, 0)).save(file)
    return tmp_path


def _recipe(folder: Path, use: str, address: str) -> Path:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(use=use, address=address))
    return recipe


@pytest.mark.parametrize("address", ["tcp://host:8786", "tls://[::1]:1", "${SOME_SCHEDULER}"])
def test_a_recipe_names_the_scheduler(images: Path, monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("SOME_SCHEDULER", "tcp://other:1")
    plan = read_plan(_recipe(images, "dask", address))
    assert plan.address == address.replace("${SOME_SCHEDULER}", "tcp://other:1")
    assert plan.reads == (images / "images",)


@pytest.mark.parametrize(
    ("use", "address", "message"),
    [
        ("dask", "host:8786", "recipe.yaml:2: address is 'host:8786': give that of a scheduler"),
        ("dask", "${NO_SCHEDULER}", "recipe.yaml:2: environment variable NO_SCHEDULER is not set"),
        ("ray", "tcp://host:8786", "recipe.yaml:2: runner.use .*dask"),
    ],
)
def test_a_runner_that_cannot_be_is_told_with_its_line(
    images: Path, use: str, address: str, message: str
):
    with pytest.raises(RecipeError, match=message):
        read_plan(_recipe(images, use, address))


WHOLE = """\
name: whole
seed: 3
runner: {{use: dask, address: "{address}"}}
data: {{path: images, positive: glaucoma}}
steps:
  first:
    use: train
    with: {{student: conv-32-64-8, size: 48, epochs: 20, augmentation: {{views: 2}}}}
  second:
    use: train
    with: {{student: conv-32-64-8, size: 32, epochs: 2}}
  tflite: {{use: export-tflite, from: second}}
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Generator[Machines]:
    with machines(tmp_path_factory.mktemp("cluster"), "first", "second") as started:
        yield started


@pytest.fixture
def recipe(pair: Machines, tmp_path: Path) -> Path:
    """A folder with images and a recipe for two workers that are alive."""
    for number in range(2 - len(pair.workers)):
        pair.add(f"{tmp_path.name}-{number}")
    counts = {"train": 40, "validation": 12, "test": 12}
    write_images(tmp_path / "images", counts, 5, ignore)
    (tmp_path / "recipe.yaml").write_text(WHOLE.format(address=pair.address))
    return tmp_path


@pytest.mark.long
def test_a_run_goes_on_when_a_worker_is_killed_and_only_its_step_is_tried_again(
    pair: Machines, recipe: Path
):
    with running(recipe) as run:
        key = _key_of_first(run, recipe)
        wait_until(lambda: any(recipe.glob(f"workspace/scratch/{key}*/*")), 300)
        pair.kill(_worker_of(pair, key))
        output, errors = run.communicate(timeout=500)
    assert run.returncode == 0, errors
    entries = RunResult.model_validate_json(output).entries
    assert all(entry.evaluation and not entry.error for entry in entries)
    texts = {
        log.stem[:-13]: log.read_text()
        for log in recipe.glob(f"workspace/logs/*-{'[0-9a-f]' * 12}.log")
    }
    tries = {title: text.count(", worker tcp://") for title, text in texts.items()}
    made = {title: count for title, count in tries.items() if count}
    assert made == {"first": 2, "second": 1, "tflite": 1}
    assert tries["evaluate-first"] == 0  # its latencies are this machine's
    with running(recipe) as again:
        assert again.communicate(timeout=500)[0] == output


@pytest.mark.long
def test_ctrl_c_here_ends_the_children_there(pair: Machines, recipe: Path):
    with running(recipe) as run:
        key = _key_of_first(run, recipe)
        wait_until(lambda: _worker_of(pair, key) != "", 300)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=100)
    assert run.returncode == 130 and errors.splitlines()[-1].startswith("stopped; "), errors
    wait_until(lambda: _worker_of(pair, "") == "")


def _key_of_first(run: subprocess.Popen[str], folder: Path) -> str:
    """Return the beginning of the key of the step `first`, once it has been begun."""
    wait_until(
        lambda: any(folder.glob("workspace/logs/first-*.log")) or run.poll() is not None, 300
    )
    assert run.poll() is None, run.stderr and run.stderr.read()
    (log,) = folder.glob("workspace/logs/first-*.log")
    return log.stem.removeprefix("first-")


def _worker_of(pair: Machines, key: str) -> str:
    """Return the name of the worker that has a child which does the work of a key, or nothing."""
    for name in pair.workers:
        for command in pair.commands(name):
            if "pupila_flows.execution.child" in command and key in command[-1]:
                return name
    return ""
