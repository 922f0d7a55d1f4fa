"""What a program says of model files, as on the command line."""

from __future__ import annotations

from collections.abc import Sequence

from pupila.plugin_registry import installed
from pupila_flows.run.given_models import check_classes, parse_classes


def task_name(task: str | None) -> str | None:
    """Return the name of a task without its package; None if none is given.

    Raises:
        PupilaError: no such task is installed.
    """
    return installed().task(task).name if task else None


def class_names(classes: Sequence[str] | None, task: str | None) -> tuple[str, ...] | None:
    """Return names of classes; one text has them with commas, as on the command line.

    Raises:
        PupilaError: they cannot be the classes of the task.
    """
    if classes is None or isinstance(classes, str):
        return parse_classes(classes, task)
    return check_classes(classes, task)
