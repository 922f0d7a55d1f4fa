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
"""Clock times, beside the record and outside it: equal artifacts have one digest."""
TRAINING_IMAGES_NAME = "training-images.json"
"""Hashes of the images that it was learned or chosen from, where they are known."""
RESERVED_NAMES = (RECORD_NAME, TIMINGS_NAME, TRAINING_IMAGES_NAME)
"""Files of the store's own."""


class Origin(BaseModel):
    """What made an artifact, in enough detail to make it again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plugin: str = Field(description="Name of the technique, exporter or loader.")
    distribution: str = Field(description="Python distribution that the plugin came from.")
    version: str = Field(description="Version of that distribution.")
    config: dict[str, Any] = Field(default_factory=dict, description="The plugin's settings.")
    seed: int | None = Field(default=None, description="Seed of the run, where it was used.")
    threads: int | None = Field(
        default=None, description="Threads with which models computed in its making."
    )
    inputs: tuple[str, ...] = Field(default=(), description="Digests of the input artifacts.")
    dataset: str | None = Field(default=None, description="Fingerprint of the data used.")
    source: str | None = Field(default=None, description="SHA-256 of the imported model file.")


class ThresholdRule(BaseModel):
    """How a threshold is chosen: by the same rule any model has one, and two can be compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: Literal["sensitivity", "specificity"] = Field(description="What is to be reached.")
    target: float = Field(gt=0, le=1, description="How much of it, at least.")
    split: str = Field(description="Whose images choose.")
    images: str = Field(description="Fingerprint of these images.")
    positives: int = Field(ge=0, description="How many of them are of the positive class.")
    others: int = Field(ge=0, description="How many of them are not, and had a part in it.")

    def describe(self, positive: str) -> str:
        """Say it in words: `59 glaucoma and 46 other validation images, for a sensitivity of …`."""
        return (
            f"{self.positives} {positive} and {self.others} other {self.split} images, "
            f"for a {self.figure} of {self.target:g}"
        )


class Threshold(BaseModel):
    """Where a model's answer turns: an image is called `positive` from this probability on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    positive: str = Field(description="Class whose probability is compared.")
    value: float = Field(ge=0, le=1, description="Probability from which on it is answered.")
    chosen_on: str = Field(description="What it was chosen on and for, in words.")
    rule: ThresholdRule | None = Field(
        default=None,
        description="The same for programs. Without it the release gate can read no other model "
        "at a like threshold, and so passes none that ships this one.",
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
        default=None, description="Fraction of the weights that pruning set to 0, where it did."
    )
    untrained: bool = Field(
        default=False, description="Weights are random: it has a size and a speed, and no answers."
    )
    shipped: str | None = Field(
        default=None,
        description="Name of the one file that a device gets, where others only help to build.",
    )
    threshold: Threshold | None = Field(
        default=None, description="Operating threshold that ships with the model, where one does."
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
        """Return the probability from which on an image is called `name`: shipped, or one half.

        Of two classes a threshold that ships for the other one is a threshold of this one too.
        """
        shipped = self.shipped_for(name)
        if shipped is None:
            return 0.5
        return shipped.value if shipped.positive == name else math.nextafter(1 - shipped.value, 2)

    def shipped_for(self, name: str) -> Threshold | None:
        """Return the threshold that ships, where it says which images are called `name`."""
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
        """Names of all that its folder holds: the model's files, and the store's own."""
        own = [name for name in RESERVED_NAMES if (self.path / name).is_file()]
        return [*own, *self.record.files]

    def file(self, suffix: str) -> Path:
        """Return the one model file whose name ends in `suffix`.

        Raises:
            PupilaError: there is none, or there are several.
        """
        found = [file for file in self.files if file.name.endswith(suffix)]
        if len(found) != 1:
            raise PupilaError(
                f"The artifact in {str(self.path)!r} has {len(found)} files *{suffix}: expected "
                f"one, as {self.format} has. Make it again."
            )
        return found[0]

    @property
    def size_bytes(self) -> int:
        """Bytes on disk of what is shipped: all model files, as a rule."""
        return sum(file.stat().st_size for file in self._shipped)

    def gzip_bytes(self) -> int:
        """Bytes of what is shipped, each gzipped at level 6, as a web server would send them."""
        return sum(len(gzip.compress(file.read_bytes(), compresslevel=6)) for file in self._shipped)

    @property
    def _shipped(self) -> list[Path]:
        return [self.path / self.record.shipped] if self.record.shipped else self.files
