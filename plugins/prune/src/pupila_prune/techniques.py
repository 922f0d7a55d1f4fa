"""The technique: rank, cut, retrain, judge, and again.

Molchanov et al. 2019 cut a few filters every few steps of training; here each round cuts to a
target, retrains for some epochs, and is judged on the validation images. Of N parameters, with the
sparsity s, round r of R leaves N · (1 - s)^(r/R): each cuts the same part of what is left.

A round trains on the labels and on what the uncut model answers to the same pictures (see
`pupila.training.loss`); these answers are computed once. The first round whose accuracy on the
validation images is lower than the uncut model's by more than the budget is the last. Kept is the
smallest model within the budget; where the very first round is not, it is kept all the same, and
`measured` says so. A budget is checked on the very images that choose, so what is kept is judged
anew, on others, by whoever asks for a verdict.

A killed run goes on at its last epoch: the model of each finished round lies in `scratch`, and so
does the state of the one that is being retrained.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from pupila import Artifact, Dataset, Product, Progress, PupilaError, Step
from pupila.digest import digest_json
from pupila.keras_files import import_keras, load, macs, parameters, save
from pupila.keras_graphs import flatten
from pupila.training.batches import Images, epoch_batches
from pupila.training.checkpoint import Checkpoint, Course
from pupila.training.fitting import fit
from pupila.training.loss import distillation_loss
from pupila.training.targets import labels_of, labels_of_views, packed, softened_mean
from pupila.views import AS_IS
from pupila_prune.channels import Channels
from pupila_prune.config import FilterPruning
from pupila_prune.graph import channels_of
from pupila_prune.heads import logits_of, trained_form, with_answer
from pupila_prune.rebuild import rebuild
from pupila_prune.rounds import Round, Rounds
from pupila_prune.saliency import Scores, magnitude, taylor
from pupila_prune.selection import choose, floors

keras = import_keras()

_MOST_RANKED = 512
"""Training images by which units are ranked, at most, drawn anew for each seed."""


@dataclass(frozen=True)
class Lesson:
    """What is learned in every round."""

    train: Images
    """Labels and the uncut model's answers, for each view."""
    validation: Images
    ranked: Images
    """The training images as they are, with their labels."""


def prune_filters(step: Step[FilterPruning]) -> Product:
    """Cut filters in rounds, and retrain after each; keep the smallest model within the budget.

    Raises:
        PupilaError: the model is no graph of Keras' own layers, does not end as declared, has a
            weight that is no number, or nothing that can be cut; or the loss of a round is no
            longer a number.
    """
    (artifact,) = step.inputs
    model = _opened(artifact)
    lesson, rounds = _lesson(step, artifact), Rounds(step.scratch, _key(step))
    channels = channels_of(model)
    least = floors(channels, step.config.least)
    rounds.begin(_uncut(step, artifact, model))
    total = parameters(model)
    model = rounds.last_model() or model
    while not rounds.ended(step.config):
        thinner = _cut(step, model, lesson, rounds, total, least)
        if thinner is None:
            break
        model = thinner
        _retrain(step, model, lesson, rounds)
    if len(rounds.curve) == 1:
        raise _nothing_to_cut(artifact, channels, step.config)
    return _product(step, artifact, rounds, channels)


def _opened(artifact: Artifact) -> Any:
    """Return a flat copy of the model, all of it trainable, that gives logits."""
    model = flatten(load(artifact))
    for layer in model.layers:
        for weight in layer.weights:
            wrong = int((~np.isfinite(np.asarray(weight))).sum())
            if wrong:
                raise PupilaError(
                    f"The layer {layer.name!r} of the model has {wrong} entries of {weight.name!r} "
                    f"that are NaN or infinite, where numbers were expected. Train the model anew, "
                    f"or give another."
                )
    return logits_of(model, artifact.record.output.kind)


def _lesson(step: Step[FilterPruning], artifact: Artifact) -> Lesson:
    """Gather pictures, labels and the uncut model's answers, in the order of its own columns."""
    config, size = step.config, artifact.record.input
    train, validation = _split(step, "train"), _split(step, "validation")
    answers = step.predictions.of_views(artifact, train, config.augmentation, step.progress)
    judged = step.predictions.of(artifact, validation, step.progress)
    columns = [train.classes.index(name) for name in artifact.record.output.classes]

    def told(labels: Any, answers: Any) -> Any:
        mean = softened_mean([answers], [1.0], config.temperature)
        return packed(labels[:, columns], mean[:, columns])

    labels = labels_of_views(train, config.augmentation)
    plain = [labels_of(train)[:, columns]]
    return Lesson(
        train=Images.of(train, size, list(map(told, labels, answers)), config.augmentation),
        validation=Images.of(validation, size, [told(labels_of(validation), judged)], AS_IS),
        ranked=Images.of(train, size, plain, AS_IS, min(len(train), _MOST_RANKED)),
    )


def _split(step: Step[FilterPruning], split: str) -> Dataset:
    if step.dataset is None:
        raise ValueError("needs_data was declared, but the step was given no dataset")
    return step.dataset.select(split)


def _key(step: Step[FilterPruning]) -> str:
    """Digest of all that determines the weights."""
    data = [_split(step, split).fingerprint for split in ("train", "validation")]
    models = [artifact.digest for artifact in step.inputs]
    return digest_json([step.config.model_dump(), step.seed, data, models])


def _uncut(step: Step[FilterPruning], artifact: Artifact, model: Any) -> Round:
    """Describe the model as it was given."""
    validation = _split(step, "validation")
    answers = step.predictions.of(artifact, validation, step.progress)
    correct = answers.argmax(axis=-1) == validation.labels
    return Round(parameters(model), 0.0, float(correct.mean()), macs(model), {})


def _cut(
    step: Step[FilterPruning],
    model: Any,
    lesson: Lesson,
    rounds: Rounds,
    total: int,
    least: dict[str, int],
) -> Any:
    """Return the thinner model of the next round; None where nothing more can be cut."""
    keras.utils.set_random_seed(step.seed)
    channels = channels_of(model)
    share = (1 - step.config.sparsity) ** (len(rounds.curve) / step.config.rounds)
    scores = _scores(step, model, channels, lesson)
    keep = choose(channels, scores, total * share, least)
    return None if keep.all() else rebuild(model, channels, keep)


def _scores(step: Step[FilterPruning], model: Any, channels: Channels, lesson: Lesson) -> Scores:
    if step.config.saliency == "magnitude":
        return magnitude(model, channels)
    form = trained_form(model, step.inputs[0].record.output.kind)
    batches = epoch_batches(lesson.ranked, 0, step.seed, step.config.batch_size)
    return taylor(form, channels, batches)


def _retrain(step: Step[FilterPruning], model: Any, lesson: Lesson, rounds: Rounds) -> None:
    """Train a thinner model, and remember it with its figures."""
    config, number = step.config, len(rounds.curve)
    checkpoint = Checkpoint(step.scratch / "training.npz", f"{rounds.key}, round {number}")
    course = fit(
        trained_form(model, step.inputs[0].record.output.kind),
        distillation_loss(config.alpha, config.temperature),
        lesson.train,
        lesson.validation,
        config,
        step.seed,
        checkpoint,
        partial(_of_all_rounds, step.progress, number, config.rounds),
    )
    rounds.add(_figures(model, course, rounds.curve[0].parameters), model)


def _of_all_rounds(
    progress: Progress, number: int, rounds: int, done: int, total: int, what: str
) -> None:
    """Report the progress of one round as that of all."""
    progress((number - 1) * total + done, rounds * total, f"{what}, round {number} of {rounds}")


def _figures(model: Any, course: Course, total: int) -> Round:
    left = parameters(model)
    best = course.history[course.best_epoch]
    names = {name: name.replace("val_", "validation_") for name in sorted(best)}
    history = {
        shown: [round(figures[name], 4) for figures in course.history]
        for name, shown in names.items()
    }
    return Round(left, 1 - left / total, best["val_accuracy"], macs(model), history)


def _nothing_to_cut(artifact: Artifact, channels: Channels, config: FilterPruning) -> PupilaError:
    kept = ", ".join(map(repr, channels.untouched[:5])) or "none"
    return PupilaError(
        f"Nothing can be cut from the model {artifact.digest[:12]}: it has {channels.count} groups "
        f"of channels, `least` keeps {config.least!r} of each layer's filters, and layers that are "
        f"not understood are: {kept}. Lower `least`, or make a small model with `distill`."
    )


def _product(
    step: Step[FilterPruning], artifact: Artifact, rounds: Rounds, channels: Channels
) -> Product:
    """Write the model that is kept, and describe it."""
    chosen = rounds.chosen(step.config.budget)
    model = with_answer(rounds.model(chosen), artifact.record.output)
    save(model, step.output)
    return Product.like(
        artifact,
        format="keras",
        parameters=parameters(model),
        macs=macs(model),
        measured=rounds.measured(step.config) | {"untouched": list(channels.untouched)},
    )
