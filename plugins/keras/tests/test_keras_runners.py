from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pupila import Artifact, installed
from pupila.artifact import Origin
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.store import Store
from pupila.testing import INPUT, RunnerContract, keras_artifact
from pupila_keras.keras_imports import import_keras
from pupila_keras.runners import TensorFlowModel, open_keras

keras = import_keras()


class TestKerasKeepsTheContract(RunnerContract):
    plugin = "keras"


class TestSavedModelKeepsTheContract(RunnerContract):
    plugin = "savedmodel"

    @classmethod
    def make_artifact(cls, store: Store, folder: Path) -> Artifact:
        given = keras_artifact(store)
        keras.saving.load_model(given.file(".keras")).export(folder / "saved", verbose=False)
        output, loader = given.record.output, installed().loader(folder / "saved")
        origin = Origin(plugin=loader.name, distribution="pupila-keras", version="0")
        with store.draft() as draft:
            result = loader.load()(folder / "saved", output, draft)
            return store.add(draft, **vars(result), origin=origin)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    return keras_artifact(Store(tmp_path / "store"), ("ill", "well"))


def draw(count: int):
    return np.random.default_rng(0).integers(0, 256, (count, *INPUT.shape), np.uint8)


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 40])
def test_any_number_of_images_gives_the_outputs_of_keras(count: int, artifact: Artifact):
    images = draw(count)
    model = keras.saving.load_model(artifact.file(".keras"), compile=False)
    outputs = open_model(artifact, 2).predict(images, ignore_progress)
    assert (outputs.shape, outputs.dtype) == ((count, 2), np.float32)
    if count:
        expected = np.asarray(model(images.astype(np.float32), training=False))
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)


def test_progress_ends_at_the_number_of_images(artifact: Artifact):
    reports: list[tuple[int, int, str]] = []

    def listen(done: int, total: int, what: str) -> None:
        reports.append((done, total, what))

    open_model(artifact, 2).predict(draw(20), listen)
    assert reports == [(16, 20, "images"), (20, 20, "images")]


def test_each_batch_is_traced_once(artifact: Artifact):
    traced = 0

    def answer(images):
        nonlocal traced
        traced += 1
        return tf.reduce_mean(images, axis=[1, 2])[:, :2]

    model = TensorFlowModel(answer, artifact, "test", threads=1)
    for count in (16, 3, 33):
        model.predict(draw(count), ignore_progress)
    model.latency_ms(draw(1)[0], 5)
    assert traced == 2  # one for batches, one for single images


def test_the_runtime_names_its_versions(artifact: Artifact):
    runtime = open_model(artifact, 2).runtime
    assert runtime.startswith(f"Keras {keras.__version__}, TensorFlow {tf.__version__}")


def test_peak_memory_is_that_of_this_process(artifact: Artifact):
    model = open_keras(artifact, 2)
    before = model.peak_memory_bytes()
    held = np.ones((256, 1 << 20), np.uint8)
    assert model.peak_memory_bytes() >= before > 100e6
    del held


THREADS = """
import sys
from pathlib import Path
import numpy as np
from pupila.predictions import open_model
from pupila.runtime import ignore_progress
from pupila.store import Store
first, second = (int(number) for number in sys.argv[3:])
artifact = Store(Path(sys.argv[1])).open(sys.argv[2])
for threads in (first, second):
    model = open_model(artifact, threads)
    model.predict(np.zeros((1, *artifact.record.input.shape), np.uint8), lambda *step: None)
    print(model.threads)
"""


@pytest.mark.slow
def test_threads_are_taken_by_the_first_model_and_reported_by_the_next(
    artifact: Artifact, tmp_path: Path
):
    arguments = [str(tmp_path / "store"), artifact.digest, "1", "2"]
    ran = subprocess.run(
        [sys.executable, "-c", THREADS, *arguments], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines() == ["1", "1"]


def test_many_models_in_one_process_log_nothing(artifact: Artifact, caplog):
    for _ in range(7):
        model = open_model(artifact, 2)
        model.predict(draw(1), ignore_progress)
        model.close()
    assert caplog.text == ""
