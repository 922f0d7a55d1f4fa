"""How good one artifact is: figures with intervals, measured through its own runtime."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pupila.ties import warning_of

SPECIFICITY = 0.85
"""For which the validation images choose a threshold, unless a recipe says otherwise."""
LATENCY_REPEATS = 50
"""Timed inferences of one image, after warm-up, unless a recipe says otherwise."""


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Figures):
    """A figure with its 95 % interval; fractions are 0..1."""

    value: float
    low: float
    high: float
    method: str = Field(description="How the interval was computed, with its source.")


class OperatingPoint(_Figures):
    """Sensitivity and specificity for the positive class at one threshold of its probability."""

    threshold: float = Field(
        description="From which probability on; where the one that ships is for the other of two "
        "classes, what remains to 1."
    )
    chosen_on: str = Field(
        description="Split whose images the threshold was chosen on; in words, of a shipped one."
    )
    images: int | None = Field(
        default=None,
        description="How many images it was chosen on; None where a shipped one does not tell.",
    )
    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate | None = Field(
        default=None, description="Images on the right side of the threshold."
    )


class Metrics(_Figures):
    """Quality on one set of images."""

    images: int
    patients: int | None = Field(
        default=None,
        description="How many patients they are of; None where the data does not tell: intervals "
        "are then as if every image were another patient's.",
    )
    positive: str = Field(description="Class of AUC, sensitivity and thresholds.")
    accuracy: Estimate = Field(
        description="Of the answers at the threshold that ships, where one of two classes does; "
        "else of the most probable class."
    )
    auc: Estimate | None = Field(description="Of the positive class; one-vs-rest mean beyond two.")
    operating_points: tuple[OperatingPoint, ...] = ()
    shipped: OperatingPoint | None = Field(
        default=None, description="At the threshold that ships with the artifact, where one does."
    )
    confusion: tuple[tuple[int, ...], ...] = Field(description="Rows: truth; columns: answer.")
    confusion_at: float | None = Field(
        default=None,
        description="Threshold of the positive class at which it is: that of `point`, unless these "
        "very images chose it. None: the most probable class.",
    )
    ece: Estimate = Field(description="Expected calibration error, 15 bins of equal width.")
    brier: Estimate = Field(description="Mean squared error of the probabilities, 0..2.")
    tied: float = Field(
        default=0.0,
        description="Largest part of the images that share the highest probability of a class.",
    )

    @property
    def point(self) -> OperatingPoint | None:
        """The operating point to look at first: the shipped one, or one chosen on other images."""
        return self.shipped or next(iter(self.operating_points), None)


class Agreement(_Figures):
    """How far an artifact answers as its reference does, on the same images."""

    reference: str = Field(description="Name of the teacher or artifact compared with.")
    labels: Estimate = Field(description="Part of the images given the same class.")
    mean_difference: float = Field(description="Mean absolute difference of probabilities.")
    largest_difference: float = Field(description="Largest absolute difference of probabilities.")


class Latency(_Figures):
    """Time of one image, after warm-up."""

    median_ms: float
    p95_ms: float
    repeats: int
    threads: int


class Cost(_Figures):
    """What it takes to ship and run an artifact."""

    size_bytes: int
    gzip_bytes: int
    parameters: int | None
    macs: int | None
    latency: Latency
    peak_memory_bytes: int | None = Field(
        description="Resident memory of the process that ran it, where the system tells."
    )


class Download(_Figures):
    """What a browser must fetch, in bytes: as it is, and as servers compress it."""

    size_bytes: int
    gzip_bytes: int
    brotli_bytes: int


class Startup(_Figures):
    """What it takes to get from nothing to the first answer."""

    cold_start_ms: float = Field(description="From opening the page until the model is ready.")
    first_inference_ms: float = Field(description="The first answer: shaders are compiled for it.")
    model: Download
    runtime: Download = Field(description="The runtime's own code, the same for every model.")


class RuntimeCheck(_Figures):
    """An artifact in another runtime than its own, on some of the images it was judged on."""

    runtime: str
    cpu: str
    images: int
    agreement: Agreement | None = Field(
        description="With its own runtime; there, with what it was exported from."
    )
    latency: Latency
    peak_memory_bytes: int | None = Field(description="None where the runtime does not tell.")
    startup: Startup | None = Field(description="None where there is no page to open.")


class Measurement(_Figures):
    """What one artifact costs; all there is to say of one that was never trained."""

    artifact: str = Field(description="Digest.")
    format: str
    runtime: str
    cpu: str
    cost: Cost


class Acceptance(_Figures):
    """How many images of one group a gate accepts, at its threshold."""

    name: str = Field(description="`all`, a column and its value, or what was done to the images.")
    images: int
    accepted: Estimate


class NegativeGroup(_Figures):
    """How a gate does on one group of images that are not of the class it accepts."""

    name: str = Field(
        description="`all`, a source of test images (`no source`), or a group of near misses."
    )
    near_miss: bool = Field(description="Its images come from `open_set.path`, not from the data.")
    trained: bool = Field(
        description="The training images, unlabelled ones too, had this source, or some of these "
        "very images."
    )
    images: int
    auc: Estimate | None = Field(description="Against the accepted test images.")
    accepted: Estimate = Field(description="False accepts at the threshold.")
    accepted_at_95: Estimate = Field(
        description="False accepts where 95 % of the accepted test images are let through."
    )


class NearMiss(_Figures):
    """A near miss, and how much it looks like the accepted class."""

    path: str
    group: str
    near_miss: bool = Field(description="True; of results made before, test images have false.")
    probability: float = Field(description="That it is of the accepted class.")
    accepted: bool = Field(description="Whether that reaches the threshold.")


class OpenSet(_Figures):
    """Whom a gate lets through, by groups that it was trained on and by groups that are new."""

    accepts: str = Field(description="Class that the gate lets through.")
    threshold: float = Field(description="Probability from which on an image is let through.")
    chosen_on: str | None = Field(
        description="What the shipped threshold was chosen on; None where none is shipped."
    )
    comparable_threshold: float = Field(
        description="Highest threshold that lets 95 % of the accepted test images through."
    )
    accepted: Acceptance = Field(description="Test images of the accepted class.")
    accepted_groups: tuple[Acceptance, ...] = Field(
        description="The same by each value of `source`, `site`, where there are several."
    )
    negatives: tuple[NegativeGroup, ...]
    corrupted: tuple[Acceptance, ...] = Field(
        description="Accepted test images that were altered, by what was done to them."
    )
    nearest: tuple[NearMiss, ...] = Field(
        description="Near misses that look most like the accepted class, first the most."
    )


class Evaluation(Measurement):
    """One artifact, judged: its cost, and how good its answers are."""

    split: str
    metrics: Metrics
    validation: Estimate | None = Field(
        default=None, description="Accuracy on the validation images: choices are made by it."
    )
    groups: dict[str, dict[str, Metrics]] = Field(
        default_factory=dict, description="The same by each value of `source`, `site`."
    )
    agreement: Agreement | None = None
    open_set: OpenSet | None = Field(
        default=None, description="Whom it lets through, where it is judged as a gate."
    )
    probabilities: str = Field(description="Predictions file `(images, classes)`, see Predictions.")
    validation_probabilities: str | None = Field(
        default=None, description="The same of the validation images, where there are some."
    )

    @property
    def tie_warning(self) -> str | None:
        """Say that too many images share one answer, see `pupila.ties`; None where they do not."""
        return warning_of(self.metrics.tied, self.metrics.images, f"{self.split} images")
