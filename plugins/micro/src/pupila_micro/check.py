"""Judges an artifact before it is opened, or handed to a C compiler."""

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
from pupila_micro.sources import HEADER, SOURCE, Facts, write_sources

_MODEL = "model.tflite"
_FIRST_LINE = re.compile(r"/\* (Written by pupila-micro [\w.+!]+ of artifact [0-9a-f]{64}\.) \*/\n")


def check(artifact: Artifact) -> None:
    """Refuse an artifact that is not what `export-tflite-micro` writes, byte for byte.

    TFLite Micro reads a flatbuffer without verifying it, so LiteRT does that before; and C sources
    are code.

    Raises:
        PupilaError: its flatbuffer is broken or has custom operators; or its sources are others
            than those of the flatbuffer.
    """
    where, names = str(artifact.path), sorted(artifact.record.files)
    if names != sorted([_MODEL, HEADER, SOURCE]):
        raise PupilaError(
            f"{where!r} holds {names}: expected {_MODEL}, {HEADER} and {SOURCE}, as "
            "export-tflite-micro writes. Export the model again."
        )
    path = artifact.path / _MODEL
    try:
        ends = read_tensor_io(path)
        operators = read_operators(path.read_bytes())
        check_operators(operators)
    except (ValueError, RuntimeError) as error:
        raise PupilaError(f"{str(path)!r} is no flatbuffer that LiteRT can read: {error}") from None
    _check_sources(artifact, *ends, tuple(Counter(each.name for each in operators)))


def _check_sources(
    artifact: Artifact, first: list[TensorIO], last: list[TensorIO], operators: tuple[str, ...]
) -> None:
    """Write the sources of the flatbuffer again, and refuse others."""
    memory = artifact.record.measured.read(MicrocontrollerMemory)
    with (artifact.path / HEADER).open(encoding="utf-8", errors="replace") as header:
        source = _FIRST_LINE.fullmatch(header.readline(200))
    if memory and source and len(first) == len(last) == 1:
        record = artifact.record
        facts = Facts(
            source=source[1],
            arena_bytes=memory.arena_bytes,
            input=record.input,
            output=record.output,
            first=first[0],
            last=last[0],
            operators=operators,
        )
        with tempfile.TemporaryDirectory() as folder:
            write_sources(Path(folder), (artifact.path / _MODEL).read_bytes(), facts)
            if all(
                _are_equal(Path(folder, name), artifact.path / name) for name in (HEADER, SOURCE)
            ):
                return
    raise PupilaError(
        f"{str(artifact.path)!r} holds C sources that pupila-micro {version('pupila-micro')} does "
        "not write of its flatbuffer: they were altered, or written by another version. Export "
        "the model again."
    )


def _are_equal(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and one.read_bytes() == other.read_bytes()
