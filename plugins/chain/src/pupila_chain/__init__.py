"""Joins models into one that works on whole photographs: filter, locator and classifier.

This module only describes the technique and the runner of its format: their code is imported in
the process that runs them.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import ANY_FORMAT, Runner, Technique, hookimpl, installed
from pupila.plugin import ANY_TASK
from pupila_chain.config import FORMAT, Chain


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield the technique `chain`."""
    yield Technique(
        name="chain",
        summary="One model of several, for whole photographs: filter, locator, crop, classifier",
        implementation="pupila_chain.joining:join",
        config=Chain,
        accepts=ANY_FORMAT,
        produces=FORMAT,
        min_inputs=2,
        max_inputs=3,
        tasks=ANY_TASK,
        answers_as_last=True,
    )


@hookimpl
def pupila_runners() -> Iterator[Runner]:
    """Yield the runner of the format `chain`."""
    yield Runner(
        name="chain",
        summary="The stages of a chain, each in the runtime of its format",
        format=FORMAT,
        implementation="pupila_chain.runner:open_chain",
        check="pupila_chain.files:check",
        stages="pupila_chain.files:stages",
        environment=_runners,
    )


def _runners() -> str:
    """Return the versions of all runners that may run a stage."""
    registry = installed()
    runners = [plugin for plugin in registry.all(Runner) if plugin.format != FORMAT]
    return ", ".join(registry.code_of(*(runner for runner in runners if runner.primary)))
