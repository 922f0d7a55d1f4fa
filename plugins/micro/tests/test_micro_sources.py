"""The C sources: compiled as C and as C++, linked, run, and compared with the flatbuffer."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from pupila import InputSpec, OutputSpec
from pupila.litert.tensor_io import TensorIO
from pupila.spec import OutputKind
from pupila.testing import StepRun
from pupila_micro.sources import ModelDescription, resolver_method, write_sources

# Prints what the sources say, and what they register, as a program for a microcontroller sees it.
PROGRAM = """
#include <cstdint>
#include <cstdio>
#include "model.h"

struct Resolver {
  %s
};

int main() {
  unsigned long sum = 0;
  for (int i = 0; i < PUPILA_MODEL_BYTES; i++) sum += (i %% 251 + 1) * pupila_model[i];
  std::printf("%%lu %%d\\n", sum, (int)(reinterpret_cast<std::uintptr_t>(pupila_model) %% 16));
  std::printf("%%d %%d\\n", PUPILA_ARENA_BYTES, (int)sizeof(pupila_model));
  for (const char *name : pupila_classes) std::printf("%%s\\n", name);
  PUPILA_INPUT_TYPE first = 0;
  (void)first;
  Resolver resolver;
  std::printf("%%d %%d\\n", (int)pupila_add_operators(resolver), PUPILA_OPERATORS);
}
"""
FLAGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")

needs_compiler = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("g++")), reason="no gcc and g++"
)


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        ("ADD", "AddAdd"),
        ("ADD_N", "AddAddN"),
        ("AVERAGE_POOL_2D", "AddAveragePool2D"),
        ("BATCH_TO_SPACE_ND", "AddBatchToSpaceNd"),
        ("CONV_2D", "AddConv2D"),
        ("CUMSUM", "AddCumSum"),
        ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D"),
        ("FULLY_CONNECTED", "AddFullyConnected"),
        ("BATCH_MATMUL", "AddBatchMatMul"),
        ("HARD_SWISH", "AddHardSwish"),
        ("L2_POOL_2D", "AddL2Pool2D"),
        ("PADV2", "AddPadV2"),
        ("PRELU", "AddPrelu"),
        ("RELU6", "AddRelu6"),
        ("RESIZE_NEAREST_NEIGHBOR", "AddResizeNearestNeighbor"),
        ("SPLIT_V", "AddSplitV"),
        ("TRANSPOSE_CONV", "AddTransposeConv"),
        ("UNIDIRECTIONAL_SEQUENCE_LSTM", "AddUnidirectionalSequenceLSTM"),
    ],
)
def test_operators_are_registered_by_the_names_of_the_resolver(operator: str, name: str):
    assert resolver_method(operator) == name


@needs_compiler
@pytest.mark.parametrize("io_type", ["int8", pytest.param("float", marks=pytest.mark.long)])
def test_a_program_finds_the_model_in_the_sources(
    exported: Callable[..., StepRun], tmp_path: Path, io_type: str
):
    artifact = exported(io_type).artifact
    content = np.frombuffer(artifact.file(".tflite").read_bytes(), np.uint8)
    weights = np.arange(len(content)) % 251 + 1
    measured = artifact.record.measured
    count = len(measured["operators"])
    assert _output(artifact.path, tmp_path, measured["operators"]) == [
        f"{int((weights * content).sum())} 0",
        f"{measured['arena_bytes']} {len(content)}",
        *artifact.record.output.classes,
        f"1 {count}",
    ]


@needs_compiler
def test_names_of_classes_survive_quotes_and_accents(tmp_path: Path):
    classes = ('Retinopathie "mild"', "Grüner Star", "back\\slash")
    write_sources(tmp_path, b"\x01\x02", _description(classes=classes))
    assert _output(tmp_path, tmp_path / "build", ["ADD"])[2:-1] == list(classes)


def test_the_header_states_scale_and_zero_point(tmp_path: Path):
    write_sources(tmp_path, b"\x01", _description())
    header = (tmp_path / "model.h").read_text()
    assert (
        dict(re.findall(r"#define PUPILA_(\w+) (.+)", header)).items()
        >= {
            "MODEL_BYTES": "1",
            "INPUT_HEIGHT": "20",
            "INPUT_WIDTH": "30",
            "INPUT_TYPE": "int8_t",
            "INPUT_SCALE": "1.0f",
            "INPUT_ZERO_POINT": "(-128)",
            "OUTPUT_COLUMNS": "2",
            "OUTPUT_TYPE": "int16_t",
            "OUTPUT_SCALE": "0.00390625f",
            "OUTPUT_ZERO_POINT": "(0)",
        }.items()
    )
    assert "softmax, a column for each class." in header


def test_a_lone_column_is_explained(tmp_path: Path):
    write_sources(tmp_path, b"\x01", _description(kind="sigmoid"))
    header = (tmp_path / "model.h").read_text()
    assert "sigmoid, the probability of the second class." in header


def test_logits_are_explained(tmp_path: Path):
    write_sources(tmp_path, b"\x01", _description(kind="logits"))
    header = (tmp_path / "model.h").read_text()
    assert "logits, a column for each class; probabilities are their softmax" in header


def _description(
    kind: OutputKind = "softmax", classes: tuple[str, ...] = ("a", "b")
) -> ModelDescription:
    return ModelDescription(
        source="Written by a test.",
        arena_bytes=1024,
        input=InputSpec(height=20, width=30),
        output=OutputSpec(kind=kind, classes=classes),
        input_tensor=TensorIO((1, 20, 30, 3), np.dtype(np.int8), 1.0, -128),
        output_tensor=TensorIO((1, len(classes)), np.dtype(np.int16), 1 / 256, 0),
        operators=("ADD",),
    )


def _output(sources: Path, folder: Path, operators: Iterable[str]) -> list[str]:
    """Compile the sources as C and as C++, link each with the program, and return what it says."""
    folder.mkdir(exist_ok=True)
    methods = "\n  ".join(
        f"int {resolver_method(operator)}() {{ return 0; }}" for operator in operators
    )
    (folder / "main.cc").write_text(PROGRAM % methods)
    said = [
        _built(sources, folder, compiler) for compiler in (("gcc", "-std=c11"), ("g++", "-xc++"))
    ]
    assert said[0] == said[1]
    return said[0]


def _built(sources: Path, folder: Path, compiler: tuple[str, str]) -> list[str]:
    model, program = folder / f"{compiler[0]}.o", folder / "program"
    subprocess.run([*compiler, *FLAGS, "-c", sources / "model.c", "-o", model], check=True)
    command = ["g++", "-std=c++17", *FLAGS, "-I", sources, folder / "main.cc", model, "-o", program]
    subprocess.run(command, check=True)
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout.splitlines()
