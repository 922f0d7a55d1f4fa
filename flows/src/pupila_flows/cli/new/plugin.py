"""`pupila new plugin`: a package that works and passes its contracts, to begin one's own with."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from jinja2 import Environment, PackageLoader, StrictUndefined

from pupila.errors import PupilaError, join_names, nearest
from pupila_flows.cli.console import say
from pupila_flows.cli.new.kinds import KINDS, Kind

app = typer.Typer(
    no_args_is_help=True, help="Write files to begin with: a package of plugins of your own."
)
_NAME = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
_LONGEST_NAME = 50


@app.callback()
def _group() -> None:
    """Make `new` a group, although it has one command."""


@app.command()
def plugin(
    name: Annotated[str, typer.Argument(help="Name of the package, such as gentle-pruning.")],
    kind: Annotated[
        str, typer.Option(help=f"What it adds, with commas: {', '.join(KINDS)}, or all.")
    ] = "technique",
    into: Annotated[Path, typer.Option(help="Folder in which the package is made.")] = Path(),
) -> None:
    """Write a package of plugins that works, and passes its contracts."""
    folder = into / name
    files = write_package(folder, name, parse_kinds(kind))
    for path in files:
        say(path)
    test = f"pip install --editable '{folder}[test]' && pytest {folder}"
    say(f"Everything in it works. Install and test it, then make it yours:\n  {test}")


def parse_kinds(text: str) -> list[Kind]:
    """Return the kinds that a text names, with commas.

    Raises:
        PupilaError: a name is not that of a kind.
    """
    names = [part.strip() for part in text.split(",") if part.strip()]
    if names == ["all"]:
        return list(KINDS.values())
    for name in names or [""]:
        if name == "task":
            raise PupilaError(
                "A task has too many parts for a template: copy examples/regression of Pupila, "
                "which is a complete one, and change it."
            )
        if name == "runner":
            raise PupilaError("A runner comes with the exporter of its format: --kind exporter.")
        if name not in KINDS:
            raise PupilaError(
                f"--kind names {name!r}. Expected {join_names(KINDS)}, or all."
                f"{nearest(name, [*KINDS])}"
            )
    return [kind for kind in KINDS.values() if kind.name in names]


def write_package(folder: Path, name: str, kinds: Sequence[Kind]) -> list[Path]:
    """Write a package into a new folder, and return the paths of its files.

    Raises:
        PupilaError: the folder exists, or the name cannot be that of a new package.
    """
    _check_name(name)
    if folder.exists():
        raise PupilaError(f"{str(folder)!r} exists already: give another name, or remove it.")
    module = name.replace("-", "_")
    values = {
        "name": name,
        "module": module,
        "kinds": kinds,
        "names": {kind.name for kind in kinds},
        "imports": [*sorted({name for kind in kinds for name in kind.imports}), "hookimpl"],
        "requires": _ordered("pupila-core", *(need for kind in kinds for need in kind.requires)),
        "test_requires": _ordered(
            "pytest", *(need for kind in kinds for need in kind.test_requires)
        ),
    }
    source = folder / "src" / module
    texts = {
        folder / "pyproject.toml": _fill("pyproject.toml", values),
        folder / "README.md": _fill("README.md", values),
        source / "__init__.py": _fill("__init__.py", values),
        source / "py.typed": "",
    }
    for kind in kinds:
        for part in (kind.name, *kind.more_files):
            texts[source / f"{part}.py"] = _fill(f"code/{part}.py", values)
        texts[folder / "tests" / f"test_{kind.name}.py"] = _fill(f"tests/{kind.name}.py", values)
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def _check_name(name: str) -> None:
    """Refuse a name that is not well formed, or that something installed has."""
    if not re.fullmatch(_NAME, name) or len(name) > _LONGEST_NAME:
        raise PupilaError(
            f"{name!r} cannot be the name of a package. Expected lower-case words joined by "
            f"dashes, at most {_LONGEST_NAME} characters, such as gentle-pruning."
        )
    module = name.replace("-", "_")
    if _is_distribution(name) or find_spec(module) or module in sys.stdlib_module_names:
        raise PupilaError(f"A package {name!r} is installed already: give another name.")


def _is_distribution(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _ordered(first: str, *others: str) -> list[str]:
    return [first, *sorted(set(others))]


def _fill(template: str, values: dict[str, Any]) -> str:
    """Return a template filled, with two empty lines at most, and none at the end."""
    environment = Environment(  # noqa: S701 - it makes code, not HTML
        loader=PackageLoader("pupila_flows.cli.new"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template(f"{template}.jinja").render(values)
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n"
