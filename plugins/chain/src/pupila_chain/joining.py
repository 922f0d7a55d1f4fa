"""Joins a filter, a locator and a classifier into an artifact of format `chain`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from pupila import Artifact, InputSpec, Step, StepResult
from pupila.artifact import Record
from pupila.measured import Measured
from pupila_chain.config import FORMAT, Chain
from pupila_chain.files import (
    CLASSIFIER,
    FILTER,
    LOCATOR,
    NAME,
    ChainFile,
    StageFile,
    StageName,
    folder_of,
    given_model,
)

_PRESENT = 0.5
"""Presence from which a thing counts as there, unless the locator ships with another threshold."""
_NAMES: tuple[StageName, ...] = (FILTER, LOCATOR, CLASSIFIER)


def join(step: Step[Chain]) -> StepResult:
    """Copy the shipped files of the models, and write how they are joined into `chain.json`.

    The output and the threshold are those of the classifier, the last input.

    Raises:
        PupilaError: the models do not fit each other or the settings.
    """
    config, models = step.config, step.inputs
    names = _NAMES[-len(models) :]
    config.check_inputs(len(models))
    config.check_models(
        [given_model(name, model.record) for name, model in zip(names, models, strict=True)]
    )
    locator, classifier = models[-2:]
    picture = InputSpec(height=config.size, width=config.size, fit="surround")
    threshold = locator.record.threshold
    content = ChainFile(
        input=picture,
        stages=tuple(
            StageFile(name=name, record=_copy(model, step.output / folder_of(name)))
            for name, model in zip(names, models, strict=True)
        ),
        routes={
            **({config.photograph: LOCATOR} if config.photograph else {}),
            **({config.crop: CLASSIFIER} if config.crop else {}),
        },
        present_from=threshold.value if threshold else _PRESENT,
        margin=config.margin,
    )
    (step.output / NAME).write_text(content.model_dump_json(indent=2))
    return StepResult(
        format=FORMAT,
        input=picture,
        output=classifier.record.output,
        parameters=_total(model.record.parameters for model in models),
        macs=_total(model.record.macs for model in models),
        untrained=any(model.record.untrained for model in models),
        threshold=classifier.record.threshold,
    )


def _copy(model: Artifact, folder: Path) -> Record:
    """Copy the shipped files of a model into a folder, and return its record without the rest."""
    record = model.record
    names = [record.shipped] if record.shipped else list(record.files)
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(model.path / name, target)
    files = {name: record.files[name] for name in names}
    return record.model_copy(update={"files": files, "measured": Measured()})


def _total(numbers: Iterable[int | None]) -> int | None:
    """Return the sum; None if a number is not known."""
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)
