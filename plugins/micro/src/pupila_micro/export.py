"""The exporter `export-tflite-micro`: writes an int8 flatbuffer as C sources."""

from __future__ import annotations

from collections import Counter
from importlib.metadata import version

from pupila import Artifact, Config, Step, StepResult
from pupila.litert.packing import repack
from pupila.measured import Measured, MicrocontrollerMemory
from pupila_micro.arena import measure_arena
from pupila_micro.comparison import compare
from pupila_micro.flatbuffer import read_operators
from pupila_micro.probes import draw_probes
from pupila_micro.refusals import check_operators
from pupila_micro.runner import MicroModel
from pupila_micro.sources import ModelDescription, write_sources

_STAGES = 3


def export(step: Step[Config]) -> StepResult:
    """Write `model.tflite`, laid out for the interpreter, and the sources `model.h` and `model.c`.

    The layout matters because the interpreter reads the file in flash memory. Constants stored
    behind the flatbuffer would count as empty, and the model's outputs would be nonsense. Constants
    that do not start at a multiple of 16 bytes are slow on some processors, or fail.

    `measured` has

    * `operators`, the number of operators of each name;
    * `flash_bytes`, the size of the flatbuffer;
    * `arena_bytes`, the size of the smallest arena in which the model ran on this computer;
    * `activation_bytes` and `persistent_bytes`, which are parts of the arena;
    * how the outputs compare with LiteRT's outputs (see `pupila_micro.comparison`).

    Raises:
        PupilaError: the model does not compute in integers, or TFLite Micro cannot run it; the
            message names the operator.
    """
    (artifact,) = step.inputs
    source, target = artifact.file(".tflite"), step.output / "model.tflite"
    content = source.read_bytes()
    operators = read_operators(content)
    check_operators(operators)
    target.write_bytes(repack(content))
    step.progress(1, _STAGES, "stages")
    arena = measure_arena(target)
    step.progress(2, _STAGES, "stages")
    model = MicroModel(target, arena.total)
    probes = draw_probes(artifact.record.input, step.seed)
    comparison = compare(model, source, artifact.record.output, probes)
    step.progress(3, _STAGES, "stages")
    counts = Counter(operator.name for operator in operators)
    description = _describe(artifact, model, arena.total, tuple(counts))
    write_sources(step.output, target.read_bytes(), description)
    memory = MicrocontrollerMemory(
        operators=dict(sorted(counts.items())),
        flash_bytes=target.stat().st_size,
        arena_bytes=arena.total,
        activation_bytes=arena.activations,
        persistent_bytes=arena.persistent,
    )
    return StepResult.like(
        artifact,
        format="tflite-micro",
        shipped=target.name,
        measured=Measured(memory, comparison.measured),
    )


def _describe(
    artifact: Artifact, model: MicroModel, arena_bytes: int, operators: tuple[str, ...]
) -> ModelDescription:
    return ModelDescription(
        source=f"Written by pupila-micro {version('pupila-micro')} of artifact {artifact.digest}.",
        arena_bytes=arena_bytes,
        input=artifact.record.input,
        output=artifact.record.output,
        input_tensor=model.input,
        output_tensor=model.output,
        operators=operators,
    )
