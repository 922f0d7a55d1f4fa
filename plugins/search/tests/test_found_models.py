from __future__ import annotations

import numpy as np
import pytest

from pupila import InputSpec, installed
from pupila.keras_files import import_keras
from pupila.store import Store
from pupila.testing import colour_dataset, run_step, store_model
from pupila_search.building import build
from pupila_search.genome import Block, Genome, Head, int8_bytes

keras = import_keras()

EVERY_KIND = Genome(
    blocks=(
        Block(mark=0, kind="convolution", filters=8, stride=2),
        Block(mark=1, kind="inverted", filters=8, hidden=16, squeeze=8, shortcut=True),
        Block(mark=2, kind="separable", filters=16, kernel=5, pooling="average"),
        Block(mark=3, kind="inverted", filters=16, hidden=32, stride=2),
        Block(mark=4, kind="convolution", filters=16, normalised=False, pooling="max"),
    ),
    head=Head(units=16),
)


def taught(model, dataset, size):
    """Return the model trained on colours: undecided answers would flip at any rounding."""
    train = dataset.select("train")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=False)
    pixels = np.asarray(train.pixels(size), np.float32)
    model.fit(pixels, train.labels, batch_size=8, epochs=15, verbose=0)
    return model


@pytest.mark.long
def test_a_searched_model_can_be_trained_for_int8(tmp_path):
    dataset = colour_dataset(tmp_path)
    store, size = Store(tmp_path / "store"), InputSpec(height=32, width=32)
    logits = taught(build(EVERY_KIND, size, len(dataset.classes)), dataset, size)
    artifact = store_model(
        store,
        keras.Model(logits.inputs[0], keras.layers.Softmax()(logits.outputs[0])),
        dataset.classes,
    )
    qat = installed().step("qat")
    config = qat.config.model_validate({"epochs": 1, "augmentation": {"views": 1}})
    ran = run_step(qat, config, [artifact], tmp_path / "qat", store=store, dataset=dataset)
    (file,) = ran.artifact.files
    estimated = int8_bytes(EVERY_KIND, size, len(dataset.classes))
    assert file.stat().st_size == pytest.approx(estimated, rel=0.15)
    assert ran.result.measured["export_agreement"] >= 0.9
