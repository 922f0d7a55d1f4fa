"""The gate's verdicts on the artifacts of a run, and its findings."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from pupila.evaluation import Estimate
from pupila.noninferiority import LEVEL
from pupila.plugin import CLASSIFICATION
from pupila_flows.results.base import ResultModel

_MANY_TIMES = 10
"""Above this multiple of the tested images, a required number of images is given as a multiple."""

Verdict = Literal["pass", "fail", "inconclusive"]


class WrongImage(ResultModel):
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


class Finding(ResultModel):
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
        description="The artifact's value: a fraction 0..1, bytes, milliseconds, or an error in "
        "the unit of its task."
    )
    other: float | None = Field(
        default=None, description="Value of the model that the artifact is compared with."
    )
    difference: Estimate | None = Field(
        default=None,
        description="Paired difference, `value` - `other`. Of an error, more is worse.",
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
        "artifact gets them wrong, its error grows, or it differs from the teacher. No test images "
        "are shown, as the next verdict would then need new ones.",
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

        If the number is more than ten times `tested`, it is written as a rough multiple.
        """
        if self.needs_images is None:
            return ""
        times = self.needs_images / self.tested if self.tested else 0
        if times <= _MANY_TIMES:
            return f"{self.needs_images:,}"
        size = 10 ** int(math.log10(times))
        return f"more than {int(times / size) * size:,} times as many"


class ArtifactVerdict(ResultModel):
    """The gate's verdict on one entry's artifact: the worst verdict of the findings."""

    entry: str
    verdict: Verdict
    made: str = Field(default="", description="How the artifact was made, in words.")
    findings: tuple[Finding, ...]


class ReusedTestImages(ResultModel):
    """All models, including those of this run, that got a verdict on the same test images.

    If there are many models, a bad one may pass by luck.
    """

    test: str = Field(description="Fingerprint of the test images.")
    answers: tuple[str, ...] = Field(
        description="A digest of the predictions and threshold of each model, without repetitions. "
        "Models of other runs are included if this workspace or the registry recorded them."
    )

    @property
    def chance(self) -> float:
        """Probability that some model passes by luck, if each model is worse by just the margin.

        For k models with independent errors, the probability is `1 - (1 - LEVEL)^k`. Correlated
        errors make it smaller.
        """
        return 1 - (1 - LEVEL) ** len(self.answers)


class GateResult(ResultModel):
    """The gate's verdict on a run: the worst verdict of its artifacts."""

    verdict: Verdict
    artifacts: tuple[ArtifactVerdict, ...]
    task: str = Field(
        default=CLASSIFICATION,
        description="What the models have learned; findings are in the words of this task.",
    )
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
