"""What the page knows about a chain: its stages, and how an image goes through them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pupila import Artifact, PupilaError, installed
from pupila.artifact import Record
from pupila.paths import read_plain
from pupila.store import digest_of
from pupila_site.tensor_io import check_tensor_io

_FILE = "chain.json"
_RUNS = "tflite"
"""Format of the stages that the page runs."""


class _Stage(BaseModel):
    model_config = ConfigDict(frozen=True)

    name: Literal["filter", "locator", "classifier"]
    record: Record


class _Chain(BaseModel):
    """What the page needs of `chain.json`; the plugin that makes chains describes all of it."""

    model_config = ConfigDict(frozen=True)

    stages: tuple[_Stage, ...]
    routes: Mapping[str, str]
    present_from: float
    margin: float


CopyModel = Callable[[Artifact, str], dict[str, Any]]
"""Copies a model into the site and describes it, given its name on the page."""


def describe_chain(artifact: Artifact, name: str, copy: CopyModel) -> dict[str, Any]:
    """Copy the models of a chain's stages, and return how the page runs the chain.

    Raises:
        PupilaError: the chain is damaged, or a stage does not run in browsers.
    """
    installed().check(artifact)
    chain = _Chain.model_validate_json(read_plain(artifact.path / _FILE))
    stages: dict[str, Any] = {"filter": None}
    for stage in chain.stages:
        model = _model_of(artifact, name, stage)
        stages[stage.name] = copy(model, f"{name}: {stage.name}") | _decoding(stage)
    picture = artifact.record.input
    return {
        "name": name,
        "bytes": sum(stage["bytes"] for stage in stages.values() if stage),
        "width": picture.width,
        "height": picture.height,
        **stages,
        "routes": dict(chain.routes),
        "presentFrom": chain.present_from,
        "margin": chain.margin,
    }


def _model_of(artifact: Artifact, name: str, stage: _Stage) -> Artifact:
    record = stage.record
    if record.format != _RUNS:
        raise PupilaError(
            f"The {stage.name} of the chain {name!r} has the format {record.format}, and the page "
            f"runs {_RUNS}: export it with `export-tflite`, and make the chain of the exports."
        )
    model = Artifact(artifact.path / "stages" / stage.name, digest_of(record), record)
    check_tensor_io(model)
    return model


def _decoding(stage: _Stage) -> dict[str, Any]:
    """Return what the page needs to turn a stage's raw output into an answer."""
    output, threshold = stage.record.output, stage.record.threshold
    decoding: dict[str, Any] = {"kind": output.kind}
    if stage.name == "filter":
        shipped = threshold and {"positive": threshold.positive, "value": threshold.value}
        decoding["threshold"] = shipped
    if stage.name == "locator":
        decoding["size"] = list(output.size or ())
    return decoding
