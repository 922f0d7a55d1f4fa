"""What can be wrong with the section `gate`, found before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pupila.errors import nearest
from pupila.plugin import StepPlugin
from pupila_flows.recipe.gate import GateSection
from pupila_flows.recipe.source import Location

_OF_EVERY_MANIFEST = ("path", "label", "split")


def mistakes(
    section: GateSection,
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
    columns: Sequence[str] | None,
    *,
    partial: Collection[str],
    publishes: bool,
) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong, and where in the section.

    `inputs` are what each step works on, `plugins` those of the steps whose plugin is known;
    `partial` are not shown all images; `columns` are the manifest's, None where it cannot be read.
    """
    alone = section.margins.asked or section.limits.asked
    if not section.asks:
        yield (), "gate asks nothing: give `margins` or `limits`, or leave both out for margins."
    elif not alone:
        yield (
            ("published",),
            "gate.published alone asks nothing of a first version, with which there is nothing to "
            "compare: give `margins` or `limits` too.",
        )
    if section.by and not (section.margins.asked or section.against_published.asked):
        yield (
            ("by",),
            "gate.by asks for the margins in each group, and there are none: give `margins`, or "
            "leave `by` out.",
        )
    for number, name in enumerate(section.judges):
        told = _judged(name, section, plugins, inputs)
        if told:
            yield ("judges", number), told
    if not section.judges and _compares(section):
        for name in _teachers_at_the_end(plugins, inputs, partial):
            yield (
                (),
                f"gate judges {name!r}, the last of its branch, and it has no teacher to be "
                f"compared with: {plugins[name].name} takes no more than features from one. Name "
                f"other steps in `judges`, or ask only for limits (`margins: {{}}`).",
            )
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
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
) -> str | None:
    """Say why a step cannot be asked; None where it can."""
    if name not in inputs:
        return f"{name!r} is no step: the gate judges what a step made.{nearest(name, inputs)}"
    if name in plugins and not plugins[name].judged:
        return f"{name!r} uses {plugins[name].name}, whose artifacts are not judged: leave it out."
    if _compares(section) and not _is_compared(name, plugins, inputs):
        return (
            f"{name!r} has no teacher behind it to be compared with: leave it out, or ask only "
            f"for limits (`margins: {{}}`)."
        )
    return None


def _compares(section: GateSection) -> bool:
    """Tell whether anything is asked against a teacher."""
    return bool(section.margins.asked) or section.limits.agreement is not None


def _teachers_at_the_end(
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
    partial: Collection[str],
) -> Iterator[str]:
    """Yield steps that are judged by default, though there is no teacher to compare them with."""
    for name in _asked_by_default(plugins, inputs, partial):
        if _teaches(name, plugins):
            yield name


def _asked_by_default(
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
    partial: Collection[str],
) -> Iterator[str]:
    """Yield the steps that are judged where `judges` names none; see `asking.judged_by`."""
    inside = {each for name, plugin in plugins.items() if plugin.judged for each in inputs[name]}
    for name, plugin in plugins.items():
        taught = any(_has_teacher(each, plugins, inputs, set()) for each in inputs[name])
        last = plugin.judged and name not in inside
        if last and taught and not _is_partial(name, partial, inputs, set()):
            yield name


def _is_partial(
    name: str, partial: Collection[str], inputs: Mapping[str, Sequence[str]], seen: set[str]
) -> bool:
    """Tell whether a step, or what it was made from, is not shown all images."""
    if name in seen or name not in inputs:
        return False
    seen.add(name)
    return name in partial or any(_is_partial(each, partial, inputs, seen) for each in inputs[name])


def _is_compared(
    name: str, plugins: Mapping[str, StepPlugin], inputs: Mapping[str, Sequence[str]]
) -> bool:
    """Tell whether a step has a teacher behind it, as `expansion` finds it."""
    return not _teaches(name, plugins) and _has_teacher(name, plugins, inputs, set())


def _teaches(name: str, plugins: Mapping[str, StepPlugin]) -> bool:
    """Tell whether a step took no more than features from a teacher: it is one itself then."""
    return name in plugins and plugins[name].features_only


def _has_teacher(
    name: str,
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
    seen: set[str],
) -> bool:
    """Tell whether a step is a teacher to others, or what is one lies behind it."""
    if name not in inputs or _teaches(name, plugins):
        return True
    if name in seen:
        return False
    seen.add(name)
    return any(_has_teacher(each, plugins, inputs, seen) for each in inputs[name])


def withheld(
    section: GateSection,
    artifacts: Sequence[str],
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
    partial: Collection[str],
) -> Iterator[tuple[int, str]]:
    """Yield which of `publish.artifacts` could never be published, as the gate is, and why."""
    judges = section.judges or tuple(_asked_by_default(plugins, inputs, partial))
    for number, name in enumerate(artifacts):
        missing = _unproven(name, judges, plugins, inputs)
        if missing:
            yield (
                number,
                f"{name!r} would always be withheld, as the gate does not judge {missing!r}: name "
                f"that in `gate.judges`, or leave {name!r} out.",
            )


def _unproven(
    name: str,
    judges: Sequence[str],
    plugins: Mapping[str, StepPlugin],
    inputs: Mapping[str, Sequence[str]],
) -> str | None:
    """Return the judged step that is not asked: this one, or what a step like `site` is made of."""
    if name in judges or name not in plugins:
        return None
    if plugins[name].judged:
        return name
    behind = (_unproven(each, judges, plugins, inputs) for each in inputs[name])
    return next(filter(None, behind), None)
