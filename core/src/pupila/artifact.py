"""An artifact: an immutable folder with a model's files and `artifact.json`, named by digest."""

from __future__ import annotations

import gzip
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pupila.errors import PupilaError, list_names
from pupila.measured import Measured
from pupila.spec import InputSpec, OutputSpec

RECORD_NAME = "artifact.json"
TIMINGS_NAME = "timings.json"
"""File of measured times, kept outside the record so that equal artifacts have equal digests."""
TRAINING_IMAGES_NAME = "training-images.json"
"""File with the hashes of the images that the model was trained or chosen on, where known."""
RESERVED_NAMES = (RECORD_NAME, TIMINGS_NAME, TRAINING_IMAGES_NAME)
"""Names of the store's own files; a plugin must not write files of these names."""


class Origin(BaseModel):
    """The plugin, settings and inputs that made an artifact, enough to reproduce it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plugin: str = Field(description="Name of the technique, exporter or loader.")
    distribution: str = Field(description="Python distribution that the plugin came from.")
    version: str = Field(description="Version of that distribution.")
    config: dict[str, Any] = Field(default_factory=dict, description="The plugin's settings.")
    seed: int | None = Field(default=None, description="Seed of the run; None if it was not used.")
    threads: int | None = Field(
        default=None,
        description="Number of threads with which models computed when the artifact was made.",
    )
    inputs: tuple[str, ...] = Field(default=(), description="Digests of the input artifacts.")
    dataset: str | None = Field(default=None, description="Fingerprint of the data used.")
    source: str | None = Field(default=None, description="SHA-256 of the imported model file.")


class ThresholdRule(BaseModel):
    """The rule by which a threshold was chosen; thresholds of the same rule are comparable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: Literal["sensitivity", "specificity"] = Field(description="Metric to reach.")
    target: float = Field(gt=0, le=1, description="Lowest acceptable value of this metric.")
    split: str = Field(description="Split whose images choose the threshold.")
    images: str = Field(description="Fingerprint of these images.")
    positives: int = Field(ge=0, description="Number of these images of the positive class.")
    others: int = Field(ge=0, description="Number of images of other classes that were used.")

    def describe(self, positive: str) -> str:
        """Return the rule in words: `59 glaucoma and 46 other validation images, for a …`."""
        return (
            f"{self.positives} {positive} and {self.others} other {self.split} images, "
            f"for a {self.figure} of {self.target:g}"
        )


class Threshold(BaseModel):
    """A threshold: an image is `positive` if its probability of `positive` is at least `value`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positive: str = Field(description="Class whose probability is compared.")
    value: float = Field(ge=0, le=1, description="Probability from which the answer is `positive`.")
    chosen_on: str = Field(
        description="The images on which the threshold was chosen, and the target, in words."
    )
    rule: ThresholdRule | None = Field(
        default=None,
        description="The rule in a form that programs can apply. Without a rule, the release gate "
        "cannot choose a comparable threshold for other models, so it passes no model with this "
        "threshold.",
    )


class Record(BaseModel):
    """The content of `artifact.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = Field(description="keras, savedmodel, tflite, tfjs, …")
    files: dict[str, str] = Field(description="SHA-256 of each model file by relative name.")
    input: InputSpec
    output: OutputSpec
    origin: Origin
    parameters: int | None = Field(default=None, description="Weights, trainable or not.")
    macs: int | None = Field(default=None, description="Multiply-accumulates for one image.")
    sparsity: float | None = Field(
        default=None, description="Fraction of the weights that pruning set to 0; None: no pruning."
    )
    untrained: bool = Field(
        default=False,
        description="Weights are random: size and speed can be measured, answers mean nothing.",
    )
    shipped: str | None = Field(
        default=None,
        description="Name of the one file that goes to a device, if the other files are only "
        "needed to build it.",
    )
    threshold: Threshold | None = Field(
        default=None, description="Operating threshold that ships with the model, if any."
    )
    measured: Measured = Field(
        default_factory=Measured,
        description="What the plugin measured while it made the artifact: see `pupila.measured`.",
    )

    @model_validator(mode="after")
    def _ships_one_of_its_files(self) -> Self:
        if self.shipped not in (None, *self.files):
            raise ValueError(
                f"shipped is {self.shipped!r}, but the files are {list_names(self.files)}: name "
                f"one of them"
            )
        return self

    def threshold_of(self, name: str) -> float:
        """Return the lowest probability at which an image is classified as the class `name`.

        The result is 0.5 if no shipped threshold decides which images are `name`. If the shipped
        threshold is for the other of two classes, the result is the next float above 1 minus that
        threshold.
        """
        shipped = self.shipped_for(name)
        if shipped is None:
            return 0.5
        return shipped.value if shipped.positive == name else math.nextafter(1 - shipped.value, 2)

    def shipped_for(self, name: str) -> Threshold | None:
        """Return the shipped threshold if it decides which images are `name`, else None.

        A threshold for the class `name` decides which images are `name`. With two classes, a
        threshold for the other class decides it too: images that are not of the other class are
        `name`.
        """
        shipped = self.threshold
        if shipped and (shipped.positive == name or len(self.output.classes) == 2):
            return shipped
        return None


@dataclass(frozen=True)
class Artifact:
    """A model in the store: `path` holds the files, `record` says what they are."""

    path: Path
    digest: str
    record: Record

    @property
    def format(self) -> str:
        return self.record.format

    @property
    def files(self) -> list[Path]:
        return [self.path / name for name in self.record.files]

    @property
    def contents(self) -> list[str]:
        """Names of all files in the artifact's folder: the model's files and the store's own."""
        own = [name for name in RESERVED_NAMES if (self.path / name).is_file()]
        return [*own, *self.record.files]

    def file(self, suffix: str) -> Path:
        """Return the one model file whose name ends in `suffix`.

        Raises:
            PupilaError: no file has this suffix, or several have.
        """
        matches = [file for file in self.files if file.name.endswith(suffix)]
        if len(matches) != 1:
            raise PupilaError(
                f"The artifact in {str(self.path)!r} has {len(matches)} files *{suffix}: expected "
                f"one, as {self.format} has. Make it again."
            )
        return matches[0]

    @property
    def size_bytes(self) -> int:
        """Size on disk of the files that go to a device or user: normally all model files."""
        return sum(file.stat().st_size for file in self._shipped)

    def gzip_bytes(self) -> int:
        """Return the size of the shipped files, gzipped one by one at level 6 as web servers do."""
        return sum(len(gzip.compress(file.read_bytes(), compresslevel=6)) for file in self._shipped)

    @property
    def _shipped(self) -> list[Path]:
        return [self.path / self.record.shipped] if self.record.shipped else self.files
