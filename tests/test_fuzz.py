"""Whatever is done to an input, it works or is refused in a sentence: as many as a minute takes.

`PUPILA_FUZZ_SECONDS` and `PUPILA_FUZZ_SEED` try longer, or others; a failure names its seed.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mutations import mutate_file, mutate_folder
from publishable_runs import with_three_versions  # pyright: ignore - flows/tests is on pytest's path

from pupila import Artifact, installed, keras_files
from pupila.artifact import RECORD_NAME
from pupila.digest import digest_file
from pupila.errors import PupilaError
from pupila.store import Store
from pupila.testing import draw_images, read_images, run_step
from pupila.testing.tiny import keras_model, store_model
from pupila_flows.registry import open_registry

SECONDS = float(os.environ.get("PUPILA_FUZZ_SECONDS", "60"))
SEED = int(os.environ.get("PUPILA_FUZZ_SEED", "0"))
CASE_SECONDS = 120
"""For one input on a busy machine, less than an import may take; those that work take one."""
LONGEST_SENTENCE = 4000
WORKER = Path(__file__).with_name("fuzz_worker.py")
CLASSES = ("ill", "well")
RECIPE = """\
name: fuzz
data: {path: images, classes: [ill, well]}
teachers:
  big: {path: model.keras, classes: [ill, well], output: softmax}
steps:
  small:
    use: distill
    from: big
    with: {student: mobile-xs, epochs: 2}
  lite: {use: export-tflite, from: small}
gate: {steps: [lite], margins: {accuracy: 0.05}}
publish: {to: registry, licence: CC-BY-4.0}
"""


@dataclass(frozen=True)
class Input:
    """A good input; those that are tried are altered copies of it."""

    kind: str
    path: Path
    altered: str = ""
    """What of a folder is altered; all of it, or all that the input is, where empty."""


class Worker:
    """The process that reads inputs; another one takes its place when it ends or hangs."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start()

    def _start(self) -> None:
        temporary = self._log.with_name("temporary")
        temporary.mkdir(exist_ok=True)
        changes = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
        environment = os.environ | changes | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-u", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,
            )

    def ask(self, **question: Any) -> tuple[str, str]:
        """Return the outcome of an input, and its message."""
        process = self._process
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            ready = selector.select(CASE_SECONDS)
        line = process.stdout.readline() if ready else ""
        if line:
            answer = json.loads(line)
            left = self._children()
            return ("left processes", left) if left else (answer["outcome"], answer["text"])
        self.end()
        code = process.returncode
        self._start()
        return ("hang", "") if not ready else ("crash", f"signal {-code}")

    def _children(self) -> str:
        run = subprocess.run(
            ["ps", "--ppid", str(self._process.pid), "-o", "args="],
            capture_output=True,
            text=True,
            check=False,
        )
        return run.stdout.strip()

    def end(self) -> None:
        """Kill it, and all that it started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> list[Input]:
    """Make one good input of each kind, all of them small."""
    folder = tmp_path_factory.mktemp("good")
    model = keras_model(2)
    return [
        *_models(folder, model),
        *_artifacts(folder, model),
        *_recipes_and_data(folder),
        _registry(folder),
    ]


def _models(folder: Path, model: Any) -> list[Input]:
    tf_keras: Any = import_module("tf_keras")
    model.save(folder / "three.keras")
    model.save(folder / "three.h5")
    layers = tf_keras.layers
    old = tf_keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    old.save(folder / "two.keras")
    old.save(folder / "two.h5")
    model.export(folder / "saved", format="tf_saved_model", verbose=False)
    names = ("three.keras", "three.h5", "two.keras", "two.h5", "saved")
    return [Input("model", folder / name) for name in names]


def _artifacts(folder: Path, model: Any) -> list[Input]:
    """Make an artifact of each format that can be made here."""
    store = Store(folder / "store")
    data = read_images(
        draw_images(folder / "pictures", images=8, classes=CLASSES), folder / "cache"
    )

    def made(name: str, source: Artifact, **settings: Any) -> Artifact:
        plugin = installed().step(name)
        config = plugin.config.model_validate(settings)
        ran = run_step(plugin, config, [source], folder / name, store=store, dataset=data)
        return ran.artifact

    keras = store_model(store, model, CLASSES)
    lite = made("export-tflite", keras)
    makers: list[Callable[[], Artifact]] = [
        lambda: made("export-tfjs", keras),
        lambda: made("export-tflite-micro", made("quantize-int8", lite, io_type="int8")),
    ]
    artifacts = [keras, lite]
    for make in makers:
        try:
            artifacts.append(make())
        except PupilaError as error:  # its packages are not on this machine
            print(error)
    inputs = [Input("artifact", artifact.path) for artifact in artifacts]
    shutil.copyfile(lite.file(".tflite"), folder / "model.tflite")
    return [*inputs, Input("model", folder / "model.tflite")]


def _recipes_and_data(folder: Path) -> list[Input]:
    recipes = folder / "recipe"
    images = draw_images(recipes / "images", images=2, classes=CLASSES)
    keras_files.import_keras()
    shutil.copyfile(folder / "three.keras", recipes / "model.keras")
    (recipes / "recipe.yaml").write_text(RECIPE)
    files = sorted(path for path in images.rglob("*") if path.is_file())
    rows = [f"{path.relative_to(recipes)},{path.parent.name},{path.parts[-3]}" for path in files]
    (recipes / "manifest.csv").write_text("\n".join(["path,label,split", *rows]))
    return [
        Input("recipe", recipes, "recipe.yaml"),
        Input("data", recipes, "manifest.csv"),
        Input("data", images),
    ]


def _registry(folder: Path) -> Input:
    registry = folder / "registry"
    with_three_versions(open_registry(str(registry)), folder / "publisher")
    return Input("registry", registry)


def altered(given: Input, seed: int, folder: Path) -> Path:
    """Return a copy of an input, altered as the seed says."""
    random, outside = Random(seed), folder / "outside"
    outside.mkdir(parents=True)
    target = folder / "input" / given.path.name[:20]
    if given.path.is_file():
        target.parent.mkdir()
        shutil.copyfile(given.path, target)
        mutate_file(target, random, outside)
        return target
    shutil.copytree(given.path, target, symlinks=True)
    if given.altered:
        mutate_file(target / given.altered, random, outside)
        return target / given.altered
    mutate_folder(target, random, outside)
    if given.kind == "artifact":
        _record_again(target, given.path)
    return target


def _record_again(folder: Path, good: Path) -> None:
    """Write down the digests of altered files, as their author would."""
    record, before = folder / RECORD_NAME, (good / RECORD_NAME).read_bytes()
    if record.is_file() and not record.is_symlink() and record.read_bytes() == before:
        files = {
            path.relative_to(folder).as_posix(): digest_file(path)
            for path in folder.rglob("*")
            if path.is_file() and path.stat().st_size and path.name != RECORD_NAME
        }
        record.write_text(json.dumps(json.loads(before) | {"files": files}))


@pytest.mark.long
def test_every_input_works_or_is_refused_in_a_sentence(inputs: list[Input], tmp_path: Path):
    worker = Worker(tmp_path / "log")
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    try:
        for given in inputs:
            scratch, path = str(tmp_path / "good"), str(given.path / given.altered)
            allowed = [str(given.path)]
            outcome = worker.ask(kind=given.kind, path=path, scratch=scratch, allowed=allowed)
            shutil.rmtree(scratch)
            assert outcome == ("fine", ""), f"{given}: {outcome}"
        end, seed = time.monotonic() + SECONDS, SEED
        while time.monotonic() < end:
            seed += 1
            given = inputs[seed % len(inputs)]
            outcome, text = _tried(worker, given, seed, tmp_path / str(seed))
            counts[f"{given.kind} {outcome}"] += 1
            if outcome not in ("fine", "refused", "failed"):
                wrong.append(f"seed {seed}, {given.kind} {given.path.name}: {outcome}\n{text}")
    finally:
        worker.end()
    print(dict(sorted(counts.items())))
    assert not wrong, "\n\n".join(wrong)


def _tried(worker: Worker, given: Input, seed: int, folder: Path) -> tuple[str, str]:
    """Return what came of an altered input; what was left of it is removed."""
    path = altered(given, seed, folder)
    allowed = [str(path.parent)]
    try:
        outcome, text = worker.ask(
            kind=given.kind, path=str(path), scratch=str(folder / "scratch"), allowed=allowed
        )
        written = [file.name for file in (folder / "outside").iterdir()]
    finally:
        shutil.rmtree(folder)
    if written:
        return "wrote outside", ", ".join(written)
    if outcome == "refused" and (
        len(text) > LONGEST_SENTENCE or "Traceback" in text or _is_several(given, text)
    ):
        return "no sentence", text[:LONGEST_SENTENCE]
    return outcome, text


def _is_several(given: Input, text: str) -> bool:
    return given.kind != "recipe" and len(text.splitlines()) > 1
