"""The published models that the gate compares new models with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pupila.errors import PupilaError
from pupila_flows.gate.inputs import GateModel, Incumbent
from pupila_flows.jobs.evaluate import Evaluate, evaluation_of
from pupila_flows.recipe.gate import GateSection
from pupila_flows.registry import Version, open_registry
from pupila_flows.registry.addresses import default_address
from pupila_flows.registry.events import withdrawn
from pupila_flows.results import Entry
from pupila_flows.run.context import Run


def registry_address(run: Run) -> str:
    """Return the address of the registry that a run publishes to."""
    return run.plan.registry or default_address(run.workspace.root)


def published_name(run: Run) -> str:
    """Return the name under which a run publishes its versions."""
    section = run.plan.recipe.publish
    return (section and section.name) or run.plan.recipe.name


@dataclass(frozen=True)
class Incumbents:
    """The published versions that the gate compares with: the current version and the anchor.

    The anchor is an older version. Comparing with the anchor prevents slow drift: a series of small
    losses, each of which would pass. Artifacts of the current version and of the anchor are
    evaluated on the images of this run.
    """

    run: Run
    address: str
    version: Version | None
    """The version that is current now; None if no version was published."""
    compared: bool
    """Whether the gate compares with published versions."""
    anchor: Literal["first", "none"] | int = "first"
    """The setting `anchor` of the section `gate`: `first`, `none` or the number of a version."""
    named: tuple[str, ...] = ()
    """Steps in `publish.artifacts`; empty to publish every artifact the gate evaluates."""

    @classmethod
    def of(cls, run: Run, gate: GateSection) -> Incumbents:
        section, compared = run.plan.recipe.publish, bool(gate.against_published.asked)
        if section is None:
            return cls(run, "", None, compared)
        address = registry_address(run)
        current = open_registry(address).current(published_name(run))
        return cls(run, address, current, compared, gate.anchor, section.artifacts)

    def of_entry(self, entry: Entry) -> tuple[Incumbent, ...]:
        """Return the published models that an entry is compared with.

        The model of the current version comes first, then the model of the anchor. The result is
        empty for an entry that is evaluated but not published. If the current version already has
        the artifact of the entry, publishing the artifact again would not be a new release, so the
        artifact is not compared with the anchor again.

        Raises:
            PupilaError: a version cannot be fetched or evaluated.
        """
        version = self.version
        if version is None or not self.compared:
            return ()
        digest = version.artifacts.get(entry.name)
        if digest is None and entry.name not in (self.named or (entry.name,)):
            return ()
        incumbents = [self._incumbent("published", version, entry)]
        anchor = None if digest == entry.artifact else self.anchor_of(entry.name, version)
        if anchor and (digest is None or anchor.artifacts.get(entry.name) != digest):
            incumbents.append(self._incumbent("anchor", anchor, entry))
        return tuple(incumbents)

    def anchor_of(self, name: str, current: Version) -> Version | None:
        """Return the anchor for the step `name`; None if there is no anchor.

        With `anchor: first`, the anchor is the earliest version that was current, was not
        withdrawn, and has an artifact of this step. So the anchor of a step that was added to the
        recipe later is a later version.

        Raises:
            PupilaError: no version has the number that the recipe gives.
        """
        if self.anchor == "none":
            return None
        if isinstance(self.anchor, int):
            return open_registry(self.address).version(current.name, self.anchor)
        return next(
            (version for version in self._past(current.name) if name in version.artifacts), None
        )

    def _past(self, name: str) -> Iterator[Version]:
        """Yield the versions that were current and not withdrawn, oldest first."""
        registry = open_registry(self.address)
        events = registry.events(name)
        gone = withdrawn(events)
        for number in dict.fromkeys(event.version for event in events):
            if number not in gone:
                yield registry.version(name, number)

    def _incumbent(
        self, role: Literal["published", "anchor"], version: Version, entry: Entry
    ) -> Incumbent:
        digest = version.artifacts.get(entry.name)
        known = Incumbent(
            role=role, title=version.title, names=tuple(version.artifacts), artifact=None
        )
        if digest is None or digest == entry.artifact:
            return known.model_copy(update={"same": digest is not None})
        return known.model_copy(update={"artifact": self._evaluate(known, version, entry.name)})

    def _evaluate(self, incumbent: Incumbent, version: Version, name: str) -> GateModel:
        """Evaluate a published artifact on the test and validation images of this run."""
        run = self.run
        artifact = open_registry(self.address).fetch(version, name, run.workspace.store)
        job = Evaluate.of(
            run.workspace,
            f"{incumbent.role}-{name}",
            artifact,
            run.dataset,
            run.positive,
            run.plan.recipe.evaluate,
        )
        outcome = run.orchestrator.do(job)
        if not outcome.made:
            advice = " Name another version as `gate.anchor`, or `none`."
            raise PupilaError(
                f"{name!r} of {incumbent.called} cannot be evaluated: {outcome.reason}"
                f"{advice if incumbent.role == 'anchor' else ''}"
            )
        return GateModel(
            name=incumbent.called,
            evaluation=evaluation_of(outcome.result.value),
            threshold=artifact.record.threshold,
        )


def check_anchor(run: Run) -> None:
    """Check that the version that `gate.anchor` names exists, before anything is trained.

    Raises:
        PupilaError: the version does not exist.
    """
    gate, publish = run.plan.recipe.gate, run.plan.recipe.publish
    if gate is None or publish is None or isinstance(gate.anchor, str):
        return
    try:
        open_registry(registry_address(run)).version(published_name(run), gate.anchor)
    except PupilaError as error:
        raise PupilaError(f"`gate.anchor` is {gate.anchor!r}. {error}") from None
