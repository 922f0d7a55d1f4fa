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
"""Above this multiple of the tested images, a required number of images is given as a multiple."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Model):
    """One check of data validation and its outcome."""

    name: str = Field(description="What was checked, in words: 'No image in two splits'.")
    severity: Literal["error", "warning"] = Field(
        description="Whether a failure stops the run (`error`) or is only reported (`warning`)."
    )
    passed: bool
    observed: str = Field(description="What was found, with figures.")
    advice: str = Field(default="", description="What to do about a failure.")
    images: tuple[str, ...] = Field(default=(), description="Paths of the first offending images.")
    shortcut: bool = Field(
        default=False,
        description="Whether the check looks for a shortcut: a property of the images, such as "
        "their size, that reveals the class.",
    )


class DataSummary(_Model):
    """The data of a run and the results of its validation."""

    path: str
    fingerprint: str
    classes: tuple[str, ...]
    positive: str
    counts: dict[str, dict[str, int]] = Field(
        description="Number of images by split, then by class."
    )
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
    """A set of external images: they come from another source and are used only for evaluation."""

    name: str
    path: str
    fingerprint: str
    images: int
    patients: int | None = Field(description="Number of patients; None if unknown.")
    counts: dict[str, int] | None = Field(
        description="Number of images by class; None without labels."
    )
    skipped: tuple[SkippedImage, ...] = Field(
        default=(), description="Files that cannot be read; no metric includes them."
    )


class ExternalResult(_Model):
    """The results of one model on one set of external images."""

    name: str = Field(description="Name of the external set.")
    evaluation: ExternalEvaluation | None = Field(
        default=None,
        description="The model's metrics on the set; None if the model could not be evaluated.",
    )
    differences: dict[str, Estimate] = Field(
        default_factory=dict,
        description="Paired difference, model minus teacher, by metric: accuracy, auc, "
        "sensitivity, specificity. Metrics that cannot be compared are left out.",
    )
    error: str | None = Field(
        default=None, description="Why the model could not be evaluated on the set."
    )


class RuntimeResult(_Model):
    """The check of an artifact in one runtime."""

    runtime: str = Field(description="Name of the runner.")
    threads: int | None = Field(
        description="Number of threads requested; None for the recipe's number."
    )
    check: RuntimeCheck | None = Field(
        default=None, description="Results of the check; None if the check did not run."
    )
    failure: str | None = Field(
        default=None,
        description="Why the check did not run, or how far the predictions differ; else None.",
    )


class Entry(_Model):
    """One node of the recipe's graph: a teacher or a step, with its artifact and evaluation."""

    name: str
    kind: Literal["teacher", "step"]
    uses: str = Field(description="Name of the plugin, or of the teacher's loader.")
    inputs: tuple[str, ...] = Field(
        default=(), description="Names of the entries that this one was made from."
    )
    config: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = Field(
        default=None, description="Seed of the entry; None if the entry does not depend on a seed."
    )
    repeats: str | None = Field(
        default=None, description="Name of the entry that this one repeats with another seed."
    )
    control: str | None = Field(
        default=None,
        description="Name of the entry's control, which is made in the same way but without a "
        "teacher.",
    )
    reference: str | None = Field(
        default=None,
        description="Name of the teacher that the entry is compared with. Of several teachers, it "
        "is the best.",
    )
    taught: bool = Field(
        default=False, description="Whether a teacher was used in making the entry."
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Values that a sweep set, by `step.setting`."
    )
    excluded: dict[str, tuple[str, ...]] = Field(
        default_factory=dict[str, tuple[str, ...]],
        description="Which images were excluded from training: values by manifest column.",
    )
    chance: ChanceCheck | None = Field(
        default=None,
        description="For a teacher: whether it is above chance on the validation images.",
    )
    artifact: str | None = Field(
        default=None, description="Digest of the artifact; None if no artifact was made."
    )
    record: Record | None = None
    timings: Timings = Field(
        default_factory=Timings,
        description="Times measured while the artifact was made, by key in `record.measured`.",
    )
    evaluation: Evaluation | None = None
    shift: ShiftEvaluation | None = Field(
        default=None, description="Comparison with the teacher on altered images."
    )
    measurement: Measurement | None = Field(
        default=None, description="Size and speed of a model that was never trained."
    )
    external: tuple[ExternalResult, ...] = Field(
        default=(), description="Results on external images, one for each set."
    )
    not_evaluated: str | None = Field(
        default=None, description="Why the entry was not evaluated, although it is a classifier."
    )
    runtimes: tuple[RuntimeResult, ...] = Field(
        default=(), description="Results of the runtime checks."
    )
    cached: bool = Field(
        default=False, description="Whether the artifact was reused from an earlier run."
    )
    seconds: float = Field(
        default=0, description="Wall time of making the artifact in this run, in seconds."
    )
    error: str | None = Field(
        default=None,
        description="What went wrong, such as why there is no artifact; None if nothing did.",
    )

    @property
    def measured(self) -> Measured:
        """Values and times measured while the artifact was made; empty without an artifact."""
        return self.record.measured.with_timings(self.timings) if self.record else Measured()


Verdict = Literal["pass", "fail", "inconclusive"]


class WrongImage(_Model):
    """A validation image that counts against an artifact.

    The artifact's prediction is wrong or, in the condition `agreement`, differs from the teacher's.
    """

    path: str
    truth: str
    answer: str = Field(description="Class predicted by the artifact.")
    other: str | None = Field(
        default=None,
        description="Class predicted by the model that the artifact is compared with, if any.",
    )


class Finding(_Model):
    """One condition of the gate, applied to one artifact."""

    condition: str = Field(
        description="Name of the condition, such as `accuracy` or `size_bytes`: see `Condition`."
    )
    against: str | None = Field(
        default=None,
        description="What the artifact is compared with: a teacher's name, `published` or "
        "`anchor`; None if there is no other model.",
    )
    group: str | None = Field(
        default=None,
        description="Group of test images that the finding is about, such as `site = North`; "
        "None for all.",
    )
    external: str | None = Field(
        default=None,
        description="Name of the external set that the finding is about; None for the test images.",
    )
    verdict: Verdict
    value: float = Field(
        description="The artifact's value: a fraction 0..1, bytes or milliseconds."
    )
    other: float | None = Field(
        default=None, description="Value of the model that the artifact is compared with."
    )
    difference: Estimate | None = Field(
        default=None, description="Paired difference, `value` - `other`."
    )
    interval: Estimate | None = Field(
        default=None, description="Interval of a `value` that is compared with a limit."
    )
    limit: float = Field(description="The margin or the limit that the recipe sets.")
    p_value: float | None = Field(
        default=None, description="p-value of the hypothesis that the loss is the margin or more."
    )
    needs_images: int | None = Field(
        default=None,
        description="Number of test images with which an inconclusive finding would be decided.",
    )
    tested: int | None = Field(default=None, description="Number of test images used.")
    images: tuple[WrongImage, ...] = Field(
        default=(),
        description="Validation images that count against the artifact, worst first: only the "
        "artifact gets them wrong, or it differs from the teacher. No test images are shown, as "
        "the next verdict would then need new ones.",
    )
    text: str = Field(description="What was found, in one sentence.")
    advice: str = Field(default="", description="What to try if the verdict is not a pass.")

    @property
    def where(self) -> str:
        """The images that the finding is about, in words; empty for all test images.

        Examples: `where site = North`, `on clinic-b`.
        """
        if self.external:
            return f"on {self.external}"
        return f"where {self.group}" if self.group else ""

    @property
    def needs(self) -> str:
        """`needs_images` as text; empty if it is None.

        More than ten times the number of tested images is written as a rough multiple.
        """
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
    """The models that got a verdict on the same test images so far, including this run's.

    If there are many models, a bad one may pass by luck.
    """

    test: str = Field(description="Fingerprint of the test images.")
    answers: tuple[str, ...] = Field(
        description="A digest of the predictions and threshold of each model, without repetitions. "
        "Models of other runs are included if this workspace or the registry recorded them."
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
        default=None,
        description="Published version that artifacts were compared with, such as `version 2`.",
    )
    anchor: str | None = Field(
        default=None,
        description="Anchor version that artifacts were compared with, such as `version 1`.",
    )
    published_manifest: str | None = Field(
        default=None, description="SHA-256 of the published version's manifest."
    )
    reason: str | None = Field(
        default=None, description="Why the gate could not be decided; None if it was."
    )
    untraced: tuple[str, ...] = Field(
        default=(),
        description="Names of compared models that may have been trained on test images. Nothing "
        "records the training images of such a model, or of a model that it was made from.",
    )
    reused_test_images: ReusedTestImages | None = Field(
        default=None,
        description="Models decided on these test images so far; None if the gate did not decide.",
    )
    patients: int | None = Field(
        default=None,
        description="Number of patients in the test images; None if the data does not name "
        "patients. Each image then counts as a different patient.",
    )
    best: str | None = Field(
        default=None,
        description="If no artifact passed: the entry that came closest. Its artifact is kept.",
    )


class Publication(_Model):
    """Whether, where and why a run's artifacts were published."""

    registry: str = Field(description="Address of the registry.")
    name: str = Field(description="Name under which versions are published.")
    outcome: Literal["published", "unchanged", "withheld"] = Field(
        description="published: a new version is current. unchanged: the current version already "
        "has these artifacts. withheld: nothing was published."
    )
    version: int | None = Field(
        description="Number of the current version, which has the artifacts; None if withheld."
    )
    reason: str = Field(
        description="Why the artifacts were published, or were not, in one sentence."
    )
    overridden_by: str | None = Field(
        default=None, description="Who published the version although the gate did not pass."
    )
    head: str | None = Field(
        default=None,
        description="SHA-256 of the event that made the version current, for "
        "`pupila verify --head`.",
    )


class RunResult(_Model):
    """The result of a whole run: its data, entries, gate and publication."""

    name: str
    recipe_path: str
    recipe_text: str
    seed: int
    synthetic: bool = Field(
        description="Whether the images were generated, so that no result is medical."
    )
    started: str = Field(description="Start of the run, as ISO 8601 in UTC.")
    seconds: float
    data: DataSummary
    entries: tuple[Entry, ...] = Field(description="Teachers first, then steps in order.")
    external: tuple[ExternalSet, ...] = Field(
        default=(), description="External images, used only for evaluation."
    )
    sweep: dict[str, tuple[Any, ...]] = Field(
        default_factory=dict,
        description="Values of a sweep, by `step.setting`; empty if the run is not a sweep.",
    )
    choose_by: Literal["accuracy", "fidelity"] = Field(
        default="accuracy", description="Metric by which the best point of a sweep is chosen."
    )
    specificity: float = Field(
        description="Target specificity for thresholds chosen on the validation images."
    )
    gate: GateResult | None = Field(
        default=None, description="The gate's verdict; None if the recipe has no gate."
    )
    publication: Publication | None = Field(
        default=None,
        description="Whether and where artifacts were published; None without a section `publish`.",
    )
    machine: str = Field(description="Processor, cores, memory, operating system.")
    versions: dict[str, str] = Field(description="Versions of the distributions in use.")
    test_images: tuple[str, ...] = Field(
        default=(), description="Paths of the test images, in the order of the predictions."
    )
    test_labels: tuple[int, ...] = Field(
        default=(), description="Class of each test image, as an index into `data.classes`."
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
        """Why nothing is published, as one line; None if no reason is known.

        A reason is known if the gate is inconclusive or publication was withheld.
        """
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
