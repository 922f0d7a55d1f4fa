"""A model with a layer of this package is read, and becomes one of Keras' own layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from average_weights.archives import recognises
from average_weights.positions import AddPositions, keras, layers, load

from pupila import OutputSpec, PupilaError, installed

OUTPUT = OutputSpec(kind="softmax", classes=("glaucoma", "normal"))


@pytest.fixture
def transformer() -> Any:
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 8, 8)(layers.Rescaling(1 / 127.5, -1)(image))
    x = AddPositions(name="positions")(layers.Reshape((16, 8))(x))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x)])
    answer = layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling1D()(x))
    return keras.Model(image, answer)


def test_the_loader_is_chosen_by_name(
    transformer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "own.keras"
    transformer.save(source)
    with pytest.raises(PupilaError, match="PUPILA_LOADERS"):
        installed().loader(source)
    monkeypatch.setenv("PUPILA_LOADERS", "positions")
    assert installed().loader(source).name == "positions"


def test_a_model_with_a_layer_of_ones_own_becomes_one_of_keras(
    transformer: Any, tmp_path: Path
) -> None:
    transformer.save(tmp_path / "own.keras")
    (tmp_path / "loaded").mkdir()
    result = load(tmp_path / "own.keras", OUTPUT, tmp_path / "loaded")
    written = tmp_path / "loaded" / "model.keras"
    assert (result.format, result.parameters) == ("keras", transformer.count_params())
    assert not recognises(written)
    images = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3))
    loaded = keras.saving.load_model(written)
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0), transformer.predict(images, verbose=0), atol=1e-6
    )


def test_other_classes_and_outputs_are_refused(transformer: Any, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("elsewhere")
    class Other(AddPositions):
        pass

    transformer.save(tmp_path / "own.keras")
    three = OutputSpec(kind="softmax", classes=("a", "b", "c"))
    with pytest.raises(PupilaError, match=r"gives \(2,\): expected .* 3 values"):
        load(tmp_path / "own.keras", three, tmp_path)
    other = keras.Sequential([transformer, layers.Reshape((2, 1)), Other(), layers.Flatten()])
    other.save(tmp_path / "other.keras")
    assert recognises(tmp_path / "other.keras")
    with pytest.raises(PupilaError, match=r"has the class '.*Other', which is not known"):
        load(tmp_path / "other.keras", OUTPUT, tmp_path)
