"""Writes `docs/reference.md` from the code itself: `python docs/make_reference.py`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
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

_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
"""Names of a field's bounds, in words."""
PAGE = Path(__file__).with_name("reference.md")


Block = type[BaseModel]
"""A class whose settings are read together: a nested section, or a base of steps' settings."""


def reference(registry: PluginRegistry) -> str:
    """Return the whole page as Markdown."""
    steps = list(registry.all(StepPlugin))
    shared = _shared([plugin.config for plugin in steps])
    parts = ["# Reference", "", "Written by `python docs/make_reference.py`; a test keeps it true."]
    parts += ["", "## Recipe", "", *_lines(Recipe, shared)]
    for plugin in steps:
        parts += ["", f"## {plugin.kind} `{plugin.name}`", "", f"{plugin.summary}.", ""]
        takes = ", ".join(f"`{name}`" for name in sorted(plugin.accepts)) or "no model"
        gives = f"`{plugin.produces}`" if plugin.produces else "the same"
        parts += [f"Takes {takes}; gives {gives}.{_tasks_of(plugin)}", ""]
        parts += list(_step_lines(plugin.config, shared)) or ["It has no settings."]
    parts += ["", "## Settings of several sections and steps"]
    for block in sorted(shared, key=_title):
        parts += ["", f"### {_title(block)}", "", str(block.__doc__).splitlines()[0], ""]
        parts += _lines(block, shared, only=shared[block])
    parts += ["", "## Tasks", "", *map(_task_line, registry.all(Task))]
    parts += ["", "## Students", "", *_listed(registry, Student)]
    parts += ["", "## Loaders", "", *_listed(registry, Loader)]
    parts += ["", "## Runners", "", *_listed(registry, Runner)]
    parts += ["", "## Shifts", "", *_listed(registry, Shift)]
    parts += ["", "## Formats of images", "", *_listed(registry, ImageFormat)]
    parts += ["", "## Readers of data sets", "", *_listed(registry, DatasetReader)]
    for reader in registry.all(DatasetReader):
        if settings := list(_lines(reader.config, shared)):
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


def _shared(configs: Iterable[type[BaseModel]]) -> dict[Block, set[str]]:
    """Return what is written once, with the names of the settings there.

    These are bases from which two steps or more inherit settings, and sections that are in two
    places or more.
    """
    configs = list(configs)
    names: dict[Block, set[str]] = {}
    users: Counter[Block] = Counter()
    for config in configs:
        for block, settings in _by_block(config).items():
            names.setdefault(block, set()).update(settings)
            users[block] += 1
    for section in (Recipe, *configs):
        for inner in _sections_in(section):
            names[inner] = set(inner.model_fields)
            users[inner] += 1
    return {block: names[block] for block, count in users.items() if count > 1}


def _by_block(config: Block) -> dict[Block, list[str]]:
    """Return the names of a step's settings by the class that defines them."""
    blocks: dict[Block, list[str]] = {}
    for name in config.model_fields:
        block = next(
            base for base in config.__mro__ if name in vars(base).get("__annotations__", {})
        )
        blocks.setdefault(block, []).append(name)
    return blocks


def _sections_in(model: Block) -> Iterator[Block]:
    """Yield the nested sections of a model, and those in them."""
    for field in model.model_fields.values():
        if inner := model_in(field.annotation):
            yield inner
            yield from _sections_in(inner)


def _title(block: Block) -> str:
    """Return the name of a class as words: `EpochChoice` is `Epoch choice`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", block.__name__).capitalize()


def _link(block: Block) -> str:
    return f"[{_title(block)}](#{_title(block).lower().replace(' ', '-')})"


def _step_lines(config: Block, shared: dict[Block, set[str]]) -> Iterator[str]:
    """Yield a line for each setting that is the step's own, and one for each shared block."""
    blocks = _by_block(config)
    own = {name for block, names in blocks.items() if block not in shared for name in names}
    yield from _lines(config, shared, only=own)
    for block, names in blocks.items():
        if block in shared:
            settings = (_with_default(name, config.model_fields[name].default) for name in names)
            yield f"* {_link(block)}: {', '.join(settings)}"


def _with_default(name: str, default: Any) -> str:
    return f"`{name}`" if _is_nested_default(default) else f"`{name}: {default}`"


def _lines(
    model: Block, shared: dict[Block, set[str]], prefix: str = "", only: set[str] | None = None
) -> Iterator[str]:
    """Yield one line per setting; those of a nested section follow, or are linked if shared."""
    for name, field in model.model_fields.items():
        if only is not None and name not in only:
            continue
        path = f"{prefix}{field.alias or name}"
        default = "" if _is_nested_default(field.default) else f" Default: `{field.default}`."
        inner = model_in(field.annotation)
        see = f" Its settings: {_link(inner)}." if inner in shared else ""
        yield f"* `{path}`: {field.description}{_range(field)}{default}{see}"
        if inner is not None and inner not in shared:
            is_mapping = getattr(field.annotation, "__origin__", None) is dict
            yield from _lines(inner, shared, f"{path}.<name>." if is_mapping else f"{path}.")


def _range(field: FieldInfo) -> str:
    """Return the bounds of a number as a sentence; empty if there are none."""
    bounds = [
        f"{words} {limit:,}" if isinstance(limit, int) else f"{words} {limit:g}"
        for bound in field.metadata
        for name, words in _BOUNDS.items()
        if (limit := getattr(bound, name, None)) is not None
    ]
    return f" {' and '.join(bounds).capitalize()}." if bounds else ""


def _is_nested_default(default: Any) -> bool:
    return default is PydanticUndefined or isinstance(default, BaseModel) or default is None


if __name__ == "__main__":
    PAGE.write_text(reference(installed()))
