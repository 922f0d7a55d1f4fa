"""A real student whose outputs differ from image to image, and what is made from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from pupila import Artifact, InputSpec, keras_files
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import CLASSES, StepRun, draw_images, read_images, run_step, store_model
from pupila_micro.probes import draw_probes

SIZE = InputSpec(height=64, width=64)
_LOGITS_SPREAD = 2.0


def student(name: str) -> Any:
    """Build a student with outputs like a trained one's: normalised, and not always certain."""
    keras = keras_files.import_keras()
    keras.utils.set_random_seed(0)
    model = installed().student(name).load()(SIZE, len(CLASSES))
    images = draw_probes(SIZE, seed=5).astype(np.float32)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    for _ in norms:  # the statistics of a layer depend on those of earlier layers
        model(images, training=True)
    head = next(layer for layer in reversed(model.layers) if layer.weights)
    kernel, bias = head.get_weights()
    spread = model.predict(images, verbose=0).std(axis=0) / _LOGITS_SPREAD
    head.set_weights([kernel / spread, bias])
    return keras.Model(model.input, keras.layers.Softmax()(model.output))


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("micro") / "store")


@pytest.fixture(scope="session")
def run(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., StepRun]:
    """Run a step on drawn images."""
    folder = tmp_path_factory.mktemp("data")
    dataset = read_images(draw_images(folder / "images", images=8), folder / "cache")

    def ran(name: str, artifact: Artifact, **settings: Any) -> StepRun:
        plugin = installed().step(name)
        config = plugin.config.model_validate(settings)
        folder = tmp_path_factory.mktemp("run")
        return run_step(plugin, config, [artifact], folder, store=store, dataset=dataset)

    return ran


@pytest.fixture(scope="session")
def quantized(store: Store, run: Callable[..., StepRun]) -> Callable[..., Artifact]:
    """Return a quantised student, made once; with `how` empty, the float flatbuffer."""

    @cache
    def floats(name: str) -> Artifact:
        return run("export-tflite", store_model(store, student(name))).artifact

    @cache
    def run_once(how: str = "quantize-int8", name: str = "mobile-xs", **settings: Any) -> Artifact:
        return run(how, floats(name), **settings).artifact if how else floats(name)

    return run_once


@pytest.fixture(scope="session")
def exported(
    run: Callable[..., StepRun], quantized: Callable[..., Artifact]
) -> Callable[..., StepRun]:
    """Export a student in int8, once for each `io_type`."""

    @cache
    def run_once(io_type: str = "int8", name: str = "mobile-xs") -> StepRun:
        return run("export-tflite-micro", quantized(name=name, io_type=io_type))

    return run_once
