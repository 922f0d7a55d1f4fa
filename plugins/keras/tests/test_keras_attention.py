"""Vision transformers and hybrids are read from every kind of file that holds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pupila import keras_files
from pupila.predictions import open_model
from pupila.testing import ignore_progress
from pupila.testing.attention import ATTENTION_KINDS, attention_model
from pupila_keras.probe import predict_probes

LAYERS_ALONE = ("hybrid",)
"""Kinds without operations such as `x[:, 0]`, which Keras writes into HDF5 without their module."""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *((kind, "model.keras") for kind in ATTENTION_KINDS),
        *((kind, "model.h5") for kind in LAYERS_ALONE),
    ],
)
def test_attention_is_read_with_its_weights_and_macs(
    kind: str, name: str, tmp_path: Path, import_model
):
    model = attention_model(kind)
    model.save(tmp_path / name)
    artifact = import_model(tmp_path / name)
    loaded = keras_files.load(artifact)
    np.testing.assert_allclose(predict_probes(loaded), predict_probes(model), atol=1e-6)
    assert artifact.record.parameters == model.count_params()
    assert artifact.record.macs == keras_files.macs(model)


@pytest.mark.parametrize("kind", ATTENTION_KINDS)
def test_attention_is_read_from_a_savedmodel(kind: str, tmp_path: Path, import_model):
    model = attention_model(kind)
    model.export(tmp_path / "saved", verbose=False)
    artifact = import_model(tmp_path / "saved")
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    answers = open_model(artifact).predict(images, ignore_progress)
    np.testing.assert_allclose(
        answers, model.predict(images.astype(np.float32), verbose=0), atol=1e-5
    )
