"""Checks an artifact before it is opened or handed to a C compiler."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from pupila import Artifact, PupilaError
from pupila.litert.tensor_io import TensorIO, read_tensor_io
from pupila.measured import MicrocontrollerMemory
from pupila_micro.flatbuffer import read_operators
from pupila_micro.refusals import check_operators
from pupila_micro.sources import HEADER, SOURCE, ModelDescription, write_sources

_MODEL = "model.tflite"
_FIRST_LINE = re.compile(r"/\* (Written by pupila-micro [\w.+!]+ of artifact [0-9a-f]{64}\.) \*/\n")


def check(artifact: Artifact) -> None:
    """Refuse an artifact unless its files are exactly what `export-tflite-micro` writes.

    C sources are code, so they must match the exporter's sources byte for byte. TFLite Micro does
    not verify flatbuffers, so LiteRT verifies the flatbuffer here.

    Raises:
        PupilaError: a file is missing or superfluous, the flatbuffer is damaged, TFLite Micro does
            not support an operator of the flatbuffer, or the sources do not match the flatbuffer.
    """
    path, files = artifact.path / _MODEL, sorted(artifact.record.files)
    if files != sorted([_MODEL, HEADER, SOURCE]):
        raise PupilaError(
            f"{str(artifact.path)!r} holds {files}: expected {_MODEL}, {HEADER} and {SOURCE}, as "
            "export-tflite-micro writes. Export the model again."
        )
    try:
        inputs, outputs = read_tensor_io(path)
        operators = read_operators(path.read_bytes())
        check_operators(operators)
    except (ValueError, RuntimeError) as error:
        raise PupilaError(f"{str(path)!r} cannot be read by LiteRT: {error}") from None
    names = tuple(Counter(operator.name for operator in operators))
    _check_sources(artifact, inputs, outputs, names)


def _check_sources(
    artifact: Artifact,
    inputs: list[TensorIO],
    outputs: list[TensorIO],
    operators: tuple[str, ...],
) -> None:
    """Refuse an artifact whose sources are not what `write_sources` makes of its flatbuffer."""
    memory = artifact.record.measured.read(MicrocontrollerMemory)
    with (artifact.path / HEADER).open(encoding="utf-8", errors="replace") as header:
        source = _FIRST_LINE.fullmatch(header.readline(200))
    if memory and source and len(inputs) == len(outputs) == 1:
        record = artifact.record
        description = ModelDescription(
            source=source[1],
            arena_bytes=memory.arena_bytes,
            input=record.input,
            output=record.output,
            input_tensor=inputs[0],
            output_tensor=outputs[0],
            operators=operators,
        )
        with tempfile.TemporaryDirectory() as folder:
            write_sources(Path(folder), (artifact.path / _MODEL).read_bytes(), description)
            if all(
                _are_equal(Path(folder, name), artifact.path / name) for name in (HEADER, SOURCE)
            ):
                return
    raise PupilaError(
        f"{str(artifact.path)!r} holds C sources that pupila-micro {version('pupila-micro')} does "
        "not write for its flatbuffer: they were altered, or written by another version. Export "
        "the model again."
    )


def _are_equal(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()
