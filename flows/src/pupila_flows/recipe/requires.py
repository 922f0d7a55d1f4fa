"""The packages that a recipe requires, and those of them that are not installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from packaging.requirements import InvalidRequirement, Requirement

from pupila_flows.recipe.source import Problem, Source


def check_requirement(text: str) -> str:
    """Return the text of a requirement, such as `gentle-pruning>=1.2`.

    Raises:
        ValueError: it is not the name of a package, with or without versions.
    """
    try:
        Requirement(text)
    except InvalidRequirement:
        raise ValueError(
            f"{text!r} is not a requirement: write a package's name, or with its versions, as in "
            f"'gentle-pruning>=1.2'"
        ) from None
    return text


def missing_packages(source: Source) -> Iterator[Problem]:
    """Yield a problem for each package that a recipe requires and that is not installed.

    Entries that are not requirements are left out: the recipe's validation reports them.
    """
    written = source.value.get("requires")
    entries = cast("list[object]", written) if isinstance(written, list) else []
    for number, text in enumerate(entries):
        try:
            requirement = Requirement(str(text))
        except InvalidRequirement:
            continue
        if fault := _fault(requirement):
            yield source.problem(("requires", number), fault)


def _fault(requirement: Requirement) -> str | None:
    advice = f"pip install '{requirement}'"
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        missing = f"{requirement.name!r}, which is not installed"
        return f"the recipe requires the package {missing}: {advice}."
    if requirement.specifier.contains(installed, prereleases=True):
        return None
    return f"the recipe requires {str(requirement)!r}, but {installed} is installed: {advice}."
