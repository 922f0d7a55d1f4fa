"""The result of a run, written as `result.json` for the report and for other programs."""

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
from pupila.shift.evaluation import ShiftEvaluation

_MANY_TIMES = 10
"""Above this ratio, a required number of images is given as a multiple of the existing ones."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Model):
    """One check of data validation and its outcome."""

    name: str = Field(description="What was checked, in words: 'No image in two splits'.")
    severity: Literal["error", "warning"] = Field(description="What a failure means.")
    passed: bool
    observed: str = Field(description="What was found, with figures.")
    advice: str = Field(default="", description="What to do about a failure.")
    images: tuple[str, ...] = Field(default=(), description="Paths of the first offending images.")
    shortcut: bool = Field(
        default=False,
        description="It checks whether something other than the finding reveals the class.",
    )


class DataSummary(_Model):
    """The data of a run and the results of its validation."""

    path: str
    fingerprint: str
    classes: tuple[str, ...]
    positive: str
    counts: dict[str, dict[str, int]] = Field(description="Images by split, then class.")
    checks: tuple[Check, ...]
    data_docs: str | None = Field(description="Path of the Data Docs index page.")

    @property
    def passed(self) -> bool:
        """Whether the run may go on: no check of severity `error` failed."""
        return all(check.passed for check in self.checks if check.severity == "error")


class SkippedImage(_Model):
    """An external image file that cannot be read."""

    path: str
    reason: str


class ExternalSet(_Model):
    """Description of external images: they come from another source and are only evaluated on."""

    name: str
    path: str
    fingerprint: str
    images: int
    patients: int | None = Field(description="None if they are not known.")
    counts: dict[str, int] | None = Field(description="By class; None without labels.")
    skipped: tuple[SkippedImage, ...] = Field(
        default=(), description="Files that cannot be read; no figure includes them."
    )


class ExternalResult(_Model):
    """The results of one model on one set of external images."""

    name: str = Field(description="Of the set.")
    evaluation: ExternalEvaluation | None = Field(
        default=None, description="None if it could not be evaluated."
    )
    differences: dict[str, Estimate] = Field(
        default_factory=dict,
        description="Paired differences, model minus teacher: accuracy, auc, sensitivity, "
        "specificity; what cannot be compared is left out.",
    )
    error: str | None = Field(default=None, description="Why it could not be evaluated.")


class RuntimeResult(_Model):
    """The check of an artifact in one runtime."""

    runtime: str = Field(description="Name of the runner.")
    threads: int | None = Field(description="Threads requested; None for those of the run.")
    check: RuntimeCheck | None = Field(default=None, description="None if it did not run.")
    failure: str | None = Field(
        default=None, description="Why it did not run, or how far its answers are off."
    )


class Entry(_Model):
    """One node of the recipe's graph: a teacher or a step, with its artifact and evaluation."""

    name: str
    kind: Literal["teacher", "step"]
    uses: str = Field(description="Name of the plugin, or of the teacher's loader.")
    inputs: tuple[str, ...] = Field(default=(), description="Names of the nodes it was made from.")
    config: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = Field(
        default=None, description="Seed it was trained with; None if it uses none."
    )
    repeats: str | None = Field(
        default=None, description="Name of the entry that this one repeats with another seed."
    )
    control: str | None = Field(
        default=None, description="Name of its control: made in the same way, without a teacher."
    )
    reference: str | None = Field(
        default=None,
        description="Name of the teacher that it is compared with: of several, the best.",
    )
    taught: bool = Field(default=False, description="Whether a teacher was used in making it.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Values that a sweep set, by `step.setting`."
    )
    without: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Training images that it did not get, by values of a manifest's columns.",
    )
    chance: ChanceCheck | None = Field(
        default=None,
        description="Of a teacher: whether it is above chance on the validation images.",
    )
    artifact: str | None = Field(default=None, description="Digest, where it was made.")
    record: Record | None = None
    timings: Timings = Field(
        default_factory=Timings,
        description="Times measured while it was made, by their key in `record.measured`.",
    )
    evaluation: Evaluation | None = None
    shift: ShiftEvaluation | None = Field(
        default=None, description="How it compares with its teacher on altered images."
    )
    measurement: Measurement | None = Field(
        default=None, description="Size and speed of a model that was never trained."
    )
    external: tuple[ExternalResult, ...] = Field(
        default=(), description="Its results on external images, by set."
    )
    not_evaluated: str | None = Field(
        default=None, description="Why it was not evaluated, though it is a classifier."
    )
    runtimes: tuple[RuntimeResult, ...] = Field(
        default=(), description="Its results in the runtimes it was checked in."
    )
    cached: bool = Field(default=False, description="It was reused from an earlier run.")
    seconds: float = Field(default=0, description="Wall time of making it in this run.")
    error: str | None = Field(default=None, description="Why it has no artifact or evaluation.")

    @property
    def measured(self) -> Measured:
        """What was measured while the artifact was made, with times; empty without an artifact."""
        return self.record.measured.with_timings(self.timings) if self.record else Measured()


Verdict = Literal["pass", "fail", "inconclusive"]


class WrongImage(_Model):
    """A validation image that an artifact gets wrong."""

    path: str
    truth: str
    answer: str = Field(description="Class predicted by the artifact.")
    other: str | None = Field(
        default=None, description="Class predicted by the model it is compared with, if any."
    )


class Finding(_Model):
    """One condition of the gate, applied to one artifact."""

    condition: str = Field(
        description="accuracy, auc, sensitivity, agreement, size, latency, …: a name of the recipe."
    )
    against: str | None = Field(
        default=None,
        description="A teacher's name, `published`, or `anchor`; None for a fixed limit.",
    )
    group: str | None = Field(
        default=None, description="`site = North` if only those test images count."
    )
    external: str | None = Field(
        default=None,
        description="Name of the set of external images; None for the test images.",
    )
    verdict: Verdict
    value: float = Field(description="Of the artifact: a fraction 0..1, bytes, or ms.")
    other: float | None = Field(default=None, description="Of the model it is compared with.")
    difference: Estimate | None = Field(default=None, description="Paired: `value` - `other`.")
    interval: Estimate | None = Field(
        default=None, description="Of `value`, if it is compared with a limit."
    )
    limit: float = Field(description="The margin, or the limit, that the recipe sets.")
    p_value: float | None = Field(default=None, description="Of a difference at the margin.")
    needs_images: int | None = Field(
        default=None, description="Test images that would decide it, if it is inconclusive."
    )
    tested: int | None = Field(default=None, description="Number of test images used.")
    images: tuple[WrongImage, ...] = Field(
        default=(),
        description="Validation images that only the artifact gets wrong, or on which it differs "
        "from the teacher, worst first. Looking at test images would use them up.",
    )
    text: str = Field(description="What was found, in one sentence.")
    advice: str = Field(default="", description="What to try, if it did not pass.")

    @property
    def where(self) -> str:
        """Which images the finding is about: `where site = North`, `on clinic-b`; empty for all."""
        if self.external:
            return f"on {self.external}"
        return f"where {self.group}" if self.group else ""

    @property
    def needs(self) -> str:
        """`needs_images` as text; above ten times the images tested, as a rough multiple."""
        if self.needs_images is None:
            return ""
        times = self.needs_images / self.tested if self.tested else 0
        if times <= _MANY_TIMES:
            return f"{self.needs_images:,}"
        size = 10 ** int(math.log10(times))
        return f"more than {int(times / size) * size:,} times as many"


class ArtifactVerdict(_Model):
    """The gate's verdict on one entry's artifact: the worst verdict of the findings."""

    entry: str
    verdict: Verdict
    made: str = Field(default="", description="How the artifact was made, in words.")
    findings: tuple[Finding, ...]


class ReusedTestImages(_Model):
    """The models decided on the same test images so far: among many, a bad one may pass by luck."""

    test: str = Field(description="Fingerprint of the test images.")
    answers: tuple[str, ...] = Field(
        description="Digests of the distinct predictions and thresholds that a verdict was given "
        "on so far, including this run's, as far as this workspace and the registry know them."
    )

    @property
    def chance(self) -> float:
        """Probability that at least one model passes by luck, if each is worse by just the margin.

        It is `1 - (1 - LEVEL)^k` for k models with independent errors; correlated errors make it
        smaller.
        """
        return 1 - (1 - LEVEL) ** len(self.answers)


class GateResult(_Model):
    """The gate's verdict on a run: the worst verdict of its artifacts."""

    verdict: Verdict
    artifacts: tuple[ArtifactVerdict, ...]
    published: str | None = Field(
        default=None, description="The published version that was compared with: `version 2`."
    )
    anchor: str | None = Field(
        default=None, description="The anchor version that was compared with: `version 1`."
    )
    published_manifest: str | None = Field(
        default=None, description="SHA-256 of the published version's manifest."
    )
    reason: str | None = Field(
        default=None, description="Why the gate could not be decided; None if it was."
    )
    untraced: tuple[str, ...] = Field(
        default=(),
        description="Models compared with that may have been trained on the test images: their "
        "training images, or those of a model they were made from, are not known.",
    )
    asked: ReusedTestImages | None = Field(
        default=None,
        description="How many models these test images have decided about; None if undecided.",
    )
    patients: int | None = Field(
        default=None,
        description="Number of patients in the test images; None if the data has none, so that "
        "each image counts as another patient's.",
    )
    best: str | None = Field(
        default=None,
        description="If none passed, the entry that came nearest; its artifact is kept.",
    )


class Publication(_Model):
    """Whether, where and why a run's artifacts were published."""

    registry: str = Field(description="Address of the registry.")
    name: str = Field(description="Name under which versions are published.")
    outcome: Literal["published", "unchanged", "withheld"] = Field(
        description="A new version is current; the current one has these artifacts already; or "
        "nothing was published."
    )
    version: int | None = Field(
        description="The current version, which has the artifacts; None if withheld."
    )
    reason: str = Field(description="Why it was published, or was not, in one sentence.")
    overridden_by: str | None = Field(
        default=None, description="Who published it although the gate did not pass."
    )
    head: str | None = Field(
        default=None,
        description="SHA-256 of the event that made it current: what `pupila verify --head` takes.",
    )


class RunResult(_Model):
    """The result of a whole run: its data, entries, gate and publication."""

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
        default=(), description="External images, used only for evaluation."
    )
    sweep: dict[str, tuple[Any, ...]] = Field(
        default_factory=dict, description="Values of a sweep, by `step.setting`; else empty."
    )
    choose_by: Literal["accuracy", "fidelity"] = Field(
        default="accuracy", description="Metric by which the best point of a sweep is chosen."
    )
    specificity: float = Field(
        description="Specificity at which thresholds were chosen on the validation images."
    )
    gate: GateResult | None = Field(default=None, description="None if the recipe has no gate.")
    publication: Publication | None = Field(
        default=None, description="None if the recipe publishes nothing."
    )
    machine: str = Field(description="Processor, cores, memory, operating system.")
    versions: dict[str, str] = Field(description="Versions of the distributions in use.")
    test_images: tuple[str, ...] = Field(
        default=(), description="Paths of the test images, in the order of the predictions."
    )
    test_labels: tuple[int, ...] = Field(
        default=(), description="Index into `data.classes` of each test image."
    )
    test_patients: tuple[int, ...] = Field(
        default=(),
        description="Number (not the name) of the patient of each test image; empty if the data "
        "has no patients.",
    )

    @property
    def unproven(self) -> list[str]:
        """A sentence for each teacher that was not shown to be above chance."""
        return [
            f"Teacher {entry.name} is {entry.chance.describe('validation')}."
            for entry in self.entries
            if entry.chance and not entry.chance.above
        ]

    @property
    def withheld(self) -> str | None:
        """Why a run without failures may not be published, as one line; None if it may."""
        if self.gate is None:
            return None
        if self.gate.verdict == "inconclusive":
            unclear = [
                artifact.entry for artifact in self.gate.artifacts if artifact.verdict != "pass"
            ]
            return (
                "Nothing is published: the gate cannot tell yet whether "
                f"{join_names(unclear)} {'is' if len(unclear) == 1 else 'are'} good enough; "
                "the report says what would tell."
            )
        publication = self.publication
        withheld = publication is not None and publication.outcome == "withheld"
        return publication.reason if publication and withheld else None
