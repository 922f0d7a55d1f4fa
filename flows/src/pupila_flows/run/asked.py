"""How often the test images of a run have decided so far.

Each different answer that a verdict was given of is a file in the workspace, under the fingerprint
of the test images; what was published carries those that were known then, for other workspaces. An
unchanged night adds none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pupila.digest import digest_file, digest_json
from pupila.errors import PupilaError
from pupila.store import write_atomically
from pupila_flows.gate.inputs import Question
from pupila_flows.registry import Registry
from pupila_flows.results import Asked
from pupila_flows.workspace import Workspace


def asked(workspace: Workspace, question: Question, registry: Registry | None, name: str) -> Asked:
    """Count the verdicts of a question, and return all that are known of its test images.

    `registry` has the versions of `name`.

    Raises:
        PupilaError: they cannot be noted, or the registry cannot be read.
    """
    try:
        known = _noted(workspace.asked(question.test.fingerprint), question)
    except OSError as error:
        raise PupilaError(
            f"The verdicts on these test images cannot be counted: {error}."
        ) from None
    if registry is not None:
        known.update(_published(registry, name, question.test.fingerprint))
    return Asked(test=question.test.fingerprint, answers=tuple(sorted(known)))


def _noted(folder: Path, question: Question) -> set[str]:
    """Note the answers of a question in a folder, and return all that are noted there."""
    for answers in _answers(question):
        write_atomically(folder / answers, b"")
    return {file.name for file in folder.iterdir() if not file.name.startswith(".")}


def _answers(question: Question) -> Iterator[str]:
    """Yield a digest of what each artifact answers, at the threshold that it ships."""
    for case in question.cases:
        if case.artifact:
            threshold = case.artifact.threshold
            yield digest_json(
                [
                    digest_file(Path(case.artifact.evaluation.probabilities)),
                    threshold.value if threshold else None,
                ]
            )


def _published(registry: Registry, name: str, fingerprint: str) -> Iterator[str]:
    """Yield what the last published version, and the current one, carry of these test images."""
    events = registry.events(name)
    numbers = {events[-1].version, max(event.version for event in events)} if events else set[int]()
    for number in numbers:
        version = registry.find(name, number)
        gate = version.manifest.gate if version else None
        if gate and gate.asked and gate.asked.test == fingerprint:
            yield from gate.asked.answers
