from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from average_weights import AverageWeights, GreyImages
from average_weights.distance import show
from average_weights.grey import check
from average_weights.soup import average
from PIL import Image

from pupila import (
    Artifact,
    Dataset,
    InputSpec,
    OutputSpec,
    Predictions,
    PupilaError,
    keras_files,
)
from pupila.artifact import Origin
from pupila.manifest import read
from pupila.plugin_registry import installed
from pupila.scanning import scan
from pupila.shift import SEVERITIES, alter
from pupila.store import Store
from pupila.testing import (
    INPUT,
    CommandContract,
    DataCheckContract,
    ExporterContract,
    RunnerContract,
    ShiftContract,
    StudentContract,
    TechniqueContract,
    draw_images,
    ignore_progress,
    keras_artifact,
    keras_model,
    read_images,
    step_for,
)


class TestAverageWeights(TechniqueContract):
    plugin = "average-weights"


class TestExportCArray(ExporterContract):
    plugin = "export-c-array"


class TestCArray(RunnerContract):
    plugin = "c-array"


class TestPlainS(StudentContract):
    plugin = "plain-s"


class TestGreyImages(DataCheckContract):
    plugin = "grey-images"
    config: ClassVar = {"maximum": 1}
    failing: ClassVar = {"least_difference": 256}


class TestReflection(ShiftContract):
    plugin = "reflection"


class TestWeightsDistance(CommandContract):
    plugin = "weights-distance"

    @classmethod
    def arguments(cls, folder: Path) -> tuple[str, str]:
        paths = tuple(str(folder / f"{seed}.keras") for seed in (1, 2))
        for seed, path in enumerate(paths):
            keras_model(2, seed=seed).save(path)
        return paths


def test_the_distance_of_a_model_from_itself_is_0(tmp_path: Path, capsys: Any):
    path = tmp_path / "model.keras"
    keras_model(2).save(path)
    show(path, path)
    assert capsys.readouterr().out == "0.0000\n"


def test_grey_pictures_are_counted_and_named(tmp_path: Path):
    for name, colour in (("grey", (90, 90, 90)), ("red", (90, 20, 20))):
        (tmp_path / "train" / "a").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), colour).save(tmp_path / "train" / "a" / f"{name}.png")
    images = scan(read(tmp_path), tmp_path / "cache", ignore_progress)
    fact = check(images, GreyImages())
    assert (fact.value, fact.maximum) == (0.5, 0)
    assert [Path(path).name for path in fact.images] == ["grey.png"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    return read_images(draw_images(folder / "images"), folder / "cache")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def weights(folder: Path) -> list[np.ndarray]:
    keras = keras_files.import_keras()
    return keras.saving.load_model(folder / keras_files.MODEL_NAME).get_weights()


def soup(
    folder: Path, inputs: list[Artifact], dataset: Dataset, choice: Any
) -> tuple[dict[str, Any], list[np.ndarray]]:
    step = step_for(AverageWeights(choice=choice), inputs, folder, dataset=dataset)
    measured = average(step).measured
    return measured, weights(step.output)


def test_uniform_is_the_mean_of_all_weights(store: Store, dataset: Dataset, tmp_path: Path):
    inputs = [keras_artifact(store, seed=seed) for seed in range(3)]
    measured, averaged = soup(tmp_path / "step", inputs, dataset, "uniform")
    assert measured["ingredients"] == [artifact.digest for artifact in inputs]
    apart = [weights(artifact.path) for artifact in inputs]
    for mean, *same in zip(averaged, *apart, strict=True):
        np.testing.assert_allclose(mean, sum(same) / 3, rtol=1e-5, atol=1e-6)


def test_greedy_is_never_worse_on_validation_than_the_best_input(
    store: Store, dataset: Dataset, tmp_path: Path
):
    inputs = [keras_artifact(store, seed=seed) for seed in range(4)]
    measured, _ = soup(tmp_path / "step", inputs, dataset, "greedy")
    validation = dataset.select("validation")
    predictions = Predictions(tmp_path / "predictions")
    answers = [predictions.of(artifact, validation, ignore_progress) for artifact in inputs]
    alone = [
        float((probabilities.argmax(axis=1) == validation.labels).mean())
        for probabilities in answers
    ]
    assert measured["validation_accuracy_of_inputs"] == alone
    assert measured["validation_accuracy"] >= max(alone)
    assert measured["ingredients"][0] == inputs[int(np.argmax(alone))].digest
    assert measured["validation_images"] == len(validation)


def test_models_of_other_architectures_are_refused(store: Store, dataset: Dataset, tmp_path: Path):
    keras = keras_files.import_keras()
    tiny = keras_model(2)
    wider = keras.Sequential(
        [keras.Input(INPUT.shape), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    )
    inputs = [saved(store, tiny), saved(store, wider)]
    with pytest.raises(PupilaError, match=r"input 1 has InputLayer where input 2 has Global\w+"):
        soup(tmp_path / "step", inputs, dataset, "uniform")


def test_models_of_other_classes_are_refused(store: Store, dataset: Dataset, tmp_path: Path):
    inputs = [keras_artifact(store), keras_artifact(store, classes=("triangle", "square"))]
    with pytest.raises(PupilaError, match=r"of different output: .*'square'"):
        soup(tmp_path / "step", inputs, dataset, "uniform")


def test_models_of_other_input_sizes_are_refused(store: Store, dataset: Dataset, tmp_path: Path):
    other = InputSpec(height=48, width=48)
    inputs = [keras_artifact(store), keras_artifact(store, input=other)]
    with pytest.raises(PupilaError, match=r"of different input: .*height=48"):
        soup(tmp_path / "step", inputs, dataset, "uniform")


def saved(store: Store, model: Any) -> Artifact:
    with store.draft() as folder:
        keras_files.save(model, folder)
        return store.add(
            folder,
            format="keras",
            input=INPUT,
            output=OutputSpec(kind="softmax", classes=("square", "triangle")),
            origin=Origin(plugin="tiny", distribution="test", version="0"),
        )


def test_a_reflection_is_a_bright_spot_that_grows_with_severity():
    images = np.full((3, 40, 50, 3), 60, np.uint8)
    family = installed().shift("reflection")
    steps = [alter(family, images, step, np.random.default_rng(2)) for step in SEVERITIES]
    assert [int(step.max()) for step in steps] == sorted({int(step.max()) for step in steps})
    assert all((step >= images).all() for step in steps)
    brightest = steps[0][..., 0].reshape(len(images), -1).argmax(axis=1)
    assert len({*brightest.tolist()}) == len(images)
