"""Checks of the runtimes that models are checked in, and of the machines that steps run on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec

from pupila.errors import PupilaError
from pupila_flows.plan.context import Context
from pupila_flows.plan.facts import Mistake
from pupila_flows.recipe.source import Location

_SCHEDULER = re.compile(r"(tcp|tls)://\S+:\d+")


def installed(context: Context) -> Iterator[Mistake]:
    """Check that the runtimes are installed."""
    for number, name in enumerate(context.recipe.evaluate.runtimes if context.recipe else ()):
        try:
            context.plugins.runtime(name)
        except PupilaError as error:
            yield ("evaluate", "runtimes", number), str(error)


def runners(context: Context) -> Iterator[Mistake]:
    """Check that each format has exactly one primary runner; report a format at its first use."""
    checked = set[str]()
    for location, made in evaluated_formats(context):
        if made in checked:
            continue
        checked.add(made)
        try:
            context.plugins.runner(made)
        except PupilaError as error:
            yield location, str(error)


def evaluated_formats(context: Context) -> Iterator[tuple[Location, str]]:
    """Yield the location and the format of each teacher, and of each step that makes a model.

    Teachers and steps whose format is unknown are left out.
    """
    for teacher in context.teachers.value:
        if teacher.format:
            yield ("teachers", teacher.name, "path"), teacher.format
    for name, step in context.steps.value.by_name.items():
        made = context.formats.get(name)
        if step.plugin.evaluated and made:
            yield ("steps", name, "use"), made


def used(context: Context) -> Iterator[Mistake]:
    """Check that each runtime has at least one model to check, in the runtime's format."""
    formats = context.formats.values()
    for number, name in enumerate(context.recipe.evaluate.runtimes if context.recipe else ()):
        runner = context.plugins.runtime(name)
        if runner.format not in formats:
            yield (
                ("evaluate", "runtimes", number),
                f"{name} runs {runner.format}, and no teacher or step has that format: add an "
                f"export to {runner.format}, or leave {name} out.",
            )


def cluster(context: Context) -> Iterator[Mistake]:
    """Check what steps on a cluster need: Dask, the address of a scheduler, and certificates."""
    if context.recipe is None or context.recipe.runner is None:
        return
    if find_spec("distributed") is None:
        yield (
            ("runner", "use"),
            "Dask is not installed: `pip install 'pupila-flows[dask]'`, here and on the cluster.",
        )
    address = yield from context.cluster.check()
    if address is not None and not _SCHEDULER.fullmatch(address):
        yield (
            ("runner", "address"),
            f"address is {address!r}: give that of a scheduler, like tcp://host:8786.",
        )
    yield from context.tls.mistakes
    is_plain = address is not None and not address.startswith("tls://")
    if context.recipe.runner.tls and is_plain:
        yield (
            ("runner", "address"),
            f"address is {address!r}, which is not encrypted, and `tls` names certificates: give "
            "one that begins with tls://, or leave `tls` out.",
        )
