"""Checks a model file's config for anything that would run code from the file.

The config is read as JSON and checked before Keras deserialises it, as Keras may import or call
whatever a config names. Only Keras' own classes are accepted, without the classes that run code or
open files.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any, cast

from pupila import PupilaError
from pupila_keras import keras_imports
from pupila_keras.operators import OPERATOR_CLASSES, TRANSLATED

_RUNS_CODE = frozenset({"Lambda", "__lambda__", "TensorFlowOpLayer"})
_OPENS_FILES = frozenset(
    {
        "FlaxLayer",
        "IntegerLookup",
        "JaxLayer",
        "StringLookup",
        "TFSMLayer",
        "TextVectorization",
        "TorchModuleWrapper",
    }
)
_PLAIN_VALUES = frozenset(
    {
        "TensorShape",
        "__ellipsis__",
        "__keras_tensor__",
        "__numpy__",
        "__slice__",
        "__tensor__",
        "__tuple__",
    }
)
_OF_APPLICATIONS = frozenset({"LayerScale"})
"""Layers that only architectures of `keras.applications` have."""
_NAMESPACES = (
    "layers",
    "initializers",
    "regularizers",
    "constraints",
    "optimizers",
    "optimizers.schedules",
    "losses",
    "metrics",
)


def check_config(config: Any, is_known: Callable[[str], bool] = lambda name: False) -> None:
    """Refuse a config that names anything but classes and activations of Keras itself.

    `is_known` takes the registered name of a class, and returns whether to accept the class anyway.

    Raises:
        PupilaError: the config has a Lambda layer, a custom class or function, a layer that opens
            files, or an unsupported TensorFlow operation; the message names it.
    """
    for entry in _entries(config):
        objection = None if is_known(str(entry.get("registered_name"))) else _objection(entry)
        if objection:
            raise PupilaError(
                f"it holds {objection}. Code from a model file is never run: "
                "build the model from Keras' own layers and save it again."
            )


def bare_operations(config: Any) -> Iterator[str]:
    """Yield the names of Keras 3's operations and of layers of its applications without a module.

    Names that layers of Keras have too are left out.
    """
    for entry in _entries(config):
        name = entry["class_name"]
        known = _keras_operations() | _OF_APPLICATIONS
        if not entry.get("module") and name in known - _keras_classes():
            yield str(name)


def is_registered(name: str) -> bool:
    """Return whether installed code has registered a class under this name (`mine>Layer`)."""
    return (
        ">" in name and keras_imports.import_keras().saving.get_registered_object(name) is not None
    )


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every serialised object in a config, at any depth."""
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            pending += value.values()
        elif isinstance(value, list):
            pending += value


def _objection(entry: dict[str, Any]) -> str | None:
    """Return why a serialised object is refused; None if it is accepted."""
    name, inner = entry["class_name"], entry.get("config")
    if not isinstance(name, str):
        return f"a class named {name!r}"
    if name == "function":
        return None if _is_activation(entry) else f"the custom function {inner!r}"
    if name in _RUNS_CODE:
        return f"a {name} layer{_quoted_name(inner)}, which runs code stored in the file"
    if name in _OPENS_FILES:
        return f"a {name} layer{_quoted_name(inner)}, which opens other files or runs other code"
    if name in OPERATOR_CLASSES:
        settings = cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
        function = settings.get("function")
        if function not in TRANSLATED:
            return f"a bare TensorFlow operation {function!r}{_quoted_name(inner)}, not a layer"
        return None
    return None if _is_of_keras(entry) else f"the custom class {_full_name(entry)!r}"


def _quoted_name(inner: Any) -> str:
    return f" {inner['name']!r}" if isinstance(inner, dict) and "name" in inner else ""


def _full_name(entry: dict[str, Any]) -> str:
    registered = entry.get("registered_name")
    if registered and ">" in str(registered):
        return str(registered)
    module = entry.get("module")
    return f"{module}.{entry['class_name']}" if module else str(entry["class_name"])


def _is_of_keras(entry: dict[str, Any]) -> bool:
    name, module = entry["class_name"], entry.get("module") or ""
    if name in _PLAIN_VALUES:
        return True
    if ">" in str(entry.get("registered_name")):
        return False
    if str(module).startswith(("keras.ops.", "keras.src.ops.")):
        return name in _keras_operations()
    return str(module).split(".")[0] in ("", "keras", "tf_keras") and name in _keras_classes()


def _is_activation(entry: dict[str, Any]) -> bool:
    module, name = str(entry.get("module") or "builtins"), str(entry.get("config"))
    of_keras = module == "builtins" or module.startswith(("keras.", "tf_keras."))
    return of_keras and name in _keras_activations()


@cache
def _keras_activations() -> frozenset[str]:
    """Return the names of Keras 3's activations, without the functions that look activations up."""
    space = vars(import_module(f"{keras_imports.import_keras().__name__}.activations"))
    named = {name for name, value in space.items() if callable(value) and name[0] != "_"}
    return frozenset(named - {"deserialize", "get", "serialize"})


@cache
def _keras_operations() -> frozenset[str]:
    """Return the class names that `keras.ops` operations have in a model's graph."""
    keras = keras_imports.import_keras()
    package = import_module("keras.src.ops")
    modules = [import_module(f"{package.__name__}.{info.name}") for info in _modules(package)]
    names = {
        name
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, keras.Operation)
    }
    return frozenset(names - {"Function", "Operation"})


def _modules(package: Any) -> Iterator[pkgutil.ModuleInfo]:
    modules = pkgutil.iter_modules(package.__path__)
    return (info for info in modules if not info.name.endswith("_test"))


@cache
def _keras_classes() -> frozenset[str]:
    """Return the names of the classes of Keras 3 and tf_keras that a model may consist of.

    Some have two names: `keras.layers.GroupQueryAttention` is called `GroupedQueryAttention`.
    """
    names = {"Functional", "Sequential", "Model", "DTypePolicy", "FloatDTypePolicy", "Policy"}
    for library in (keras_imports.import_keras(), keras_imports.import_tf_keras()):
        for namespace in _NAMESPACES:
            space = import_module(f"{library.__name__}.{namespace}")
            classes = {
                name: value for name, value in vars(space).items() if isinstance(value, type)
            }
            names |= {*classes, *(value.__name__ for value in classes.values())}
    return frozenset(names)
