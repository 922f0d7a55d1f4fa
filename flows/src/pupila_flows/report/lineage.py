"""Who descends from whom: the teachers behind a step, and the controls that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pupila.evaluation import Evaluation, Measurement
from pupila.plugin import Technique
from pupila.plugin_registry import installed
from pupila_flows.results import Entry


@dataclass(frozen=True)
class EvaluatedArtifact:
    """An entry whose evaluation is there."""

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
    """The entries of a run, seen as a graph."""

    entries: dict[str, Entry]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Lineage:
        return cls({entry.name: entry for entry in entries})

    def parents(self, entry: Entry) -> list[Entry]:
        """Return the entries that it was made from directly."""
        return [self.entries[name] for name in entry.inputs if name in self.entries]

    def is_control(self, entry: Entry) -> bool:
        """True for a step that no teacher had a part in."""
        return entry.kind == "step" and not entry.taught

    def is_partial(self, entry: Entry) -> bool:
        """True for a step that was not shown all images, and for what was made from one."""
        return bool(entry.without) or any(self.is_partial(each) for each in self.parents(entry))

    def trained(self, entry: Entry) -> Entry:
        """Return the step that an entry is another format of: the last in which it was trained."""
        training = {each.name for each in installed().all(Technique) if each.seeded}
        while entry.uses not in training and len(parents := self.parents(entry)) == 1:
            if parents[0].kind == "teacher":
                break
            (entry,) = parents
        return entry

    def is_final(self, entry: Entry) -> bool:
        """True where nothing was made from it."""
        return all(entry.name not in other.inputs for other in self.entries.values())

    def reference(self, entry: Entry) -> EvaluatedArtifact | None:
        """Return the judged teacher that an entry is compared with, where there is one."""
        teacher = self.entries.get(entry.reference) if entry.reference else None
        return (
            EvaluatedArtifact(teacher, teacher.evaluation)
            if teacher and teacher.evaluation
            else None
        )

    def judged(self) -> list[EvaluatedArtifact]:
        """Return every entry that has an evaluation, in the order of the run."""
        return [
            EvaluatedArtifact(entry, entry.evaluation)
            for entry in self.entries.values()
            if entry.evaluation
        ]

    def measured(self) -> list[tuple[Entry, Measurement]]:
        """Return every entry whose cost is known, in the order of the run, judged or not."""
        costs = ((each, each.evaluation or each.measurement) for each in self.entries.values())
        return [(entry, cost) for entry, cost in costs if cost]

    def pupils(self) -> list[EvaluatedArtifact]:
        """Return the judged steps that a teacher had a part in, but for those that failed after."""
        return [
            judged
            for judged in self.judged()
            if judged.entry.kind == "step"
            and not self.is_control(judged.entry)
            and not judged.entry.error
        ]
