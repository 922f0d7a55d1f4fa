"""The technique `one-class`: trains a classifier on features of one class, and calibrates it.

The features of a frozen teacher are computed once for each augmented view and cached. Training then
takes seconds, and so does training again with other settings. If a student or the teacher's last
stage is trained too, images are rendered again in each epoch.

Images of other classes affect neither the training nor the choice of an epoch, a threshold or a
scale. If the validation split has images of other classes, the classifier and the baselines (see
`pupila_oneclass.baselines`) are measured on them too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, InputSpec, OutputSpec, Step, StepResult, Threshold, ThresholdRule
from pupila.digest import digest_json
from pupila.intervals import Floats, share
from pupila.keras_files import import_keras, load, macs, parameters, save
from pupila.measured import Interval, Measured, OneClassCalibration
from pupila.training.batches import Images
from pupila.training.checkpoint import Checkpoint, TrainingHistory
from pupila.training.fitting import fit
from pupila.training.student import build_student
from pupila.training.targets import labels_of
from pupila.views import AS_IS, Augmentation
from pupila_oneclass.baselines import compare_with_baselines
from pupila_oneclass.config import CLASSES, LearnedClass, OneClass
from pupila_oneclass.extractor import build_extractor, unfreeze_last_stage
from pupila_oneclass.features import Features, cached_features, compute_features
from pupila_oneclass.head import Calibration, Head, loss
from pupila_oneclass.splits import Splits, splits_of

keras = import_keras()


def one_class(step: Step[OneClass]) -> StepResult:
    """Train a classifier that accepts one class and rejects all else, on that class's images alone.

    Raises:
        PupilaError: the settings and inputs do not name exactly one of teacher and student, the
            data does not have two classes, the class has too few images, features cannot be
            computed, or the loss stops being finite.
    """
    config = step.config
    config.check_inputs(len(step.inputs))
    splits = splits_of(step)
    keras.utils.set_random_seed(step.seed)
    net, head = _net(step), Head(config.hidden)
    history = (
        _fit_head(step, splits, net, head) if _frozen(step) else _fit_all(step, splits, net, head)
    )
    train, validation = (head.normalised(features) for features in _features(step, splits, net))
    scores = head.scores(validation, splits.column)
    calibration = _calibrate(head, scores[splits.is_positive], splits, config)
    baselines = compare_with_baselines(
        scores, train, validation, splits.is_positive, config.target_sensitivity
    )
    model = head.final_model(net.inputs[0], net.outputs[0], net.name)
    save(model, step.output)
    return StepResult(
        format="keras",
        input=_input(step),
        output=OutputSpec(kind="softmax", classes=splits.all_validation.classes),
        parameters=parameters(model),
        macs=macs(model),
        threshold=calibrated_threshold(config, splits),
        measured=Measured(
            describe_data(splits, train.shape[1]),
            history.summary("loss", "val_loss"),  # accuracy means nothing with one class
            calibration,
            baselines,
        ),
    )


def _input(step: Step[OneClass]) -> InputSpec:
    return step.inputs[0].record.input if step.inputs else step.config.student_input


def _frozen(step: Step[OneClass]) -> bool:
    return bool(step.inputs) and not step.config.fine_tune


def _net(step: Step[OneClass]) -> Any:
    """Return the net from images to features `(batch, columns)`, with its trainable layers set."""
    config = step.config
    if not step.inputs:
        student = build_student(config.architecture, config.student_input, CLASSES)
        return build_extractor(student, CLASSES)
    (teacher,) = step.inputs
    net = build_extractor(load(teacher), teacher.record.output.columns, config.layer)
    if config.fine_tune:
        unfreeze_last_stage(net)
    return net


def _fit_head(step: Step[OneClass], splits: Splits, net: Any, head: Head) -> TrainingHistory:
    """Train the classifier on cached features."""
    augmentation = step.config.augmentation
    views = cached_features(step, splits.train, augmentation, net)
    own = cached_features(step, splits.all_validation, AS_IS, net)[0][splits.is_positive]
    train = _images(step, splits.train, augmentation)
    validation = _images(step, splits.validation, AS_IS)
    inputs = keras.Input((own.shape[1],), name="features")
    model = head.training_model(inputs, inputs, step.config.sigma)
    return _fit(
        step,
        model,
        Features(**vars(train), features=views),
        Features(**vars(validation), features=[own]),
        splits,
    )


def _fit_all(step: Step[OneClass], splits: Splits, net: Any, head: Head) -> TrainingHistory:
    """Train the classifier and the net's trainable layers on images."""
    model = head.training_model(net.inputs[0], net.outputs[0], step.config.sigma)
    train = _images(step, splits.train, step.config.augmentation)
    return _fit(step, model, train, _images(step, splits.validation, AS_IS), splits)


def _fit(
    step: Step[OneClass], model: Any, images: Images, validation: Images, splits: Splits
) -> TrainingHistory:
    data = [splits.train.fingerprint, splits.validation.fingerprint]
    teachers = [artifact.digest for artifact in step.inputs]
    key = digest_json([step.config.model_dump(), step.seed, data, teachers])
    checkpoint = Checkpoint(step.scratch / "training.npz", key)
    return fit(model, loss, images, validation, step.config, step.seed, checkpoint, step.progress)


def _images(step: Step[OneClass], images: Dataset, augmentation: Augmentation) -> Images:
    """Return images with their labels as targets; all views of an image have the same target."""
    targets = [labels_of(images)] * augmentation.views
    return Images.of(images, _input(step), targets, augmentation)


def _features(
    step: Step[OneClass], splits: Splits, net: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the features of the class's training images, and of all validation images."""
    train, validation = (
        np.asarray(cached_features(step, images, AS_IS, net)[0])
        if _frozen(step)
        else compute_features(step, images, _input(step), net)
        for images in (splits.train, splits.all_validation)
    )
    return train, validation


def _calibrate(head: Head, own: Floats, splits: Splits, config: OneClass) -> OneClassCalibration:
    """Calibrate the head by `own`, the scores of the class's validation images.

    Returns the numbers of the calibration. The accepted fraction of these images is optimistic, as
    the threshold was chosen on them.
    """
    calibration = Calibration.of(own, config.target_sensitivity, config.learned)
    head.calibrate(calibration, splits.column)
    return describe_calibration(calibration, own, splits)


def describe_calibration(
    calibration: Calibration, own: Floats, splits: Splits
) -> OneClassCalibration:
    """Return the numbers of a calibration by `own`, the scores of the class's validation images."""
    accepted = share(own >= calibration.threshold, splits.validation.patients)
    return OneClassCalibration(
        logit_threshold=round(calibration.threshold, 4),
        logit_scale=round(calibration.scale, 4),
        validation_accepted=Interval.of(accepted),
    )


def calibrated_threshold(config: LearnedClass, splits: Splits) -> Threshold:
    """Return the threshold of a calibrated model, and what chose it."""
    chosen_on = (
        f"{len(splits.validation)} {config.learned} validation images alone, "
        f"to accept {config.target_sensitivity:g} of them"
    )
    rule = ThresholdRule(
        figure="sensitivity",
        target=config.target_sensitivity,
        split="validation",
        images=splits.all_validation.fingerprint,
        positives=len(splits.validation),
        others=0,
    )
    return Threshold(positive=config.learned, value=0.5, chosen_on=chosen_on, rule=rule)


def describe_data(splits: Splits, columns: int) -> dict[str, int]:
    """Return how many images were learned, and how many features each has."""
    return {
        "images": len(splits.train),
        "validation_images": len(splits.validation),
        "features": columns,
    }
