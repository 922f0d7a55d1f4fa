"""Contracts of what makes, reads and runs models: students, loaders and runners."""
# ruff: noqa: S101 - these are tests

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila.artifact import Artifact, Origin
from pupila.digest import digest_tree
from pupila.errors import PupilaError
from pupila.evaluation import LATENCY_REPEATS
from pupila.keras_files import import_keras
from pupila.pixel_scaling import PixelScaling, scaling_of
from pupila.plugin import Exporter, Loader, Runner, Student
from pupila.plugin_registry import installed
from pupila.predictions import check_outputs, open_model
from pupila.runtime import OpenModel, ignore_progress
from pupila.spec import InputSpec, OutputSpec
from pupila.step import StepResult
from pupila.store import Store
from pupila.testing.converting import converted
from pupila.testing.plugin_contract import PluginContract
from pupila.testing.steps import run_step
from pupila.testing.tiny import CLASSES, INPUT, keras_artifact, store_model
from pupila.training.student import build_student

Images = NDArray[np.uint8]
_FEWEST_BYTES = 1_000_000


def draw_noise(count: int, input: InputSpec = INPUT) -> Images:
    """Return uint8 images `(count, height, width, 3)` that differ in brightness and colour."""
    random = np.random.default_rng(0)
    brightest = random.integers(40, 256, (count, 1, 1, 3))
    return (random.random((count, *input.shape)) * brightest).astype(np.uint8)


class StudentContract(PluginContract):
    """Tests of a student: inherit as `class TestMine(StudentContract)` and set `plugin`."""

    kind = Student
    small: ClassVar[int] = 64
    """Another height and width that it must take, in pixels."""
    tolerance: ClassVar[float] = 1e-4
    """Largest difference of two probabilities at which they count as equal."""

    @pytest.mark.parametrize("classes", [2, 5])
    def test_it_takes_other_sizes_and_numbers_of_classes(self, classes: int) -> None:
        student = self.descriptor(Student)
        for height in (self.small, student.size):
            size = InputSpec(height=height, width=self.small)
            build_student(student, size, classes)  # raises if anything is wrong

    def test_a_seed_gives_one_model_and_another_seed_another(self) -> None:
        first, same, other = (self._weights(seed) for seed in (1, 1, 2))
        assert all(map(np.array_equal, first, same)), "the same seed gives other weights"
        assert not all(map(np.array_equal, first, other)), "it does not use Keras' random numbers"

    def test_a_picture_in_a_batch_is_answered_as_it_is_alone(self) -> None:
        model = self._model()
        images = draw_noise(3, self._input()).astype(np.float32)
        together = np.asarray(model(images, training=False))
        alone = np.concatenate([model(image[None], training=False) for image in images])
        np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize(
        "exporter",
        [e.name for e in installed().all(Exporter) if e.evaluated and "keras" in e.accepts],
    )
    def test_its_answers_are_the_same_in_every_format(self, exporter: str, tmp_path: Path) -> None:
        plugin = installed().step(exporter)
        store, images = Store(tmp_path / "store"), draw_noise(4, self._input())
        keras = import_keras()
        model = self._model()
        whole = keras.Model(model.inputs[0], keras.layers.Softmax()(model.outputs[0]))
        artifact = store_model(store, whole)
        ran = run_step(plugin, plugin.config(), [artifact], tmp_path / "step", store=store)
        with closing(open_model(ran.artifact)) as opened:
            answers = opened.predict(images, ignore_progress)
        expected = np.asarray(whole(images.astype(np.float32), training=False))
        np.testing.assert_allclose(answers, expected, atol=self.tolerance)

    def _model(self, seed: int = 1):
        import_keras().utils.set_random_seed(seed)
        return build_student(self.descriptor(Student), self._input(), len(CLASSES))

    def _weights(self, seed: int) -> list[NDArray[np.float32]]:
        return self._model(seed).get_weights()

    def _input(self) -> InputSpec:
        return InputSpec(height=self.small, width=self.small)


class RunnerContract(PluginContract):
    """Tests of a runner: inherit as `class TestMine(RunnerContract)` and set `plugin`.

    An installed exporter makes the model of the runner's format from a small classifier. If none
    can, override `make_artifact`.
    """

    kind = Runner
    tolerance: ClassVar[float] = 1e-5
    """Largest difference of two outputs at which they count as equal."""

    @classmethod
    def make_artifact(cls, store: Store, folder: Path) -> Artifact:
        """Return a classifier of the runner's format; `folder` is a new folder for files."""
        wanted = frozenset({cls.descriptor(Runner).format})
        return converted(keras_artifact(store), wanted, store, folder)

    @pytest.fixture(scope="class")
    @classmethod
    def artifact(cls, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
        folder = tmp_path_factory.mktemp("runner")
        return cls.make_artifact(Store(folder / "store"), folder / "made")

    @pytest.fixture(scope="class")
    @classmethod
    def images(cls, artifact: Artifact) -> Images:
        images = draw_noise(5, artifact.record.input)
        images.setflags(write=False)
        return images

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, artifact: Artifact) -> Generator[OpenModel]:
        with closing(cls.descriptor(Runner).load()(artifact, 1)) as opened:
            yield opened

    def test_it_gives_a_row_for_each_image_of_the_declared_kind(
        self, model: OpenModel, artifact: Artifact, images: Images
    ) -> None:
        outputs = model.predict(images, ignore_progress)
        assert outputs.dtype == np.float32
        assert outputs.ndim == 2
        check_outputs(outputs, artifact, self.descriptor(Runner), len(images))
        assert np.ptp(outputs, axis=0).max() > self.tolerance, "all images have the same outputs"

    def test_an_image_is_answered_alike_alone_and_again(
        self, model: OpenModel, images: Images
    ) -> None:
        together = model.predict(images, ignore_progress)
        alone = [model.predict(image[np.newaxis], ignore_progress) for image in images]
        np.testing.assert_allclose(np.concatenate(alone), together, atol=self.tolerance)

    def test_its_progress_ends_at_the_number_of_images(
        self, model: OpenModel, images: Images
    ) -> None:
        reports: list[tuple[int, int, str]] = []

        def listen(done: int, total: int, what: str) -> None:
            reports.append((done, total, what))

        model.predict(images, listen)
        assert reports and reports[-1][:2] == (len(images), len(images))
        assert [done for done, *_ in reports] == sorted(done for done, *_ in reports)

    def test_the_number_of_threads_does_not_change_an_answer(
        self, model: OpenModel, artifact: Artifact, images: Images
    ) -> None:
        with closing(self.descriptor(Runner).load()(artifact, 2)) as other:
            assert other.threads >= 1, "`threads` says how many compute"
            assert other.threads == 1 or self.descriptor(Runner).threaded
            outputs = other.predict(images, ignore_progress)
        expected = model.predict(images, ignore_progress)
        np.testing.assert_allclose(outputs, expected, atol=self.tolerance)

    def test_it_times_each_repeat(self, model: OpenModel, images: Images) -> None:
        times = model.latency_ms(images[0], LATENCY_REPEATS)
        assert len(times) == LATENCY_REPEATS
        assert all(0 < time < 60_000 for time in times), "times are in milliseconds"

    def test_its_runtime_has_a_version(self, model: OpenModel) -> None:
        assert len(model.runtime.splitlines()) == 1
        assert any(character.isdigit() for character in model.runtime), model.runtime

    def test_its_memory_is_in_bytes_or_unknown(self, model: OpenModel) -> None:
        peak = model.peak_memory_bytes()
        assert peak is None or peak > _FEWEST_BYTES

    def test_a_model_that_is_cut_short_is_refused(self, artifact: Artifact, tmp_path: Path) -> None:
        shutil.copytree(artifact.path, tmp_path / "cut")
        largest = max(artifact.files, key=lambda path: path.stat().st_size)
        content = largest.read_bytes()[: largest.stat().st_size // 2]
        (tmp_path / "cut" / largest.relative_to(artifact.path)).write_bytes(content)
        cut = Artifact(tmp_path / "cut", artifact.digest, artifact.record)
        with pytest.raises(PupilaError):
            self._open(cut)

    def _open(self, artifact: Artifact) -> None:
        installed().check(artifact)
        with closing(self.descriptor(Runner).load()(artifact, 1)) as model:
            model.predict(draw_noise(1, artifact.record.input), ignore_progress)


class LoaderContract(PluginContract, ABC):
    """Tests of a loader: inherit as `class TestMine(LoaderContract)`, set `plugin`, define one.

    `make_file` writes a model as users bring it.
    """

    kind = Loader
    output: ClassVar[OutputSpec] = OutputSpec(kind="softmax", classes=CLASSES)
    """What the recipe declares of the model of `make_file`."""
    tolerance: ClassVar[float] = 1e-4
    """Largest difference of two outputs at which they count as equal."""

    @classmethod
    @abstractmethod
    def make_file(cls, folder: Path, images: NDArray[Any]) -> tuple[Path, NDArray[np.float32]]:
        """Write a model of 32 × 32 px into `folder`; return its path and its outputs for `images`.

        Images are uint8 `(n, 32, 32, 3)`, or scaled to float32 if the loader builds scaling in.
        Outputs are float32 `(n, columns)` of the framework that wrote the model.
        """

    @pytest.fixture(scope="class")
    @classmethod
    def made(
        cls, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Path, Images, NDArray[np.float32]]:
        images = draw_noise(6)
        path, outputs = cls.make_file(tmp_path_factory.mktemp("file"), images)
        return path, images, outputs

    @pytest.fixture
    def source(self, made: tuple[Path, Images, NDArray[np.float32]]) -> Path:
        return made[0]

    def test_its_file_is_recognised_by_it_alone(self, source: Path) -> None:
        assert installed().loader(source) == self.descriptor(Loader)

    def test_the_model_answers_as_it_did_before(
        self, made: tuple[Path, Images, NDArray[np.float32]], tmp_path: Path
    ) -> None:
        source, images, expected = made
        before = digest_tree(source)
        artifact = self._stored(source, tmp_path)
        assert digest_tree(source) == before, "the file was changed"
        assert artifact.format == self.descriptor(Loader).produces
        with closing(open_model(artifact)) as model:
            outputs = model.predict(images, ignore_progress)
        assert np.ptp(expected, axis=0).max() > 10 * self.tolerance, "all images look the same"
        np.testing.assert_allclose(outputs, expected, atol=self.tolerance)

    def test_the_scaling_of_pixels_is_built_in(self, tmp_path: Path) -> None:
        scaling, images = scaling_of("caffe"), draw_noise(6)
        if scaling is None or not self.descriptor(Loader).builds_in_scaling:
            pytest.skip("it builds no scaling in")
        (tmp_path / "file").mkdir()
        source, expected = self.make_file(tmp_path / "file", scaling(images))
        with closing(open_model(self._stored(source, tmp_path, scaling))) as model:
            outputs = model.predict(images, ignore_progress)
        assert np.ptp(expected, axis=0).max() > 10 * self.tolerance, "all images look the same"
        np.testing.assert_allclose(outputs, expected, atol=self.tolerance)

    def test_a_file_gives_one_artifact(self, source: Path, tmp_path: Path) -> None:
        first, second = (self._stored(source, tmp_path / name) for name in ("first", "second"))
        assert first.digest == second.digest

    def test_a_file_gives_one_artifact_with_a_scaling(self, source: Path, tmp_path: Path) -> None:
        scaling = scaling_of("caffe")
        if not self.descriptor(Loader).builds_in_scaling:
            pytest.skip("it builds no scaling in")
        stored = (self._stored(source, tmp_path / name, scaling) for name in ("first", "second"))
        first, second = stored
        assert first.digest == second.digest

    def test_a_model_of_another_number_of_classes_is_refused(
        self, source: Path, tmp_path: Path
    ) -> None:
        wrong = self.output.model_copy(update={"classes": (*self.output.classes, "another")})
        with pytest.raises(PupilaError):
            self._load(source, tmp_path, wrong)

    def test_a_file_that_is_cut_short_is_refused(self, source: Path, tmp_path: Path) -> None:
        if not source.is_file():
            pytest.skip("the model is a folder")
        cut = tmp_path / source.name
        cut.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
        with pytest.raises(PupilaError):
            self._load(cut, tmp_path, self.output)

    def _load(self, source: Path, folder: Path, output: OutputSpec) -> StepResult:
        into = folder / "model"
        into.mkdir(parents=True)
        return installed().loader(source).load()(source, output, into)

    def _stored(self, source: Path, folder: Path, scaling: PixelScaling | None = None) -> Artifact:
        store = Store(folder / "store")
        with store.draft() as draft:
            more = (scaling,) if scaling else ()
            result: StepResult = self.descriptor(Loader).load()(source, self.output, draft, *more)
            entry = installed().origin(self.descriptor(Loader))
            origin = Origin(
                plugin=self.plugin, distribution=entry.distribution, version=entry.version
            )
            return store.add(draft, **vars(result), origin=origin)
