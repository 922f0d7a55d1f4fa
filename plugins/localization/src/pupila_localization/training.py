"""How models learn `localization`: targets, losses, and a head that ends in a heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pupila import Dataset, OutputSpec, PupilaError, Step
from pupila.digest import short_digest
from pupila.intervals import share
from pupila.keras_files import import_keras
from pupila.measured import Interval, Measured, TeacherQualities, TeacherQuality
from pupila.training.loss import Loss
from pupila.training.task import TaskTraining, TeacherTargets
from pupila.training.teacher import describe_teacher
from pupila.views import AS_IS, Augmentation, Motion
from pupila_localization import losses
from pupila_localization.columns import PARTS, PRESENCE, Floats, by_name
from pupila_localization.decoding import HEAT_MAP, parts_of
from pupila_localization.labels import ABSENT
from pupila_localization.located import MapSize
from pupila_localization.task import Localization

keras = import_keras()
layers = keras.layers

_STRIDE = 8
_KERNEL = 5
_MOMENTUM = 0.9
_FIRST_SIZE = 5.0
"""Half sizes of an untrained head, in percent of the sides."""
_CHUNK_IMAGES = 256
_LEAST_PROBABILITY = 1e-12

_Outputs = NDArray[np.float32]


class LocalizationTraining(TaskTraining):
    """The student gives a heat map; see `pupila_localization.losses` for targets and losses."""

    largest_stride = _STRIDE

    def __init__(self, classes: Sequence[str], absent: bool = False) -> None:
        """`absent` says whether students can say that something is not there."""
        super().__init__(classes)
        self._channels = (4 if absent else 3) * len(self.classes)
        self._task = Localization()

    @classmethod
    def of(cls, images: Dataset) -> Self:
        """Return how these images are learned; `absent` if a label says so."""
        return cls(images.classes, absent=ABSENT in set(images.frame["label"].tolist()))

    @property
    def label_columns(self) -> int:
        return losses.label_columns(len(self.classes))

    def labels(self, images: Dataset) -> _Outputs:
        return _label_columns(self._task.truths(images))

    def labels_of_views(self, images: Dataset, augmentation: Augmentation) -> list[_Outputs]:
        """Return the label columns of each view, moved as its pictures are.

        A position that leaves the picture has no weight: what is seen of the thing, if anything, is
        not enough to say where it is.

        Raises:
            PupilaError: pictures are mixed.
        """
        _refuse_mixtures(augmentation)
        truths = self._task.truths(images)
        digests: list[str] = images.frame["sha256"].tolist()
        return [
            _label_columns(
                _moved(truths, [augmentation.motion(digest, view) for digest in digests])
            )
            for view in range(augmentation.views)
        ]

    def teach(
        self,
        step: Step[Any],
        images: Dataset,
        validation: Dataset,
        *,
        weights: Sequence[float],
        temperature: float,
        mean_over_views: bool = False,
    ) -> TeacherTargets:
        """Return the teachers' mean answers and, if any has heat maps, their mean softened map.

        Maps are resampled to the size of the largest one.

        Raises:
            PupilaError: a teacher finds nothing, pictures are mixed, or `mean_over_views` is true.
        """
        augmentation: Augmentation = step.config.augmentation
        _refuse_mixtures(augmentation)
        if mean_over_views:
            raise PupilaError(
                "`mean_over_views` is true, but the views of an image show things at different "
                "places, so they have no answer in common: leave it out."
            )
        qualities = [self._check(step, number, validation) for number in range(len(step.inputs))]
        teachers = _Teachers(step, self.classes, weights, temperature)
        return TeacherTargets(
            views=teachers.targets(images, augmentation),
            validation=teachers.targets(validation, AS_IS)[0],
            measured=Measured(TeacherQualities(teachers=tuple(qualities))),
        )

    def _check(self, step: Step[Any], number: int, validation: Dataset) -> TeacherQuality:
        """Make sure that a teacher finds something, and return how good it is."""
        teacher = step.inputs[number]
        answers = step.predictions.of(teacher, validation, step.progress)
        threshold = teacher.record.threshold
        truths = self._task.truths(validation)
        right = self._task.right(answers, truths, validation.classes, threshold)
        if not (right.any() or step.unproven):
            raise PupilaError(
                f"{describe_teacher(step, number)} is right about none of {len(right)} validation "
                f"images: give another teacher, correct its `output`, or set `unproven: true` for "
                f"the teacher that the recipe begins with."
            )
        return TeacherQuality(
            digest=short_digest(teacher.digest),
            validation_accuracy=Interval.of(share(right, validation.patients)),
        )

    def label_loss(self) -> Loss:
        return losses.label_loss(len(self.classes))

    def distillation_loss(
        self, teachers: Sequence[OutputSpec], alpha: float, temperature: float
    ) -> Loss:
        size = _largest_map(teachers)
        return losses.distillation_loss(len(self.classes), alpha, temperature, size)

    def right(self) -> Loss:
        return losses.right_metric(len(self.classes))

    def head(self, features: Any, width: int, names: Any) -> Any:
        """Return a heat map: a separable 5x5 convolution to `width` channels, and a 1x1 one.

        With a width of 0, there is only the last.
        """
        x = features
        if width:
            depthwise = layers.DepthwiseConv2D(
                _KERNEL, padding="same", use_bias=False, name=names("head_depthwise")
            )
            x = layers.Conv2D(width, 1, use_bias=False, name=names("head"))(depthwise(x))
            x = layers.BatchNormalization(momentum=_MOMENTUM, name=names("head_norm"))(x)
            x = layers.Activation("relu6", name=names("head_relu6"))(x)
        last = layers.Conv2D(self._channels, 1, dtype="float32", name=names("heat"))
        heat = last(x)
        bias = np.zeros((len(self.classes), self._channels // len(self.classes)))
        bias[:, 1:3] = _FIRST_SIZE
        last.bias.assign(bias.ravel())
        return heat

    def head_kernels(self, channels: int, width: int) -> list[tuple[int, int]]:
        if not width:
            return [(channels * self._channels, self._channels)]
        return [
            (channels * _KERNEL**2, channels),
            (channels * width, width),
            (width * self._channels, self._channels),
        ]

    def head_layers(self, width: int) -> int:
        return 4 if width else 1

    def finish(self, student: Any) -> tuple[Any, OutputSpec]:
        """Return the student as it is: its outputs are decoded by the program that runs it."""
        return student, self.output_in_training(student)

    def output_in_training(self, student: Any) -> OutputSpec:
        size = tuple(student.output_shape[1:])
        return OutputSpec(task="localization", kind=HEAT_MAP, classes=self.classes, size=size)


class _Teachers:
    """The teachers of a step, and how much each of them counts."""

    def __init__(
        self, step: Step[Any], names: Sequence[str], weights: Sequence[float], temperature: float
    ) -> None:
        self._step, self._names, self._temperature = step, tuple(names), temperature
        self._shares = np.asarray(weights, np.float64) / sum(weights)
        self._size = _largest_map([teacher.record.output for teacher in step.inputs])

    def targets(self, images: Dataset, augmentation: Augmentation) -> list[_Outputs]:
        """Return the teachers' columns of the targets for each view."""
        predictions, progress = self._step.predictions, self._step.progress
        outputs = [
            predictions.outputs_of_views(teacher, images, augmentation, progress)
            for teacher in self._step.inputs
        ]
        return [self._of_view(list(of_view)) for of_view in zip(*outputs, strict=True)]

    def _of_view(self, outputs: Sequence[Any]) -> _Outputs:
        """Return targets `(images, columns)`, given each teacher's raw outputs of one view."""
        starts = range(0, len(outputs[0]), _CHUNK_IMAGES)
        chunks = (slice(start, start + _CHUNK_IMAGES) for start in starts)
        return np.concatenate([self._of_chunk([own[rows] for own in outputs]) for rows in chunks])

    def _of_chunk(self, outputs: Sequence[_Outputs]) -> _Outputs:
        task = Localization()
        specs = [teacher.record.output for teacher in self._step.inputs]
        pairs = list(zip(specs, outputs, self._shares, strict=True))
        answers = sum(
            weight * task.answers(spec, own)[:, task.columns_of(spec.classes, self._names)]
            for spec, own, weight in pairs
        )
        columns = [np.asarray(answers)]
        if self._size is not None:
            maps = [pair for pair in pairs if pair[0].kind == HEAT_MAP]
            total = sum(weight for *_, weight in maps)
            mean = sum(weight / total * self._softened(spec, own) for spec, own, weight in maps)
            logits = self._temperature * np.log(np.maximum(mean, _LEAST_PROBABILITY))
            columns.append(logits.reshape(len(logits), -1))
        return np.concatenate(columns, axis=1).astype(np.float32)

    def _softened(self, spec: OutputSpec, outputs: _Outputs) -> Any:
        """Return a teacher's softened heat map `(images, names, positions)` at the common size."""
        rows, columns, _ = spec.size or (0, 0, 0)
        parts = parts_of(spec) or 0
        numbers = outputs.reshape(len(outputs), rows * columns, len(spec.classes), parts)
        own = [spec.classes.index(name) for name in self._names]
        heat = numbers[..., own, 0].transpose(0, 2, 1)
        size = self._size or (rows, columns)
        return losses.softened(heat, (rows, columns), size, self._temperature)


def _largest_map(teachers: Sequence[OutputSpec]) -> MapSize | None:
    """Return the size of the teachers' largest heat map; None if no teacher has one."""
    sizes = [
        (output.size[0], output.size[1])
        for output in teachers
        if output.kind == HEAT_MAP and output.size
    ]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _label_columns(truths: Floats) -> _Outputs:
    """Turn truths into label columns: with a weight for each name, and without NaN."""
    names = by_name(truths)
    weight = ~np.isnan(names[..., PRESENCE])
    filled = np.where(np.isnan(names), 0.5, names)
    labels = np.concatenate([filled, weight[..., np.newaxis]], axis=-1)
    return np.concatenate([labels.reshape(len(truths), -1), truths[:, -1:]], axis=1, dtype="f4")


def _moved(truths: Floats, motions: Sequence[Motion]) -> Floats:
    """Return the truths of views; those whose position left the picture are unknown."""
    moved = truths.copy()
    for row, motion in zip(moved, motions, strict=True):
        names = row[:-1].reshape(-1, len(PARTS))
        there = names[:, PRESENCE] == 1
        names[there, :2] = motion.points(names[there, :2])
        names[there, 2:4] = motion.half_sizes(names[there, 2:4])
        left = there & ((names[:, :2] < 0) | (names[:, :2] > 1)).any(axis=1)
        names[left] = np.nan
    return moved


def _refuse_mixtures(augmentation: Augmentation) -> None:
    if augmentation.mixup:
        raise PupilaError(
            f"`mixup` is {augmentation.mixup:g}, but in a mixture of two pictures a thing has no "
            f"one place: write `augmentation` with `mixup: 0`, which is not the default of every "
            f"technique."
        )
