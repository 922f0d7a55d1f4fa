"""Who descends from whom: the teachers behind a step, and the controls that have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pupila.evaluation import Evaluation
from pupila_flows.results import Entry


@dataclass(frozen=True)
class Judged:
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

    def teachers(self, entry: Entry) -> list[Entry]:
        """Return the teachers behind a step, in the order of the recipe; of a teacher, itself."""
        behind = self._behind(entry)
        return [
            other
            for other in self.entries.values()
            if other.kind == "teacher" and other.name in behind
        ]

    def is_control(self, entry: Entry) -> bool:
        """True for a step that no teacher had a part in."""
        return entry.kind == "step" and not entry.taught

    def is_final(self, entry: Entry) -> bool:
        """True where nothing was made from it."""
        return all(entry.name not in other.inputs for other in self.entries.values())

    def reference(self, entry: Entry) -> Judged | None:
        """Return the judged teacher that an entry is compared with; for a teacher, None.

        It is the one its agreement names, else the first behind it, else (of a control) the
        first of the run.
        """
        if entry.kind == "teacher":
            return None
        every = [other for other in self.entries.values() if other.kind == "teacher"]
        judged = [
            Judged(other, other.evaluation)
            for other in self.teachers(entry) or every
            if other.evaluation
        ]
        agreement = entry.evaluation and entry.evaluation.agreement
        named = [teacher for teacher in judged if agreement and teacher.name == agreement.reference]
        return next(iter(named or judged), None)

    def judged(self) -> list[Judged]:
        """Return every entry that has an evaluation, in the order of the run."""
        return [
            Judged(entry, entry.evaluation) for entry in self.entries.values() if entry.evaluation
        ]

    def pupils(self) -> list[Judged]:
        """Return the judged steps that a teacher had a part in."""
        return [
            judged
            for judged in self.judged()
            if judged.entry.kind == "step" and not self.is_control(judged.entry)
        ]

    def _behind(self, entry: Entry) -> set[str]:
        found: set[str] = set()
        waiting = [entry]
        while waiting:
            current = waiting.pop()
            if current.name not in found:
                found.add(current.name)
                waiting += self.parents(current)
        return found
