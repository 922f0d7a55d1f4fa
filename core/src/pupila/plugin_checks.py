"""Checks of installed plugins that need no images: `pupila plugins --check`, and every contract.

Each check is a function of a descriptor, named as a sentence that holds if it returns None. What it
returns otherwise is the fault, and what to do.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pupila.data_plugins import DatasetReader, ImageFormat
from pupila.errors import PupilaError
from pupila.plugin import (
    Command,
    DataCheck,
    Loader,
    Plugin,
    Runner,
    StepPlugin,
    Student,
    Task,
    Technique,
    import_object,
)
from pupila.plugin_registry import installed
from pupila.result_plugins import ReportSection
from pupila.spec import InputSpec

_HEAVY = (
    *("tensorflow", "keras", "tf_keras", "tensorflow_model_optimization", "tensorflowjs", "jax"),
    *("onnx", "onnxruntime", "openvino", "torch"),
)
_SHORTEST, _LONGEST = 10, 100
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_NO_MODELS = {"empty": b"", "notes.txt": b"not a model\n", "picture.png": b"\x89PNG\r\n\x1a\n"}
"""Names and contents of files that no loader may recognise as a model."""


_OTHER_HEADS = {"an empty file": b"", "text": b"not an image\n", "zeros": bytes(512)}
"""First bytes of files that no format of images may recognise."""


@dataclass(frozen=True)
class PluginCheck:
    """A property of every plugin of a kind."""

    sentence: str
    """What holds if there is no fault, such as `"its implementation can be imported"`."""
    kind: type[Plugin]
    fault: Callable[[Any], str | None]
    """Function of a descriptor: what is wrong and what to do, or None."""


def checks_of(kind: type[Plugin]) -> list[PluginCheck]:
    """Return the checks of a kind of plugins, and of all the kinds that it belongs to."""
    return [check for check in _CHECKS if issubclass(kind, check.kind)]


def fault_of(check: PluginCheck, plugin: Plugin) -> str | None:
    """Return what a check finds wrong with a plugin; None if it finds nothing.

    What the plugin's code raises is a fault too.
    """
    try:
        return check.fault(plugin)
    except Exception as error:  # a third party's code may raise anything
        return f"{type(error).__name__}: {error}"


def _summary(plugin: Plugin) -> str | None:
    length = len(plugin.summary)
    if plugin.summary.strip() == plugin.summary and _SHORTEST <= length <= _LONGEST:
        return None
    return f"it has {length} characters, with spaces around it or not: {plugin.summary!r}"


def _name(plugin: Plugin) -> str | None:
    name = plugin.name.rpartition("/")[2]  # without a package that `PluginRegistry` put before it
    return None if _NAME.fullmatch(name) else f"its name is {name!r}"


def _implementation(plugin: Plugin) -> str | None:
    plugin.load()
    return None


def _listing(plugin: Plugin) -> str | None:
    names, heavy, modules = _listed(installed().origin(plugin).distribution)
    if plugin.name.rpartition("/")[2] not in names:
        return f"a new process lists {', '.join(names) or 'nothing'}"
    if heavy:
        return f"listing it imports {', '.join(heavy)}: import them where they are used"
    module = plugin.implementation.partition(":")[0]
    if isinstance(plugin, Command) and module in modules:
        return f"listing it imports {module}: put the command into a module of its own"
    return None


def _environment(plugin: Plugin) -> str | None:
    text = plugin.environment() if plugin.environment else "none"
    return None if text and len(text.splitlines()) == 1 else f"it is {text!r}"


def _inputs(plugin: StepPlugin) -> str | None:
    if not plugin.produces and (plugin.min_inputs, plugin.max_inputs) != (1, 1):
        return "without `produces`, the output has the format of one input: take exactly one"
    if not plugin.accepts and plugin.max_inputs != 0:
        return "it takes inputs of no format: name some in `accepts`, or set `max_inputs=0`"
    if plugin.max_inputs is not None and not 0 <= plugin.min_inputs <= plugin.max_inputs:
        return f"min_inputs={plugin.min_inputs}, max_inputs={plugin.max_inputs}"
    return None


def _descriptions(plugin: StepPlugin | DataCheck | DatasetReader) -> str | None:
    bare = sorted(_undescribed(plugin.config.model_json_schema()))
    return f"give these a `Field(description=…)`: {', '.join(bare)}" if bare else None


def _undescribed(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the name of every field that lacks a description, also in nested models."""
    for title, model in [(schema["title"], schema), *schema.get("$defs", {}).items()]:
        for name, field in model.get("properties", {}).items():
            if not field.get("description"):
                yield f"{title}.{name}"


def _settings(plugin: StepPlugin | DataCheck | DatasetReader) -> str | None:
    if not plugin.config.model_config.get("frozen"):
        return "they can be changed: inherit from `pupila.Config`"
    try:
        plugin.config.model_validate({"no_such_setting": 1})
    except ValidationError as error:
        if any("no_such_setting" in problem["loc"] for problem in error.errors()):
            return None
    return "a name that no setting has is accepted: inherit from `pupila.Config`"


def _defaults(plugin: DataCheck | DatasetReader) -> str | None:
    fields = plugin.config.model_fields.items()
    required = [name for name, field in fields if field.is_required()]
    return (
        f"it is used without settings: give {', '.join(required)} a default" if required else None
    )


def _control(plugin: Technique) -> str | None:
    if plugin.control is None:
        return None
    control = installed().step(plugin.control)
    if not isinstance(control, Technique) or control.max_inputs != 0:
        return f"{control.name} takes inputs: a control has no teacher"
    if control.seeded != plugin.seeded:
        return f"only one of {plugin.name} and {control.name} depends on the seed"
    lacking = sorted(control.config.model_fields.keys() - plugin.config.model_fields.keys())
    return (
        f"{control.name} also has settings that it lacks: {', '.join(lacking)}" if lacking else None
    )


def _student(plugin: Student) -> str | None:
    from pupila.training.student import build_student

    try:
        build_student(plugin, InputSpec(height=plugin.size, width=plugin.size), classes=3)
    except PupilaError as error:
        return str(error)
    return None


def _recognised(plugin: Loader) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in _NO_MODELS]
        for path, content in zip(paths, _NO_MODELS.values(), strict=True):
            path.write_bytes(content)
        (Path(folder) / "folder").mkdir()
        wrong = [p.name for p in (*paths, Path(folder) / "folder") if plugin.recognises(p)]
    return f"it recognises {', '.join(wrong)}: look at the first bytes" if wrong else None


def _recognised_images(plugin: ImageFormat) -> str | None:
    if plugin.recognises is None:
        return None
    wrong = [name for name, head in _OTHER_HEADS.items() if plugin.recognises(head)]
    return f"it recognises {', '.join(wrong)}: look at more bytes" if wrong else None


def _parts(plugin: Plugin) -> str | None:
    for field in _PARTS:
        if location := getattr(plugin, field, None):
            import_object(location)
    return None


def _template(plugin: ReportSection) -> str | None:
    package, _, path = plugin.template.partition(":")
    if not plugin.template or resources.files(package).joinpath(path).is_file():
        return None
    return f"{path} is not in the package {package}: is it part of the wheel?"


@cache
def _listed(distribution: str) -> tuple[list[str], list[str], list[str]]:
    """List one distribution's plugins in a new interpreter.

    Return the names of the plugins, the frameworks that listing them imported, and all the modules
    that it imported.
    """
    program = (
        "import json, sys; from pupila.plugin_registry import of_package; "
        f"plugins = of_package({distribution!r}).plugins; "
        "print(json.dumps([[entry.plugin.name for entry in plugins], "
        f"[name for name in {_HEAVY!r} if name in sys.modules], list(sys.modules)]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    names, heavy, modules = json.loads(ended.stdout.splitlines()[-1])
    return names, heavy, modules


_PARTS = ("training", "check", "stages")
"""Fields of descriptors that name code as `"module:attribute"`, besides `implementation`."""

_CHECKS = (
    PluginCheck("its name is words in lower case", Plugin, _name),
    PluginCheck(f"its summary is of {_SHORTEST} to {_LONGEST} characters", Plugin, _summary),
    PluginCheck("it is listed without importing a framework", Plugin, _listing),
    PluginCheck("its implementation can be imported", Plugin, _implementation),
    PluginCheck("its environment is one line", Plugin, _environment),
    PluginCheck("it can be given inputs that it accepts", StepPlugin, _inputs),
    PluginCheck("every setting is described", StepPlugin, _descriptions),
    PluginCheck("its settings are frozen and refuse misspelt names", StepPlugin, _settings),
    PluginCheck("its control trains without a teacher on its settings", Technique, _control),
    PluginCheck("every setting is described", DataCheck, _descriptions),
    PluginCheck("its settings are frozen and refuse misspelt names", DataCheck, _settings),
    PluginCheck("every setting has a default", DataCheck, _defaults),
    PluginCheck("every setting is described", DatasetReader, _descriptions),
    PluginCheck("its settings are frozen and refuse misspelt names", DatasetReader, _settings),
    PluginCheck("every setting has a default", DatasetReader, _defaults),
    PluginCheck("it recognises only images of its format", ImageFormat, _recognised_images),
    PluginCheck("it builds a model of raw pixels that gives logits", Student, _student),
    PluginCheck("it recognises only models", Loader, _recognised),
    PluginCheck("its check and its stages can be imported", Runner, _parts),
    PluginCheck("its training can be imported", Task, _parts),
    PluginCheck("its template is in its package", ReportSection, _template),
)
