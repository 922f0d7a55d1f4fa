"""Writes `docs/reference.md` from the code itself: `python docs/make_reference.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pupila.data_plugins import DatasetReader, ImageFormat
from pupila.errors import join_names
from pupila.hookspecs import Hooks
from pupila.plugin import (
    ANY_TASK,
    CLASSIFICATION,
    Command,
    DataCheck,
    Loader,
    Runner,
    Shift,
    StepPlugin,
    Student,
    Task,
)
from pupila.plugin_registry import PluginRegistry, installed
from pupila.result_plugins import GateCondition, Metric, ReportSection
from pupila_flows.recipe.schema import Recipe, model_in

PAGE = Path(__file__).with_name("reference.md")


def reference(registry: PluginRegistry) -> str:
    """Return the whole page as Markdown."""
    parts = ["# Reference", "", "Written by `python docs/make_reference.py`; a test keeps it true."]
    parts += ["", "## Recipe", "", *_fields(Recipe, "")]
    for plugin in registry.all(StepPlugin):
        parts += ["", f"## {plugin.kind} `{plugin.name}`", "", f"{plugin.summary}.", ""]
        takes = ", ".join(f"`{name}`" for name in sorted(plugin.accepts)) or "no model"
        gives = f"`{plugin.produces}`" if plugin.produces else "the same"
        parts += [f"Takes {takes}; gives {gives}.{_tasks_of(plugin)}", ""]
        parts += _fields(plugin.config, "") or ["It has no settings."]
    parts += ["", "## Tasks", "", *map(_task_line, registry.all(Task))]
    parts += ["", "## Students", "", *_listed(registry, Student)]
    parts += ["", "## Loaders", "", *_listed(registry, Loader)]
    parts += ["", "## Runners", "", *_listed(registry, Runner)]
    parts += ["", "## Shifts", "", *_listed(registry, Shift)]
    parts += ["", "## Formats of images", "", *_listed(registry, ImageFormat)]
    parts += ["", "## Readers of data sets", "", *_listed(registry, DatasetReader)]
    for reader in registry.all(DatasetReader):
        if settings := _fields(reader.config, ""):
            parts += ["", f"### Reader `{reader.name}`", "", *settings]
    parts += ["", "## Data checks", "", *(_listed(registry, DataCheck) or ["None of our own."])]
    parts += ["", "## Commands", "", *_listed(registry, Command)]
    parts += ["", "## Metrics", "", *_listed(registry, Metric)]
    parts += ["", "## Conditions", "", *_listed(registry, GateCondition)]
    parts += ["", "## Sections of the report", "", *_listed(registry, ReportSection)]
    parts += ["", "## Hooks", ""]
    for name, hook in vars(Hooks).items():
        if name.startswith("pupila_"):
            parts.append(f"* `{name}`: {str(hook.__doc__).splitlines()[0]}")
    return "\n".join(parts) + "\n"


def _tasks_of(plugin: StepPlugin) -> str:
    """Name the tasks of a step, unless it can only do classifications."""
    if plugin.tasks == {CLASSIFICATION}:
        return ""
    names = join_names(f"`{name}`" for name in sorted(plugin.tasks))
    return f" Tasks: {'all' if plugin.tasks == ANY_TASK else names}."


def _task_line(task: Task) -> str:
    labels = join_names(f"`{name}`" for name in task.label_columns)
    kinds = join_names(f"`{kind}`" for kind in task.output_kinds)
    return f"* `{task.name}`: {task.summary}. Columns of a label: {labels}. Outputs: {kinds}."


def _listed(registry: PluginRegistry, kind: Any) -> list[str]:
    return [f"* `{plugin.name}`: {plugin.summary}" for plugin in registry.all(kind)]


def _fields(model: type[BaseModel], prefix: str) -> list[str]:
    """Return one line per field; the fields of a nested section follow the section's own line."""
    return list(_lines(model, prefix))


def _lines(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        default = "" if _is_nested_default(field.default) else f" Default: `{field.default}`."
        yield f"* `{path}`: {field.description}{default}"
        inner = model_in(field.annotation)
        if inner is not None:
            is_mapping = getattr(field.annotation, "__origin__", None) is dict
            yield from _lines(inner, f"{path}.<name>." if is_mapping else f"{path}.")


def _is_nested_default(default: Any) -> bool:
    return default is PydanticUndefined or isinstance(default, BaseModel) or default is None


if __name__ == "__main__":
    PAGE.write_text(reference(installed()))
