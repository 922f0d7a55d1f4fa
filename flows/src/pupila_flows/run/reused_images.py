"""Counts how many models have been accepted or rejected on a run's test images so far.

A model counts as new if its predictions or its threshold are new. For each model that got a
verdict, the workspace has a file in a folder named by the fingerprint of the test images. A
published version lists all models known at its publication, so that other workspaces count these
models too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pupila.digest import digest_file, digest_json
from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_flows.gate.inputs import GateInputs
from pupila_flows.registry import Registry
from pupila_flows.results import ReusedTestImages
from pupila_flows.workspace import Workspace


def count_verdicts(
    workspace: Workspace, inputs: GateInputs, registry: Registry | None, name: str
) -> ReusedTestImages:
    """Record the gate's models; return all models that got a verdict on the same test images.

    `inputs` has the gate's models and test images. A model is recorded as the digest of its
    predictions and threshold. If `registry` is not None, models that published versions of `name`
    list are returned too.

    Raises:
        PupilaError: the records cannot be written, or the registry cannot be read.
    """
    try:
        known = _record(workspace.verdicts_on(inputs.test.fingerprint), inputs)
    except OSError as error:
        raise PupilaError(
            f"The verdicts on these test images cannot be counted: {error}."
        ) from None
    if registry is not None:
        known.update(_published(registry, name, inputs.test.fingerprint))
    return ReusedTestImages(test=inputs.test.fingerprint, answers=tuple(sorted(known)))


def _record(folder: Path, inputs: GateInputs) -> set[str]:
    """Write a file per model into a folder, and return all file names there."""
    for answers in _answers(inputs):
        write_atomically(folder / answers, b"")
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def _answers(inputs: GateInputs) -> Iterator[str]:
    """Yield for each artifact a digest of its predictions and threshold."""
    for case in inputs.cases:
        if case.artifact:
            threshold = case.artifact.threshold
            yield digest_json(
                [
                    digest_file(Path(case.artifact.evaluation.probabilities)),
                    threshold.value if threshold else None,
                ]
            )


def _published(registry: Registry, name: str, fingerprint: str) -> Iterator[str]:
    """Yield the digests for these test images in the last published and the current version."""
    events = registry.events(name)
    numbers = {events[-1].version, max(event.version for event in events)} if events else set[int]()
    for number in numbers:
        version = registry.find(name, number)
        gate = version.manifest.gate if version else None
        if gate and gate.reused_test_images and gate.reused_test_images.test == fingerprint:
            yield from gate.reused_test_images.answers
