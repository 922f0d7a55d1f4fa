"""What a run came to: written as `result.json`, read by the report and by other programs."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pupila.artifact import Record
from pupila.chance import ChanceCheck
from pupila.errors import join_names
from pupila.evaluation import Estimate, Evaluation, Measurement, RuntimeCheck
from pupila.external import ExternalEvaluation
from pupila.measured import Measured, Timings
from pupila.noninferiority import LEVEL
from pupila.shift.figures import ShiftFigures

_MANY_TIMES = 10
"""From this multiple on, a number of images is given as a multiple of those there are."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Model):
    """One thing that data validation looked at."""

    name: str = Field(description="What was checked, in words: 'No image in two splits'.")
    severity: Literal["error", "warning"] = Field(description="What a failure means.")
    passed: bool
    found: str = Field(description="What was found, with figures.")
    advice: str = Field(default="", description="What to do about a failure.")
    images: tuple[str, ...] = Field(default=(), description="Paths of the first offending images.")
    shortcut: bool = Field(
        default=False,
        description="It asks whether something other than the finding tells the class.",
    )


class DataSummary(_Model):
    """The data of a run and what validation said of it."""

    path: str
    fingerprint: str
    classes: tuple[str, ...]
    positive: str
    counts: dict[str, dict[str, int]] = Field(description="Images by split, then class.")
    checks: tuple[Check, ...]
    data_docs: str | None = Field(description="Path of the Data Docs index page.")

    @property
    def passed(self) -> bool:
        """True unless a check that stops a run failed."""
        return all(check.passed for check in self.checks if check.severity == "error")


class SkippedImage(_Model):
    """A file that was to be judged by, and cannot be read."""

    path: str
    reason: str


class ExternalSet(_Model):
    """Images of another place, by which models were judged, and no more."""

    name: str
    path: str
    fingerprint: str
    images: int
    patients: int | None = Field(description="None where they are not known.")
    counts: dict[str, int] | None = Field(description="By class; None where there are no labels.")
    skipped: tuple[SkippedImage, ...] = Field(
        default=(), description="Files that cannot be read, of which no figure tells."
    )


class ExternalResult(_Model):
    """What one model came to on one set of images of another place."""

    name: str = Field(description="Of the set.")
    evaluation: ExternalEvaluation | None = Field(
        default=None, description="None where it could not be judged."
    )
    differences: dict[str, Estimate] = Field(
        default_factory=dict,
        description="Paired, its figures less those of its teacher: accuracy, auc, sensitivity, "
        "specificity; what cannot be compared is left out.",
    )
    error: str | None = Field(default=None, description="Why it could not be judged.")


class Tried(_Model):
    """One runtime that an artifact was tried in."""

    runtime: str = Field(description="Name of the runner.")
    threads: int | None = Field(description="How many were asked for; None for those of the run.")
    trial: RuntimeCheck | None = Field(default=None, description="None where it did not run.")
    failure: str | None = Field(
        default=None, description="Why it did not run, or how far its answers are off."
    )


class Entry(_Model):
    """One node of the recipe's graph: a teacher, or a step, with its artifact and judgement."""

    name: str
    kind: Literal["teacher", "step"]
    uses: str = Field(description="Name of the plugin, or of the teacher's loader.")
    inputs: tuple[str, ...] = Field(default=(), description="Names of the nodes it was made from.")
    config: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = Field(
        default=None, description="Seed it was trained with; none if unseeded."
    )
    repeats: str | None = Field(
        default=None, description="Name of the entry that this one repeats with another seed."
    )
    control: str | None = Field(
        default=None, description="Name of the entry that was made alike, but without a teacher."
    )
    reference: str | None = Field(
        default=None,
        description="Name of the teacher that it is compared with: of several, the best.",
    )
    taught: bool = Field(default=False, description="A teacher had a part in it.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="What a sweep varied, by `step.setting`, in its making."
    )
    without: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Images that it was not shown, by values of a manifest's columns.",
    )
    chance: ChanceCheck | None = Field(
        default=None,
        description="Of a teacher: whether it is above chance on the validation images.",
    )
    artifact: str | None = Field(default=None, description="Digest, where it was made.")
    record: Record | None = None
    timings: Timings = Field(
        default_factory=Timings,
        description="What a clock measured in its making, by its place in `record.measured`.",
    )
    evaluation: Evaluation | None = None
    shift: ShiftFigures | None = Field(
        default=None, description="How it answers beside its teacher on altered images."
    )
    measurement: Measurement | None = Field(
        default=None, description="Size and speed of what was never trained."
    )
    external: tuple[ExternalResult, ...] = Field(
        default=(), description="Its figures on images of other places, by set."
    )
    unjudged: str | None = Field(
        default=None, description="Why it was not judged, where it tells classes apart."
    )
    tried: tuple[Tried, ...] = Field(default=(), description="The runtimes it was tried in.")
    cached: bool = Field(default=False, description="Nothing was executed for it in this run.")
    seconds: float = Field(default=0, description="Wall time of making it in this run.")
    error: str | None = Field(default=None, description="Why there is no artifact or judgement.")

    @property
    def measured(self) -> Measured:
        """What was measured in its making, times too; nothing where it was not made."""
        return self.record.measured.timed(self.timings) if self.record else Measured()


Verdict = Literal["pass", "fail", "inconclusive"]


class WrongImage(_Model):
    """A validation image that an artifact gets wrong."""

    path: str
    truth: str
    answer: str = Field(description="Class that the artifact gives it.")
    other: str | None = Field(
        default=None, description="Class that the model compared with gives it; None without one."
    )


class Finding(_Model):
    """One condition of the gate, asked of one artifact."""

    condition: str = Field(
        description="accuracy, auc, sensitivity, agreement, size, latency, …: a name of the recipe."
    )
    against: str | None = Field(
        default=None,
        description="A teacher's name, `published`, or `anchor`; None where a limit is set.",
    )
    group: str | None = Field(
        default=None, description="`site = North` where only those test images count."
    )
    external: str | None = Field(
        default=None,
        description="Name of the set of another place whose images were asked about; None for the "
        "test images.",
    )
    verdict: Verdict
    value: float = Field(description="Of the artifact; fractions are 0..1, or bytes, or ms.")
    other: float | None = Field(default=None, description="Of what it is compared with.")
    difference: Estimate | None = Field(default=None, description="Paired: `value` - `other`.")
    interval: Estimate | None = Field(
        default=None, description="Of `value`, where it is held against a limit."
    )
    limit: float = Field(description="The margin, or the limit, that the recipe sets.")
    p_value: float | None = Field(default=None, description="Of a difference at the margin.")
    needs_images: int | None = Field(
        default=None, description="Test images that would decide it, where it is inconclusive."
    )
    tested: int | None = Field(default=None, description="Test images that it was asked of.")
    images: tuple[WrongImage, ...] = Field(
        default=(),
        description="Validation images that only the artifact gets wrong, or answers otherwise "
        "than the teacher, worst first: who looks at the test images needs fresh ones.",
    )
    text: str = Field(description="What was found, in one sentence.")
    advice: str = Field(default="", description="What to try, where it did not pass.")

    @property
    def where(self) -> str:
        """Which images were asked about: `where site = North`, `on clinic-b`; empty for all."""
        if self.external:
            return f"on {self.external}"
        return f"where {self.group}" if self.group else ""

    @property
    def needs(self) -> str:
        """`needs_images` in words, to one digit where it is more than ten times what there is."""
        if self.needs_images is None:
            return ""
        times = self.needs_images / self.tested if self.tested else 0
        if times <= _MANY_TIMES:
            return f"{self.needs_images:,}"
        size = 10 ** int(math.log10(times))
        return f"more than {int(times / size) * size:,} times as many"


class ArtifactVerdict(_Model):
    """What the gate says of one entry's artifact: the worst of its findings."""

    entry: str
    verdict: Verdict
    made: str = Field(default="", description="What was tried: how it was made, in words.")
    findings: tuple[Finding, ...]


class Asked(_Model):
    """How often the test images have decided: of many bad models one is lucky."""

    test: str = Field(description="Fingerprint of the test images.")
    answers: tuple[str, ...] = Field(
        description="Digests of the different answers, and thresholds, that a verdict was given of "
        "so far, this run's among them: those that this workspace and the registry know."
    )

    @property
    def chance(self) -> float:
        """Probability that one of so many models passes, each worse by just the margin.

        It is `1 - (1 - LEVEL)^k`, of k models that err independently; those that err alike have
        less.
        """
        return 1 - (1 - LEVEL) ** len(self.answers)


class GateResult(_Model):
    """What the gate says of a run: the worst of its artifacts."""

    verdict: Verdict
    artifacts: tuple[ArtifactVerdict, ...]
    published: str | None = Field(
        default=None, description="What was published before and compared with: `version 2`."
    )
    anchor: str | None = Field(
        default=None, description="The earlier version that was compared with too: `version 1`."
    )
    published_manifest: str | None = Field(
        default=None, description="SHA-256 of that version's manifest, which no other version has."
    )
    reason: str | None = Field(
        default=None, description="Why nothing was judged, where nothing was."
    )
    untraced: tuple[str, ...] = Field(
        default=(),
        description="What was compared with and may have been trained on the test images: which "
        "images it was trained on, or a model it was made from, is not known.",
    )
    asked: Asked | None = Field(
        default=None, description="How often these test images decided; None where nothing was."
    )
    patients: int | None = Field(
        default=None,
        description="Patients whose images the test images are; None where the data does not tell, "
        "so that each image was taken for another patient's.",
    )
    best: str | None = Field(
        default=None,
        description="Where none passed, the entry that came nearest; its artifact is kept.",
    )


class Publication(_Model):
    """What became of a run's artifacts in the registry."""

    registry: str = Field(description="Address of the registry.")
    name: str = Field(description="What its versions are versions of.")
    outcome: Literal["published", "unchanged", "withheld"] = Field(
        description="A new version is current; the current one holds these artifacts already; or "
        "nothing was published."
    )
    version: int | None = Field(
        description="The version that is current and holds the artifacts; None where withheld."
    )
    reason: str = Field(description="Why it was published, or was not, in one sentence.")
    overridden_by: str | None = Field(
        default=None, description="Who published it though the gate did not pass."
    )
    head: str | None = Field(
        default=None,
        description="SHA-256 of the event that made it current: what `pupila verify --head` takes.",
    )


class RunResult(_Model):
    """A whole run."""

    name: str
    recipe_path: str
    recipe_text: str
    seed: int
    synthetic: bool = Field(description="The data was generated: nothing here is medical.")
    started: str = Field(description="ISO 8601, UTC.")
    seconds: float
    data: DataSummary
    entries: tuple[Entry, ...] = Field(description="Teachers first, then steps in order.")
    external: tuple[ExternalSet, ...] = Field(
        default=(), description="Images of other places, by which models were judged, and no more."
    )
    sweep: dict[str, tuple[Any, ...]] = Field(
        default_factory=dict, description="Values tried by `step.setting`; empty in a plain run."
    )
    choose_by: Literal["accuracy", "fidelity"] = Field(
        default="accuracy", description="By what a point of the sweep was chosen."
    )
    specificity: float = Field(
        description="Specificity for which the validation images chose thresholds."
    )
    gate: GateResult | None = Field(default=None, description="None where the recipe has no gate.")
    publication: Publication | None = Field(
        default=None, description="None where the recipe publishes nothing."
    )
    machine: str = Field(description="Processor, cores, memory, operating system.")
    versions: dict[str, str] = Field(description="Distributions that took part.")
    test_images: tuple[str, ...] = Field(
        default=(), description="Paths of the test images, in the order of the predictions."
    )
    test_labels: tuple[int, ...] = Field(
        default=(), description="Index into `data.classes` of each test image."
    )
    test_patients: tuple[int, ...] = Field(
        default=(),
        description="Number of the patient of each test image, and no name; empty where the data "
        "does not tell.",
    )

    @property
    def unproven(self) -> list[str]:
        """Say of each teacher that was not shown to be above chance what it reached."""
        return [
            f"Teacher {entry.name} is {entry.chance.describe('validation')}."
            for entry in self.entries
            if entry.chance and not entry.chance.above
        ]

    @property
    def withheld(self) -> str | None:
        """Why nothing may be published though nothing failed, in a line; None where it may."""
        if self.gate is None:
            return None
        if self.gate.verdict == "inconclusive":
            unclear = [each.entry for each in self.gate.artifacts if each.verdict != "pass"]
            return (
                "Nothing is published: the gate cannot tell yet whether "
                f"{join_names(unclear)} {'is' if len(unclear) == 1 else 'are'} good enough; "
                "the report says what would tell."
            )
        publication = self.publication
        withheld = publication is not None and publication.outcome == "withheld"
        return publication.reason if publication and withheld else None
