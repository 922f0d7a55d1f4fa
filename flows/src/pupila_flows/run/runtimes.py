"""Which runtimes an artifact is tried in, on which images, and what its answers must be like."""

from __future__ import annotations

import numpy as np

from pupila.dataset import Dataset
from pupila.evaluation import RuntimeCheck
from pupila.plugin import Runner
from pupila.plugin_registry import installed
from pupila_flows.recipe.schema import EvaluateSection


def runtimes(format: str, section: EvaluateSection) -> list[tuple[Runner, int | None]]:
    """Return the runtimes for artifacts of a format, their own first, and numbers of threads."""
    registry = installed()
    named = [registry.runtime(name) for name in dict.fromkeys(section.runtimes)]
    own = registry.runner(format)
    fitting = [own, *(runner for runner in named if runner.format == format and runner != own)]
    return [
        (runner, threads)
        for runner in fitting
        for threads in ((section.threads or (None,)) if runner.threaded else (1,))
    ]


def probe(images: Dataset, count: int) -> Dataset:
    """Return some images, spread evenly over all: a manifest is in order of class and path."""
    if count >= len(images):
        return images
    rows = np.linspace(0, len(images) - 1, count).round().astype(int)
    return Dataset.of(images.frame.iloc[rows], images.classes, images.cache)


def failure(trial: RuntimeCheck, section: EvaluateSection) -> str | None:
    """Say how far answers are from what they must be; None where they are near enough."""
    found = trial.agreement
    if found is None:
        return None
    if found.labels.value < section.agreement:
        return (
            f"{found.labels.value:.3f} of {trial.images} images are given the same class as by "
            f"{found.reference}; `evaluate.agreement` asks for {section.agreement!r}."
        )
    if not found.largest_difference <= section.difference:
        return (
            f"a probability is {found.largest_difference:.3f} from that of {found.reference}; "
            f"`evaluate.difference` allows {section.difference!r}."
        )
    return None
