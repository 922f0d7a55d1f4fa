"""The graph of a run's entries: their inputs, their teachers, and which of them are controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pupila.evaluation import Evaluation, Measurement
from pupila.plugin import Technique
from pupila.plugin_registry import installed
from pupila_flows.results import Entry


@dataclass(frozen=True)
class EvaluatedArtifact:
    """An entry with its evaluation."""

    entry: Entry
    evaluation: Evaluation

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def size_bytes(self) -> int:
        return self.evaluation.cost.size_bytes


@dataclass(frozen=True)
class Lineage:
    """The entries of a run as a graph."""

    entries: dict[str, Entry]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Lineage:
        return cls({entry.name: entry for entry in entries})

    def parents(self, entry: Entry) -> list[Entry]:
        """Return the entries that an entry was directly made from."""
        return [self.entries[name] for name in entry.inputs if name in self.entries]

    def is_control(self, entry: Entry) -> bool:
        """Return whether an entry is a step that was made without any teacher."""
        return entry.kind == "step" and not entry.taught

    def is_partial(self, entry: Entry) -> bool:
        """Return whether an entry, or a step it was made from, was trained without some images."""
        return bool(entry.excluded) or any(
            self.is_partial(parent) for parent in self.parents(entry)
        )

    def trained(self, entry: Entry) -> Entry:
        """Return the entry in which a model was trained.

        If `entry` is an export, this is an earlier entry, from which the export was made.
        """
        training = {technique.name for technique in installed().all(Technique) if technique.seeded}
        while entry.uses not in training and len(parents := self.parents(entry)) == 1:
            if parents[0].kind == "teacher":
                break
            (entry,) = parents
        return entry

    def is_final(self, entry: Entry) -> bool:
        """Return whether an entry is not the input of any other entry."""
        return all(entry.name not in other.inputs for other in self.entries.values())

    def reference(self, entry: Entry) -> EvaluatedArtifact | None:
        """Return the evaluated teacher that an entry is compared with, if any."""
        teacher = self.entries.get(entry.reference) if entry.reference else None
        return (
            EvaluatedArtifact(teacher, teacher.evaluation)
            if teacher and teacher.evaluation
            else None
        )

    def evaluated(self) -> list[EvaluatedArtifact]:
        """Return every entry that has an evaluation, in the order of the run."""
        return [
            EvaluatedArtifact(entry, entry.evaluation)
            for entry in self.entries.values()
            if entry.evaluation
        ]

    def measured(self) -> list[tuple[Entry, Measurement]]:
        """Return every entry whose cost is known, in the order of the run, evaluated or not."""
        costs = ((entry, entry.evaluation or entry.measurement) for entry in self.entries.values())
        return [(entry, cost) for entry, cost in costs if cost]

    def pupils(self) -> list[EvaluatedArtifact]:
        """Return the evaluated steps made with a teacher, except those that failed afterwards."""
        return [
            artifact
            for artifact in self.evaluated()
            if artifact.entry.kind == "step"
            and not self.is_control(artifact.entry)
            and not artifact.entry.error
        ]
