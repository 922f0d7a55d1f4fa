"""The files of a chain: `chain.json`, and a folder `stages/<name>` with the files of each stage.

`chain.json` says everything that a program needs to run the chain:

* `input`: size of the picture that the chain gets, and how a photograph is brought to it;
* `stages`: in order, the name, the folder and the record of each stage;
* `routes`: for each class of the filter that goes on, the name of the stage that comes next; an
  image of another class is turned away. It is empty without a filter;
* `present_from`: presence from which what the locator looks for is there; below, the image is
  turned away;
* `margin`: side of the crop, see `pupila.cropping`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pupila import Artifact, InputSpec, PupilaError, installed
from pupila.artifact import Record
from pupila.paths import read_plain
from pupila.plain import misfits
from pupila.plugin import GivenModel
from pupila.runtime import Stage
from pupila.store import digest_of
from pupila_chain.config import Chain

NAME = "chain.json"
VERSION = 1
FILTER, LOCATOR, CLASSIFIER = "filter", "locator", "classifier"
StageName = Literal["filter", "locator", "classifier"]
_ORDERS = ((LOCATOR, CLASSIFIER), (FILTER, LOCATOR, CLASSIFIER))


class StageFile(BaseModel):
    """A stage in `chain.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: StageName
    record: Record

    @property
    def folder(self) -> str:
        return folder_of(self.name)


class ChainFile(BaseModel):
    """The content of `chain.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = VERSION
    input: InputSpec
    stages: tuple[StageFile, ...]
    routes: Mapping[str, Literal["locator", "classifier"]]
    present_from: float = Field(ge=0, le=1)
    margin: float = Field(gt=0)


@dataclass(frozen=True)
class ChainFiles:
    """A chain that was read: what `chain.json` says, and each stage as an artifact."""

    content: ChainFile
    stages: Mapping[str, Artifact]


def folder_of(name: str) -> str:
    """Return the folder of a stage's files, relative to that of the chain."""
    return f"stages/{name}"


def read(artifact: Artifact) -> ChainFiles:
    """Return the stages of a chain.

    Raises:
        PupilaError: `chain.json` is damaged, or a stage's files are not those of the artifact.
    """
    path = artifact.path / NAME
    try:
        content = ChainFile.model_validate_json(read_plain(path))
    except (OSError, ValueError, ValidationError) as error:
        reason = misfits(error) if isinstance(error, ValidationError) else str(error)
        raise PupilaError(f"{str(path)!r} is damaged: {reason}. Make the chain again.") from None
    if tuple(stage.name for stage in content.stages) not in _ORDERS:
        names = [stage.name for stage in content.stages]
        raise PupilaError(
            f"{str(path)!r} has the stages {names}, expected a filter (or none), a locator and a "
            f"classifier. Make the chain again."
        )
    for stage in content.stages:
        _check_files(artifact, stage)
    picture = content.input
    Chain(size=min(picture.height, picture.width)).check_models(
        [given_model(stage.name, stage.record) for stage in content.stages]
    )
    return ChainFiles(
        content,
        {
            stage.name: Artifact(
                artifact.path / stage.folder, digest_of(stage.record), stage.record
            )
            for stage in content.stages
        },
    )


def check(artifact: Artifact) -> None:
    """Refuse a chain that has a stage which is not safe to open.

    Raises:
        PupilaError: a stage is not safe to open, or the chain is damaged.
    """
    for stage in read(artifact).stages.values():
        installed().check(stage)


def stages(artifact: Artifact) -> Sequence[Stage]:
    """Return the stages of a chain, in order."""
    return [
        Stage(name, stage.record.output, stage.record.threshold)
        for name, stage in read(artifact).stages.items()
    ]


def given_model(name: str, record: Record) -> GivenModel:
    """Return what the record of a model says of it."""
    size = (record.input.height, record.input.width)
    return GivenModel(name, record.format, record.output.task, record.output.classes, size)


def _check_files(artifact: Artifact, stage: StageFile) -> None:
    """Make sure that each of a stage's files is one of the artifact's, so that none is outside."""
    for name, sha256 in stage.record.files.items():
        if artifact.record.files.get(f"{stage.folder}/{name}") != sha256:
            raise PupilaError(
                f"The {stage.name} of the chain has a file {name!r} that is not among those of "
                f"the artifact in {str(artifact.path)!r}. Make the chain again."
            )
