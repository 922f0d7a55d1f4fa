"""Checks an artifact before Node or a browser opens it."""

from __future__ import annotations

import json
import math

from pydantic import BaseModel, Field, NonNegativeInt

from pupila import Artifact, PupilaError

_MODEL = "model.json"
_MAX_BYTES = 1 << 26
"""Largest allowed `model.json`, as it is read whole. A large classifier's file has half a MB."""
_BYTES = {"float32": 4, "int32": 4, "float16": 2, "uint16": 2, "uint8": 1, "bool": 1}


class _Quantization(BaseModel):
    dtype: str


class _Weight(BaseModel):
    name: str
    shape: list[NonNegativeInt] = Field(max_length=8)
    dtype: str
    quantization: _Quantization | None = None

    @property
    def bytes(self) -> int:
        """Size of the weight in the shards; in memory, it is at most four times as large."""
        return math.prod(self.shape) * _BYTES[(self.quantization or self).dtype]


class _Group(BaseModel):
    paths: list[str]
    weights: list[_Weight]


class _Node(BaseModel):
    name: str
    op: str


class _Topology(BaseModel):
    node: list[_Node]


class _GraphModel(BaseModel):
    """The fields of `model.json` that say which files are read, and how large the weights are."""

    modelTopology: _Topology  # noqa: N815 - as TF.js names it
    weightsManifest: list[_Group]  # noqa: N815


def check(artifact: Artifact) -> None:
    """Refuse a graph model that would read files other than its own, or take too much memory.

    Raises:
        PupilaError: the model is damaged, takes too much memory, or names files or addresses that
            are not files of the artifact.
    """
    try:
        problem = _problem(artifact)
    except (ValueError, KeyError, RecursionError) as error:  # pydantic's is a ValueError
        problem = f"it is damaged ({type(error).__name__})"
    if problem:
        raise PupilaError(
            f"{str(artifact.path / _MODEL)!r}: {problem}. Expected a graph model and its weights, "
            "as export-tfjs writes them: export the model again."
        )


def _problem(artifact: Artifact) -> str | None:
    path, files = artifact.path / _MODEL, set(artifact.record.files)
    if _MODEL not in files:
        return "it is missing"
    if path.stat().st_size > _MAX_BYTES:
        return f"it has more than {_MAX_BYTES:,} bytes"
    groups = _GraphModel.model_validate(json.loads(path.read_bytes())).weightsManifest
    named = {name for group in groups for name in group.paths}
    if foreign := named - files:
        return f"it reads {min(foreign)!r}, which is not a file of the artifact"
    if others := files - named - {_MODEL}:
        return f"the artifact also holds {min(others)!r}, which it does not name"
    for group in groups:
        stated = sum(weight.bytes for weight in group.weights)
        stored = sum((artifact.path / name).stat().st_size for name in group.paths)
        if stated != stored:
            return f"it states weights of {stated:,} bytes, and {stored:,} are there"
    return None
