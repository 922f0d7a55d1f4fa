"""The technique `untrained`: an architecture of `keras.applications` with random weights.

Size and speed do not depend on the weights, so they can be measured before training.
"""

from __future__ import annotations

from typing import Any

from pupila import InputSpec, OutputSpec, Step, StepResult
from pupila.keras_files import import_keras, macs, parameters, save
from pupila_keras.config import UntrainedModel

keras = import_keras()
layers = keras.layers

_MEANS = (123.68, 116.779, 103.939)
"""Mean red, green and blue of ImageNet, which the networks in `_CENTRED` subtract from images."""

_CENTRED = ("VGG16", "VGG19", "ResNet50")
_SCALES_ITSELF = ("EfficientNetB0",)


def untrained(step: Step[UntrainedModel]) -> StepResult:
    """Write `model.keras`: a backbone and its head with random weights.

    Raises:
        PupilaError: the step has no data, from which the classes are taken.
    """
    config, classes = step.config, step.images.classes
    keras.utils.clear_session(free_memory=False)  # else Keras continues its numbering of layers
    keras.utils.set_random_seed(step.seed)
    model = build(config, len(classes))
    save(model, step.output)
    return StepResult(
        format="keras",
        input=InputSpec(height=config.size, width=config.size),
        output=OutputSpec(kind="softmax", classes=classes),
        parameters=parameters(model),
        macs=macs(model),
        untrained=True,
    )


def build(config: UntrainedModel, classes: int) -> Any:
    """Return a model from raw RGB `(batch, size, size, 3)` in 0..255 to probabilities.

    The probabilities are `(batch, classes)`.
    """
    image = keras.Input((config.size, config.size, 3), name="image")
    backbone = getattr(keras.applications, config.backbone)(
        include_top=False, weights=None, input_shape=image.shape[1:]
    )
    x = backbone(_scaled(config.backbone, image))
    pooled = layers.Flatten if config.pooling == "flatten" else layers.GlobalAveragePooling2D
    x = pooled(name="pool")(x)
    for number, units in enumerate(config.hidden, 1):
        x = layers.Dense(units, activation="relu", name=f"hidden_{number}")(x)
    answer = layers.Dense(classes, activation="softmax", name="answer")(x)
    return keras.Model(image, answer, name=config.backbone.lower())


def _scaled(backbone: str, image: Any) -> Any:
    """Scale pixels as in the backbone's original training, but keep the channels in RGB order."""
    if backbone in _SCALES_ITSELF:
        return image
    if backbone in _CENTRED:
        return layers.Rescaling(1.0, [-mean for mean in _MEANS], name="centre")(image)
    return layers.Rescaling(1 / 127.5, -1.0, name="scale")(image)
