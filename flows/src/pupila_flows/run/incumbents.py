"""What is published now, as the gate compares with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pupila.errors import PupilaError
from pupila_flows.gate.inputs import Side
from pupila_flows.jobs.evaluate import Evaluate, evaluation_of
from pupila_flows.recipe.gate import GateSection
from pupila_flows.registry import Version, open_registry
from pupila_flows.registry.addresses import default_address
from pupila_flows.results import Entry
from pupila_flows.run.context import Run
from pupila_flows.run.prefect_tasks import reason_of, result_of, run_job


@dataclass(frozen=True)
class Incumbents:
    """What is published now, to be judged on the test images of a run."""

    run: Run
    address: str
    version: Version | None
    compared: bool
    """Whether the gate asks anything against it."""
    named: tuple[str, ...] = ()
    """Steps that `publish.artifacts` names; none where all that are judged are published."""

    @classmethod
    def of(cls, run: Run, gate: GateSection) -> Incumbents:
        section, compared = run.plan.recipe.publish, bool(gate.against_published.asked)
        if section is None:
            return cls(run, "", None, compared)
        address = run.plan.registry or default_address(run.workspace.root)
        current = open_registry(address).current(section.name or run.plan.recipe.name)
        return cls(run, address, current, compared, section.artifacts)

    def standing(self, entry: Entry) -> Literal["same", "missing"] | None:
        """Tell where an entry is the very artifact that is published, or none has its name.

        What is judged only, and not to be published, is not missing there.
        """
        if self.version is None or not self.compared:
            return None
        digest = self.version.artifacts.get(entry.name)
        if digest is not None:
            return "same" if digest == entry.artifact else None
        return "missing" if entry.name in (self.named or (entry.name,)) else None

    def of_entry(self, entry: Entry) -> Side | None:
        """Return what is published under the name of an entry, judged; None where nothing is.

        What is that very artifact needs no judgement beside the entry's own.

        Raises:
            PupilaError: it cannot be had, or judged.
        """
        run, version = self.run, self.version
        if version is None or not self.compared:
            return None
        if version.artifacts.get(entry.name, entry.artifact) == entry.artifact:
            return None
        artifact = open_registry(self.address).fetch(version, entry.name, run.workspace.store)
        job = Evaluate.of(
            run.workspace,
            f"published-{entry.name}",
            artifact,
            run.dataset,
            run.positive,
            run.plan.recipe.evaluate,
        )
        state = run_job(job)
        if not state.is_completed():
            raise PupilaError(
                f"{entry.name!r} of {version.title}, which is published, cannot be judged: "
                f"{reason_of(state)}"
            )
        evaluation = evaluation_of(result_of(state).value)
        return Side(name=version.title, evaluation=evaluation, threshold=artifact.record.threshold)
