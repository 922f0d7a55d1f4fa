from __future__ import annotations

from typing import Any

import pytest

from pupila import PupilaError
from pupila_keras.keras_imports import import_keras
from pupila_keras.safety import check_config


def layer(kind: str, module: str | None = "keras.layers", /, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "module": module, "config": config, "registered_name": None}


def function(name: str, module: str | None) -> dict[str, Any]:
    return {"class_name": "function", "module": module, "config": name, "registered_name": name}


def nested(entry: dict[str, Any]) -> dict[str, Any]:
    inner = layer("Sequential", "keras", name="inner", layers=[entry])
    return layer("Functional", "keras.src.models.functional", name="outer", layers=[inner])


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (layer("Lambda", name="x"), "a Lambda layer 'x', which runs code"),
        (layer("Lambda", None, name="x"), "a Lambda layer 'x', which runs code"),
        (layer("__lambda__", "builtins"), "a __lambda__ layer, which runs code"),
        (layer("Dense", name="d", activation=layer("__lambda__", "builtins")), "a __lambda__"),
        (layer("TFSMLayer", name="m", filepath="elsewhere"), "a TFSMLayer layer 'm', which opens"),
        (layer("StringLookup", name="v"), "a StringLookup layer 'v', which opens other files"),
        (layer("TFOpLambda", None, name="t", function="io.write_file"), "'io.write_file' 't'"),
        (layer("TFOpLambda", None, name="t"), "a bare TensorFlow operation None 't'"),
        (layer("TensorFlowOpLayer", None, name="t"), "a TensorFlowOpLayer layer 't'"),
        (layer("Popen", "subprocess"), "the custom class 'subprocess.Popen'"),
        (layer("Dense", "my_package.layers"), "the custom class 'my_package.layers.Dense'"),
        (layer("Attention3D", None), "the custom class 'Attention3D'"),
        (layer("Popen", "keras.src.utils"), "the custom class 'keras.src.utils.Popen'"),
        (
            layer("Conv2D") | {"registered_name": "mine>Conv2D"},
            "the custom class 'mine>Conv2D'",
        ),
        (layer("Dense", activation=function("system", "os")), "the custom function 'system'"),
        (layer("Dense", activation=function("get_file", "keras.utils")), "function 'get_file'"),
        (layer("Dense", activation=function("mine", "builtins")), "the custom function 'mine'"),
        (layer("Dense", activation=function("deserialize", "keras.activations")), "'deserialize'"),
        (layer("Popen", "keras.ops.subprocess"), "custom class 'keras.ops.subprocess.Popen'"),
        (layer("KerasTensor", "keras.src.ops.numpy"), "'keras.src.ops.numpy.KerasTensor'"),
        (layer("Function", "keras.src.ops.function"), "'keras.src.ops.function.Function'"),
        ({"class_name": ["Dense"], "config": {}}, "a class named"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda entry: entry, nested], ids=["alone", "nested"])
def test_code_that_would_run_is_named(entry: dict[str, Any], complaint: str, wrap):
    with pytest.raises(PupilaError, match=complaint):
        check_config(wrap(entry))


@pytest.mark.parametrize(
    "entry",
    [
        layer("Dense", activation="relu"),
        layer("Dense", activation=function("relu", "builtins")),
        layer("GroupedQueryAttention", None, head_dim=8),
        layer("Conv2D", kernel_initializer=layer("HeNormal", "keras.initializers")),
        layer("Conv2D", dtype=layer("DTypePolicy", "keras", name="float32")),
        layer("Add", "keras.src.ops.numpy"),
        layer("TFOpLambda", "tf_keras.src.layers.core.tf_op_layer", function="math.truediv"),
        layer("Functional", "tf_keras.src.engine.functional", layers=[]),
    ],
)
def test_classes_of_keras_pass(entry: dict[str, Any]):
    check_config(nested(entry))


@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetB0"])
def test_models_that_keras_builds_pass(name: str):
    keras = import_keras()
    model = getattr(keras.applications, name)(weights=None)
    check_config(keras.saving.serialize_keras_object(model))


def test_a_config_nested_beyond_recursion_is_checked():
    entry = layer("Lambda", name="deep")
    for _ in range(10_000):
        entry = {"config": entry}
    with pytest.raises(PupilaError, match="'deep'"):
        check_config(entry)
