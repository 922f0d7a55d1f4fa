"""Results of evaluating one artifact in its own runtime: metrics with intervals, and cost."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pupila.ties import warning_of

SPECIFICITY = 0.85
"""Default specificity for which a threshold is chosen on the validation images."""
LATENCY_REPEATS = 50
"""Default number of timed inferences of one image, after warm-up."""


class _FrozenModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_FrozenModel):
    """A value with its 95 % interval; fractions are 0..1."""

    value: float
    low: float
    high: float
    method: str = Field(description="How the interval was computed, with its source.")


class OperatingPoint(_FrozenModel):
    """Sensitivity and specificity for the positive class at one threshold of its probability."""

    threshold: float = Field(
        description="Lowest probability of the positive class at which an image is positive. If "
        "the shipped threshold is for the other of two classes, 1 minus the shipped threshold."
    )
    chosen_on: str = Field(
        description="Split on whose images the threshold was chosen; in words if it ships."
    )
    images: int | None = Field(
        default=None,
        description="Number of images on which the threshold was chosen; None if unknown.",
    )
    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate | None = Field(
        default=None, description="Fraction of images on the right side of the threshold."
    )


class Figure(_FrozenModel):
    """A figure of a task other than classification, or of a metric that a plugin adds."""

    name: str = Field(description="Of the figure in recipes and results: `error`.")
    title: str = Field(description="As tables show it: `median error`.")
    unit: str = Field(description="What the value is in: `% of the width`; empty if it is a number")
    estimate: Estimate
    lower_is_better: bool = False


class Metrics(_FrozenModel):
    """Quality of one model's answers on one set of images.

    Every task has an `accuracy`: the fraction of images that are answered right. Figures of other
    tasks are in `figures`; what only a classification has is then empty. The metrics of
    plugins are in `added`.
    """

    images: int
    patients: int | None = Field(
        default=None,
        description="Number of patients. None if the data does not name them: intervals then treat "
        "every image as a different patient's.",
    )
    positive: str = Field(default="", description="Class of AUC, sensitivity and thresholds.")
    accuracy: Estimate = Field(
        description="Accuracy at the shipped threshold, if there is one and there are two classes; "
        "otherwise accuracy of the most probable class."
    )
    auc: Estimate | None = Field(
        default=None,
        description="Of the positive class; with more than two classes the one-vs-rest mean.",
    )
    operating_points: tuple[OperatingPoint, ...] = ()
    shipped: OperatingPoint | None = Field(
        default=None,
        description="Operating point at the threshold that ships with the artifact, if any.",
    )
    confusion: tuple[tuple[int, ...], ...] = Field(
        default=(), description="Numbers of images; rows: true class; columns: predicted class."
    )
    confusion_at: float | None = Field(
        default=None,
        description="Threshold of the positive class that `confusion` uses: the threshold of "
        "`point`, unless that was chosen on these same images. None: `confusion` uses the most "
        "probable class.",
    )
    ece: Estimate | None = Field(
        default=None, description="Expected calibration error, 15 bins of equal width."
    )
    brier: Estimate | None = Field(
        default=None, description="Mean squared error of the probabilities, 0..2."
    )
    tied: float = Field(
        default=0.0,
        description="Largest fraction of images that share the highest probability of a class.",
    )
    figures: tuple[Figure, ...] = Field(default=(), description="Of other tasks.")
    added: tuple[Figure, ...] = Field(
        default=(), description="Of the installed metrics: see `pupila.plugin.Metric`."
    )
    not_measured: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Why a metric of a package has no figure, by the name of the metric.",
    )

    @property
    def point(self) -> OperatingPoint | None:
        """The operating point `shipped`, or else the first of `operating_points`, if any."""
        return self.shipped or next(iter(self.operating_points), None)


class Agreement(_FrozenModel):
    """How closely an artifact's answers agree with a reference model's, on the same images."""

    reference: str = Field(description="Name of the teacher or artifact compared with.")
    labels: Estimate = Field(description="Fraction of images given the same class.")
    mean_difference: float = Field(description="Mean absolute difference of probabilities.")
    largest_difference: float = Field(description="Largest absolute difference of probabilities.")


class Latency(_FrozenModel):
    """Inference time of one image, after warm-up."""

    median_ms: float
    p95_ms: float
    repeats: int
    threads: int


class Cost(_FrozenModel):
    """Size, latency and memory of an artifact."""

    size_bytes: int
    gzip_bytes: int
    parameters: int | None
    macs: int | None
    latency: Latency
    peak_memory_bytes: int | None = Field(
        description="Peak resident memory of the process that ran the model; None if not known."
    )


class Download(_FrozenModel):
    """Size of a browser's download: uncompressed, and as servers compress it."""

    size_bytes: int
    gzip_bytes: int
    brotli_bytes: int


class Startup(_FrozenModel):
    """Waiting times and downloads until a web page gives its first answer."""

    cold_start_ms: float = Field(description="From opening the page until the model is ready.")
    first_inference_ms: float = Field(description="First answer, including compiling of shaders.")
    model: Download
    runtime: Download = Field(description="The runtime's own code, the same for every model.")


class RuntimeCheck(_FrozenModel):
    """Results of running an artifact in a given runtime, on some of the evaluated images."""

    runtime: str
    cpu: str
    images: int
    agreement: Agreement | None = Field(
        description="Agreement with the answers in the primary runtime of the artifact's format. "
        "If `runtime` is that one, agreement with the model that the artifact was exported from."
    )
    latency: Latency
    peak_memory_bytes: int | None = Field(description="None if the runtime does not report it.")
    startup: Startup | None = Field(description="None if the runtime opens no page.")


class Measurement(_FrozenModel):
    """Cost of one artifact: the only result of an artifact that was never trained."""

    artifact: str = Field(description="Digest of the artifact.")
    format: str
    runtime: str
    cpu: str
    cost: Cost


class Acceptance(_FrozenModel):
    """Fraction of one group of images that a filter accepts at its threshold."""

    name: str = Field(description="`all`, a column and its value, or the name of an alteration.")
    images: int
    accepted: Estimate


class NegativeGroup(_FrozenModel):
    """Results of a filter on one group of images that it should reject."""

    name: str = Field(
        description="`all`, a source of test images (`no source`), or a group of near misses."
    )
    near_miss: bool = Field(
        description="Whether the images come from `open_set.path`, and not from the data."
    )
    trained: bool = Field(
        description="Whether the training images, labelled or not, include this source or some of "
        "these images."
    )
    images: int
    auc: Estimate | None = Field(
        description="Area under the ROC curve of the accepted class's test images against this "
        "group."
    )
    accepted: Estimate = Field(
        description="Fraction of the group that is accepted at the filter's threshold."
    )
    accepted_at_95: Estimate = Field(
        description="Fraction of the group that is accepted at the threshold that accepts 95 % of "
        "the accepted class's test images."
    )


class NearMiss(_FrozenModel):
    """One image of a near-miss group, with its probability of the accepted class."""

    path: str
    group: str
    near_miss: bool = Field(description="True; false for test images in results of older versions.")
    probability: float = Field(description="Probability of the accepted class.")
    accepted: bool = Field(description="Whether the probability reaches the filter's threshold.")


class OpenSet(_FrozenModel):
    """How many images a filter accepts, in groups that it was trained on and in new groups."""

    accepts: str = Field(description="Class that the filter accepts.")
    threshold: float = Field(description="Probability from which an image is accepted.")
    chosen_on: str | None = Field(
        description="Images on which the shipped threshold was chosen; None if none ships."
    )
    comparable_threshold: float = Field(
        description="Highest threshold that accepts 95 % of the accepted class's test images."
    )
    accepted: Acceptance = Field(
        description="How many test images of the accepted class are accepted."
    )
    accepted_groups: tuple[Acceptance, ...] = Field(
        description="How many of them are accepted for each value of `source` and `site`, if there "
        "are several values."
    )
    negatives: tuple[NegativeGroup, ...]
    corrupted: tuple[Acceptance, ...] = Field(
        description="Altered test images of the accepted class, by alteration."
    )
    nearest: tuple[NearMiss, ...] = Field(
        description="Near misses with the highest probability of the accepted class, highest first."
    )


class StageFigures(_FrozenModel):
    """What one stage of a chain did with some images, such as its filter."""

    name: str
    images: int = Field(description="Number of images that reached the stage.")
    turned_away: int = Field(description="Number of them that it turned away.")
    recognised: int = Field(
        description="Number of them that it recognised as crops, which skip the stages in between."
    )
    metrics: Metrics | None = Field(
        default=None,
        description="Of the stage's own answers, if it has another task than the data and the data "
        "has labels of that task too: of a locator, on the images with a position.",
    )


class Evaluation(Measurement):
    """All results of one artifact: its cost, and the quality of its answers."""

    split: str
    metrics: Metrics
    validation: Estimate | None = Field(
        default=None,
        description="Accuracy on the validation images, on which choices between models are based.",
    )
    groups: dict[str, dict[str, Metrics]] = Field(
        default_factory=dict, description="Metrics for each value of `source` and `site`."
    )
    agreement: Agreement | None = None
    open_set: OpenSet | None = Field(
        default=None,
        description="Which images the artifact accepts, if it is evaluated as a filter.",
    )
    stages: tuple[StageFigures, ...] = Field(
        default=(), description="What each stage did with the images, in order; only of a chain."
    )
    probabilities: str = Field(description="Predictions file `(images, classes)`, see Predictions.")
    validation_probabilities: str | None = Field(
        default=None, description="Predictions file of the validation images, if there are any."
    )

    @property
    def tie_warning(self) -> str | None:
        """Warning if too many images share one answer (see `pupila.ties`), else None."""
        return warning_of(self.metrics.tied, self.metrics.images, f"{self.split} images")

    @property
    def warnings(self) -> list[str]:
        """Warnings as sentences: of tied answers, and of metrics that could not be measured."""
        tied = [self.tie_warning] if self.tie_warning else []
        return [*tied, *self.metrics.not_measured.values()]
