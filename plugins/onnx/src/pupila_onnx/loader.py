"""The loader of ONNX files: checks a file by running it, and writes it channels last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pupila import OutputSpec, PupilaError, StepResult
from pupila.imported import check_columns, check_kind, input_spec
from pupila.measured import Measured
from pupila.pixel_scaling import PixelScaling
from pupila.probes import draw_probes
from pupila.runtime import ignore_progress
from pupila_onnx.check import check_model
from pupila_onnx.files import MODEL_NAME, onnx, read, shape_of, write
from pupila_onnx.graph import Graph
from pupila_onnx.own_constants import separate_constants
from pupila_onnx.runner import OnnxModel

_PROBE_SEED = 0
_TO_CHANNELS_FIRST = (0, 3, 1, 2)


def load(
    source: Path, output: OutputSpec, folder: Path, scaling: PixelScaling | None = None
) -> StepResult:
    """Write a model of one RGB image in 0..255, float32, as one that takes it channels last.

    A model that takes channels first gets a `Transpose` in front, and one whose pixels were scaled
    outside gets the scaling in front; no number changes. `output` is the declared output.

    Raises:
        PupilaError: the file is not safe to open, or ONNX Runtime cannot run it; the input is not
            an RGB image; the number of output columns differs from the declared number; or the
            outputs are not of the declared kind.
    """
    model = read(source)
    check_model(model, source)
    image = _image(model, source)
    is_channels_first = shape_of(image)[1:2] == (3,) and shape_of(image)[3:] != (3,)
    if is_channels_first:
        _take_channels_last(model.graph, image)
    if scaling:
        _take_raw_pixels(model.graph, image, scaling)
    separate_constants(model)
    spec = input_spec(source, shape_of(_image(model, source)))
    write(model, folder / MODEL_NAME)
    opened = OnnxModel(folder / MODEL_NAME, threads=1)
    output = check_columns(source, opened.output_shape, output)
    check_kind(source, opened.predict(draw_probes(spec, _PROBE_SEED), ignore_progress), output)
    graph = Graph(model)
    return StepResult(
        format="onnx",
        input=spec,
        output=output,
        parameters=graph.parameters,
        macs=graph.macs,
        measured=Measured({"channels": "first" if is_channels_first else "last"}),
    )


def _image(model: Any, source: Path) -> Any:
    """Return the only input of a model that is not one of its weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise PupilaError(
            f"{str(source)!r} takes {len(inputs)} inputs. Expected one RGB image: export the model "
            f"with that input."
        )
    return inputs[0]


def _take_channels_last(graph: Any, image: Any) -> None:
    """Put a `Transpose` in front of a graph, so that its image is `(batch, height, width, 3)`."""
    batch, channels, height, width = (
        onnx.TensorShapeProto.Dimension.FromString(axis.SerializeToString())
        for axis in image.type.tensor_type.shape.dim
    )
    name = _free_name(graph, "channels_last")
    node = onnx.helper.make_node("Transpose", [name], [image.name], perm=_TO_CHANNELS_FIRST)
    graph.node.insert(0, node)
    image.name = name
    del image.type.tensor_type.shape.dim[:]
    image.type.tensor_type.shape.dim.extend((batch, height, width, channels))


def _take_raw_pixels(graph: Any, image: Any, scaling: PixelScaling) -> None:
    """Put the scaling of pixels in front of a graph whose image is channels last."""
    steps: list[tuple[str, int, Sequence[float], dict[str, int]]] = [
        ("Mul", onnx.TensorProto.FLOAT, scaling.factors, {}),
        ("Add", onnx.TensorProto.FLOAT, scaling.terms, {}),
    ]
    if scaling.reverses:
        steps.append(("Gather", onnx.TensorProto.INT64, (2, 1, 0), {"axis": 3}))
    raw = _free_name(graph, "raw_pixels")
    values = [raw, *(f"{raw}_{operator}" for operator, *_ in steps[:-1]), image.name]
    nodes: list[Any] = []
    for (operator, kind, numbers, settings), taken, given in zip(
        steps, values[:-1], values[1:], strict=True
    ):
        constant = f"{raw}_of_{operator}"
        tensor = onnx.helper.make_tensor(constant, kind, [len(numbers)], numbers)
        nodes += [
            onnx.helper.make_node("Constant", [], [constant], value=tensor),
            onnx.helper.make_node(operator, [taken, constant], [given], **settings),
        ]
    for number, node in enumerate(nodes):
        graph.node.insert(number, node)
    image.name = raw


def _free_name(graph: Any, name: str) -> str:
    """Return a name of this beginning that no tensor of a graph has."""
    names = {name for node in graph.node for name in (*node.input, *node.output)}
    return next(
        free for number in range(len(names) + 1) if (free := f"{name}_{number}") not in names
    )
