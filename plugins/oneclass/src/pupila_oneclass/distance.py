"""The technique `one-class-distance`: how far an image's features lie from those of a class.

Lee et al. 2018 (NeurIPS; arXiv 1807.03888), "A simple unified framework for detecting
out-of-distribution samples and adversarial attacks", for one class. f `(columns,)` are the
features of an image, the means of early feature maps of a teacher. With their mean μ and their
covariance Σ over the class's training images (the estimate of Ledoit and Wolf 2004), the score of
an image is the negated squared Mahalanobis distance

    s = -(f - μ)ᵀ Σ⁻¹ (f - μ) = -|(f - μ) L|²,  Σ⁻¹ = L Lᵀ

It is calibrated as the classifier of `one-class` is (`pupila_oneclass.head`). Nothing is trained.

Early maps tell what an image is made of, whatever the teacher learned; late maps of a teacher that
only ever saw the class do not tell other images apart. On the 107 test images of `glaucoma.csv` and
90 photographs of other things, with a net trained on the 493 training images from random weights
(mobile-xs, 128 pixels, ten epochs): `one-class` on the last map accepted 99 % and 88 %, this
technique 100 % and 7 %.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import OutputSpec, Step, StepResult
from pupila.intervals import Floats
from pupila.keras_files import import_keras, load, macs, parameters, save
from pupila.measured import Measured
from pupila_oneclass.config import CLASSES, OneClassDistance
from pupila_oneclass.extractor import build_early_extractor
from pupila_oneclass.features import compute_features
from pupila_oneclass.head import Calibration
from pupila_oneclass.splits import Splits, splits_of
from pupila_oneclass.technique import calibrated_threshold, describe_calibration, describe_data

keras = import_keras()
layers = keras.layers


def one_class_distance(step: Step[OneClassDistance]) -> StepResult:
    """Make a model that accepts images whose features are like those of one class.

    Raises:
        PupilaError: the data does not have two classes, the class has too few images, or features
            cannot be computed.
    """
    (teacher,), splits, config = step.inputs, splits_of(step), step.config
    net = build_early_extractor(load(teacher), teacher.record.output.columns)
    train, validation = (
        compute_features(step, images, teacher.record.input, net)
        for images in (splits.train, splits.validation)
    )
    mean, whitening = _whitening(train)
    own = -np.square((validation - mean) @ whitening).sum(axis=1)
    calibration = Calibration.of(own, config.target_sensitivity, config.learned)
    model = _model(net, mean, whitening, calibration, splits)
    save(model, step.output)
    return StepResult(
        format="keras",
        input=teacher.record.input,
        output=OutputSpec(kind="softmax", classes=splits.all_validation.classes),
        parameters=parameters(model),
        macs=macs(model),
        threshold=calibrated_threshold(config, splits),
        measured=Measured(
            describe_data(splits, train.shape[1]), describe_calibration(calibration, own, splits)
        ),
    )


def _whitening(features: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """Return μ `(columns,)` and L `(columns, columns)` of features `(images, columns)`."""
    covariance: Any = import_module("sklearn.covariance")
    fitted = covariance.LedoitWolf().fit(features.astype(np.float64))
    precision: Floats = fitted.precision_
    return fitted.location_, np.linalg.cholesky(precision)


def _model(
    net: Any, mean: Floats, whitening: Floats, calibration: Calibration, splits: Splits
) -> Any:
    """Return a model from images to the probabilities `(batch, classes)` of calibrated scores."""
    whitened = layers.Dense(len(mean), name="one_class_whitened")
    logits = layers.Dense(CLASSES, name="one_class_logits")
    distances = whitened(net.outputs[0])
    squares = layers.Multiply(name="one_class_squares")([distances, distances])
    outputs = layers.Softmax(name="one_class_probabilities")(logits(squares))
    whitened.set_weights([whitening, -mean @ whitening])
    half = np.where(np.arange(CLASSES) == splits.column, 0.5, -0.5) * calibration.scale
    logits.set_weights([np.tile(-half, (len(mean), 1)), -half * calibration.threshold])
    return keras.Model(net.inputs[0], outputs, name=net.name)
