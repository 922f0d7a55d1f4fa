"""Writes `docs/plugin-reference.md` from the code: `python docs/make_plugin_reference.py`."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pupila
from pupila import measured, testing
from pupila.data_checks import Fact
from pupila.drawing import Drawing
from pupila.evaluation import Cost, Estimate, Evaluation, Figure, Latency, Metrics
from pupila.hookspecs import Hooks
from pupila.plugin import Config, Plugin, StepPlugin
from pupila.reported import ReportedEntry
from pupila.task import MetricSettings

PAGE = Path(__file__).with_name("plugin-reference.md")
_PASSED = ("Step", "StepResult", "Artifact", "Dataset", "Predictions", "WorkerPool", "InputSpec")
_PASSED += ("OutputSpec", "OpenModel", "InProcessModel", "CheckedModel", "ReportedRun")
_MORE = (ReportedEntry, Drawing, Fact, MetricSettings)
_MORE += (Evaluation, Metrics, Figure, Estimate, Cost, Latency)


@dataclass(frozen=True)
class Member:
    """A field or method of a class, as it is written in the source."""

    written: str
    text: str


def reference() -> str:
    """Return the whole page as Markdown."""
    parts = [
        "# Plugin reference",
        "",
        "Every field of every descriptor, and of what plugins get and return. Written by",
        "`python docs/make_plugin_reference.py`; a test keeps it true. "
        "[plugins.md](plugins.md) says how to use them.",
        "",
        "## Public names",
        "",
        f"From `pupila`: {_listed(pupila.__all__)}. From its modules, all names that do not begin",
        "with an underscore. A name of `pupila_flows`, or of one plugin of ours in another, is not",
        "public: import from `pupila` alone.",
        "",
        "## Descriptors",
    ]
    parts += _section(Plugin, "All descriptors have these fields.")
    parts += _section(StepPlugin, "Techniques and exporters also have these.")
    for hook, descriptor in sorted(_descriptors(), key=lambda pair: pair[1].__name__):
        parts += _section(descriptor, f"Yielded by `{hook}`.{_more_of(descriptor)}")
    parts += ["", "## Settings", *_section(Config, "", methods=True)]
    parts += ["", "## What plugins get and return"]
    for passed in (*(getattr(pupila, name) for name in _PASSED), *_MORE):
        parts += _section(passed, "", methods=True)
    parts += ["", "## Contracts", "", "Test classes of `pupila.testing`. A test class of yours"]
    parts += ["inherits one, sets its attributes, and overrides its methods where it must."]
    for name in testing.__all__:
        if name.endswith("Contract"):
            parts += _section(getattr(testing, name), "", methods=True)
    parts += ["", "## Measured values", "", "Models of `pupila.measured`. Their fields are keys of"]
    parts += ["`measured` in `artifact.json`, so a figure of your own may not have such a name."]
    for model in measured.MODELS:
        parts += _section(model, "")
    return "\n".join(parts) + "\n"


def _descriptors() -> Iterator[tuple[str, type[Plugin]]]:
    """Yield each hook with the descriptors that it takes."""
    for name, hook in vars(Hooks).items():
        if name.startswith("pupila_"):
            returned = inspect.get_annotations(hook, eval_str=True)["return"]
            (descriptor,) = returned.__args__
            yield name, descriptor
            for kind in descriptor.__subclasses__():
                yield name, kind


def _more_of(descriptor: type[Plugin]) -> str:
    """Say which other section has more fields of a descriptor."""
    base = descriptor.__mro__[1]
    return "" if base is Plugin else f" It also has the fields of `{base.__name__}`."


def _section(kind: Any, note: str, *, methods: bool = False) -> Iterator[str]:
    """Yield a heading, the class's docstring, and a line for each of its own members.

    The members of base classes that are not public count as its own.
    """
    yield from ("", f"### `{kind.__name__}`", "", " ".join((_text(kind.__doc__), note)).strip(), "")
    for base in reversed(kind.__mro__):
        if base is kind or (_is_private(base.__name__) and base.__module__.startswith("pupila")):
            for member in _members(base, methods=methods):
                yield f"* `{member.written}`{': ' if member.text else ''}{member.text}"


def _members(kind: type, *, methods: bool) -> Iterator[Member]:
    """Yield the public fields of a class with their docstrings, and its methods if asked for."""
    (source,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    body = source.body if isinstance(source, ast.ClassDef) else []
    for number, node in enumerate(body):
        after = body[number + 1] if number + 1 < len(body) else None
        if isinstance(node, ast.AnnAssign) and not _is_private(ast.unparse(node.target)):
            text = _docstring(after) or _description(node)
            yield Member(_field(node), _text(text))
        elif methods and isinstance(node, ast.FunctionDef) and _is_for_others(node):
            is_property = any(ast.unparse(item) == "property" for item in node.decorator_list)
            returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            given = "" if is_property else f"({_arguments(node.args)})"
            written = f"{node.name}{given}{returned}"
            yield Member(written, _text(ast.get_docstring(node) or ""))


def _docstring(node: ast.stmt | None) -> str:
    """Return the text of a statement that is only a text; empty for any other."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def _arguments(arguments: ast.arguments) -> str:
    """Write the arguments of a method, without the object or class itself."""
    given = arguments.args
    if given and given[0].arg in ("self", "cls"):
        arguments.args = given[1:]
    return ast.unparse(arguments)


def _description(node: ast.AnnAssign) -> str:
    """Return the description of a pydantic field; empty if there is none."""
    keywords = node.value.keywords if isinstance(node.value, ast.Call) else []
    texts = [word.value for word in keywords if word.arg == "description"]
    return ast.literal_eval(texts[0]) if texts else ""


def _field(node: ast.AnnAssign) -> str:
    """Write a field with its type and default."""
    given = node.value
    plain = given is not None and not isinstance(given, ast.Call)
    default = f" = {ast.unparse(given)}" if given is not None and plain else ""
    return f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}{default}"


def _is_for_others(node: ast.FunctionDef) -> bool:
    """Tell whether a method is public, and neither a test nor a fixture."""
    is_fixture = any("fixture" in ast.unparse(item) for item in node.decorator_list)
    return not (_is_private(node.name) or is_fixture or node.name.startswith(("test_", "pytest_")))


def _is_private(name: str) -> bool:
    return name.startswith("_") or name in ("kind", "model_config")


def _text(docstring: str | None) -> str:
    """Return a docstring as one line, without its examples."""
    text = inspect.cleandoc(docstring or "").split("```")[0]
    return " ".join(text.split())


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
