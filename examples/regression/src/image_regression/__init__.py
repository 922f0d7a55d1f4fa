"""A plugin for Pupila: the task `regression`, whose answer to an image is one number.

This module only describes the task: its code is imported where data or models are used.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import Task, hookimpl

REGRESSION = "regression"
NUMBER = "number"
"""The only kind of output: the number itself, in the units of the labels."""


@hookimpl
def pupila_tasks() -> Iterator[Task]:
    """Yield the one task of this package."""
    yield Task(
        name=REGRESSION,
        summary="One number for each image",
        implementation="image_regression.task:Regression",
        training="image_regression.training:RegressionTraining",
        label_columns=("value",),
        output_kinds=(NUMBER,),
        default_classes=("value",),
    )
