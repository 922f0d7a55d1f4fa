"""Graph models written by hand: the runner's tests need neither Keras nor the converter."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila import Artifact, InputSpec, OutputSpec, PupilaError, Step
from pupila.artifact import Origin
from pupila.predictions import Predictions
from pupila.store import Store
from pupila_tfjs import nodejs
from pupila_tfjs.config import ExportTfjs, Weights

SIDE = 4
"""Rows and columns of the images that the hand-written models take."""


def _shape(sizes: tuple[int, ...]) -> dict[str, Any]:
    return {"dim": [{"size": str(size)} for size in sizes]}


def _constant(name: str, sizes: tuple[int, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "op": "Const",
        "attr": {"value": {"tensor": {"dtype": "DT_FLOAT", "tensorShape": _shape(sizes)}}},
    }


def _strings(*values: str) -> dict[str, Any]:
    return {"list": {"s": [base64.b64encode(value.encode()).decode() for value in values]}}


def write_graph(
    folder: Path, nodes: list[dict[str, Any]], constants: dict[str, NDArray[Any]]
) -> Path:
    """Write `model.json` and one shard: input node `image`, output node `answer`."""
    placeholder = {
        "name": "image",
        "op": "Placeholder",
        "attr": {"dtype": {"type": "DT_FLOAT"}, "shape": {"shape": _shape((1, SIDE, SIDE, 3))}},
    }
    consts = [_constant(name, value.shape) for name, value in constants.items()]
    weights = [
        {"name": name, "shape": list(value.shape), "dtype": str(value.dtype)}
        for name, value in constants.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shard.bin").write_bytes(b"".join(value.tobytes() for value in constants.values()))
    model = {
        "format": "graph-model",
        "modelTopology": {"node": [placeholder, *consts, *nodes], "versions": {}},
        "weightsManifest": [{"paths": ["shard.bin"], "weights": weights}],
    }
    (folder / "model.json").write_text(json.dumps(model))
    return folder


@pytest.fixture
def wide_bias_model(tmp_path: Path) -> Path:
    """Write `mean over the image of relu(image @ KERNEL + BIAS)`; the bias is `(1, 1, 1, 2)`."""
    convolution = {
        "name": "convolution",
        "op": "_FusedConv2D",
        "input": ["image", "kernel", "bias"],
        "attr": {
            "T": {"type": "DT_FLOAT"},
            "num_args": {"i": "1"},
            "fused_ops": _strings("BiasAdd", "Relu"),
            "strides": {"list": {"i": ["1", "1", "1", "1"]}},
            "dilations": {"list": {"i": ["1", "1", "1", "1"]}},
            "padding": {"s": base64.b64encode(b"SAME").decode()},
            "data_format": {"s": base64.b64encode(b"NHWC").decode()},
            "explicit_paddings": {"list": {}},
            "epsilon": {"f": 0.0},
            "leakyrelu_alpha": {"f": 0.2},
        },
    }
    mean = {
        "name": "answer",
        "op": "Mean",
        "input": ["convolution", "axes"],
        "attr": {"keep_dims": {"b": False}, "T": {"type": "DT_FLOAT"}},
    }
    constants = {
        "kernel": np.array([[[[1, 0], [0, 1], [0, -1]]]], np.float32),
        "bias": np.array([[[[0.5, 100]]]], np.float32),
        "axes": np.array([1, 2], np.int32),
    }
    return write_graph(tmp_path / "wide", [convolution, mean], constants)


@pytest.fixture
def mean_colour_model(tmp_path: Path) -> Path:
    """Write a model that answers `(mean red, mean green, mean blue)`."""
    mean = {
        "name": "answer",
        "op": "Mean",
        "input": ["image", "axes"],
        "attr": {"keep_dims": {"b": False}, "T": {"type": "DT_FLOAT"}},
    }
    return write_graph(tmp_path / "colour", [mean], {"axes": np.array([1, 2], np.int32)})


@pytest.fixture
def images() -> NDArray[np.uint8]:
    """Three random images, `(3, SIDE, SIDE, 3)`."""
    return np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def javascript() -> None:
    """Skip, with the reason, if the JavaScript packages are not installed."""
    try:
        nodejs.PACKAGES.find()
    except PupilaError as error:
        pytest.skip(str(error))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


ExportModel = Callable[[Any, Weights], Artifact]


@pytest.fixture
def export_model(store: Store, tmp_path: Path) -> Iterator[ExportModel]:
    """Store a Keras model with two softmax outputs, and export it as a step would."""
    from pupila import keras_files
    from pupila_tfjs.export import export

    origin = Origin(plugin="test", distribution="test", version="0")
    output = OutputSpec(kind="softmax", classes=("glaucoma", "normal"))

    def exported(model: Any, weights: Weights) -> Artifact:
        _, height, width, _ = model.input_shape
        spec = InputSpec(height=height, width=width)
        with store.draft() as draft:
            keras_files.save(model, draft)
            source = store.add(draft, format="keras", input=spec, output=output, origin=origin)
        with store.draft() as draft:
            step = Step(
                config=ExportTfjs(weights=weights),
                inputs=(source,),
                output=draft,
                scratch=tmp_path,
                seed=0,
                dataset=None,
                predictions=Predictions(tmp_path / "predictions"),
                progress=lambda done, total, what: None,
            )
            product = export(step)
            return store.add(
                draft,
                format=product.format,
                input=product.input,
                output=product.output,
                origin=origin,
                measured=product.measured,
            )

    yield exported
