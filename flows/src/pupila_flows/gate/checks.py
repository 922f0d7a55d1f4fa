"""What can be wrong with the section `gate`, found before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pupila.errors import nearest
from pupila.plugin import StepPlugin
from pupila_flows.gate.section import GateSection
from pupila_flows.source import Location

_OF_EVERY_MANIFEST = ("path", "label", "split")


def mistakes(
    section: GateSection,
    names: Collection[str],
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
    columns: Sequence[str] | None,
    *,
    publishes: bool,
) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong, and where in the section.

    `names` are those of all steps, `plugins` of those whose plugin is known, `inputs` what they
    work on; `columns` are the manifest's, None where it cannot be read.
    """
    if not section.asks:
        yield (), "gate asks nothing: give `margins` or `limits`, or leave both out for margins."
    for number, name in enumerate(section.judges):
        told = _judged(name, section, names, plugins, inputs)
        if told:
            yield ("judges", number), told
    if section.published is not None and not publishes:
        yield (
            ("published",),
            "gate.published compares with what is published, but the recipe has no `publish`: add "
            "it, or leave this out.",
        )
    groups = [each for each in columns or () if each not in _OF_EVERY_MANIFEST]
    for number, column in enumerate(section.by):
        if columns is not None and column not in groups:
            known = f"it has {', '.join(groups)}" if groups else "it has none"
            yield (
                ("by", number),
                f"the data has no column {column!r} beside path, label and split; {known}."
                f"{nearest(column, groups)}",
            )


def _judged(
    name: str,
    section: GateSection,
    names: Collection[str],
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
) -> str | None:
    """Say why a step cannot be asked; None where it can."""
    if name not in names:
        return f"{name!r} is no step: the gate judges what a step made.{nearest(name, names)}"
    if name in plugins and not plugins[name].judged:
        return f"{name!r} uses {plugins[name].name}, whose artifacts are not judged: leave it out."
    compares = section.margins.asked or section.limits.agreement is not None
    if compares and not _has_teacher(name, inputs, set()):
        return (
            f"{name!r} has no teacher behind it to be compared with: leave it out, or ask only "
            f"for limits (`margins: {{}}`)."
        )
    return None


def _has_teacher(name: str, inputs: Mapping[str, Sequence[str]], seen: set[str]) -> bool:
    """Tell whether anything that is no step lies behind a step; it is a teacher then."""
    if name in seen:
        return False
    seen.add(name)
    return any(each not in inputs or _has_teacher(each, inputs, seen) for each in inputs[name])
