"""Chooses runtimes and images for runtime checks, and decides whether predictions agree."""

from __future__ import annotations

import numpy as np

from pupila.dataset import Dataset
from pupila.evaluation import RuntimeCheck
from pupila.plugin import Runner
from pupila.plugin_registry import installed
from pupila_flows.recipe.schema import EvaluateSection


def runtimes(format: str, section: EvaluateSection) -> list[tuple[Runner, int | None]]:
    """Return the runtimes to check, each with a number of threads; the primary runtime is first."""
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
    """Return `count` images, evenly spaced in the manifest, which is sorted by class and path."""
    if count >= len(images):
        return images
    rows = np.linspace(0, len(images) - 1, count).round().astype(int)
    return Dataset.of(images.frame.iloc[rows], images.classes, images.cache, images.task)


def failure(check: RuntimeCheck, section: EvaluateSection) -> str | None:
    """Return why a runtime check fails, as text; None if predictions agree with the reference."""
    agreement = check.agreement
    if agreement is None:
        return None
    if agreement.labels.value < section.agreement:
        return (
            f"{agreement.labels.value:.3f} of {check.images} images are given the same class as by "
            f"{agreement.reference}; `evaluate.agreement` asks for {section.agreement!r}."
        )
    if not agreement.largest_difference <= section.difference:
        return (
            f"a probability is {agreement.largest_difference:.3f} from that of "
            f"{agreement.reference}; `evaluate.difference` allows {section.difference!r}."
        )
    return None
