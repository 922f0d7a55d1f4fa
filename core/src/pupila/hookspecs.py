"""The hooks that plugins implement, built-in and third-party alike."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from pupila.data_plugins import DatasetReader, ImageFormat
from pupila.plugin import (
    Command,
    DataCheck,
    Exporter,
    Loader,
    Runner,
    Shift,
    Student,
    Task,
    Technique,
)
from pupila.result_plugins import GateCondition, Metric, ReportSection

PROJECT = "pupila"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """Hooks that a plugin module implements; the entry-point group `pupila` names the module.

    A module implements only the hooks that it needs.
    """

    @hookspec
    def pupila_techniques(self) -> Iterable[Technique]:
        """Yield techniques. A complete plugin, which zeroes the smallest weights of a model:

        ```python
        import numpy as np
        from pydantic import Field
        from pupila import Config, StepResult, Step, Technique, hookimpl


        class Sparsify(Config):
            fraction: float = Field(default=0.5, ge=0, lt=1, description="Part of each kernel.")


        @hookimpl
        def pupila_techniques():
            yield Technique(
                name="sparsify",
                summary="Zero the smallest weights of every kernel, without retraining",
                config=Sparsify,
                accepts=frozenset({"keras"}),
                produces="keras",
                implementation=f"{__name__}:sparsify",
            )


        def sparsify(step: Step[Sparsify]) -> StepResult:
            from pupila import keras_files

            (artifact,) = step.inputs
            model = keras_files.load(artifact)
            for weight in model.trainable_weights:
                if len(weight.shape) > 1:
                    value = np.asarray(weight)
                    limit = np.quantile(np.abs(value), step.config.fraction)
                    weight.assign(np.where(np.abs(value) <= limit, 0, value))
            keras_files.save(model, step.output)
            return StepResult.like(artifact, format="keras")
        ```

        In the plugin's `pyproject.toml`:

        ```toml
        [project.entry-points.pupila]
        sparsify = "the_module_above"
        ```
        """
        return ()

    @hookspec
    def pupila_exporters(self) -> Iterable[Exporter]:
        """Yield exporters: like techniques, but they only convert one model to another format."""
        return ()

    @hookspec
    def pupila_students(self) -> Iterable[Student]:
        """Yield small architectures that recipes may name as `student`."""
        return ()

    @hookspec
    def pupila_loaders(self) -> Iterable[Loader]:
        """Yield loaders, which read model files that users bring."""
        return ()

    @hookspec
    def pupila_runners(self) -> Iterable[Runner]:
        """Yield runners; for each format one is primary and evaluates, the others are checked.

        A runner opens models of one format in a runtime. The primary runner of a format evaluates
        models; the other runners only run the runtime checks that a recipe asks for.
        """
        return ()

    @hookspec
    def pupila_tasks(self) -> Iterable[Task]:
        """Yield tasks: what models learn beside classification."""
        return ()

    @hookspec
    def pupila_shifts(self) -> Iterable[Shift]:
        """Yield families of alterations, on which pupils are compared with their teachers."""
        return ()

    @hookspec
    def pupila_commands(self) -> Iterable[Command]:
        """Yield commands, which run as `pupila NAME`; the help has a panel for each package."""
        return ()

    @hookspec
    def pupila_checks(self) -> Iterable[DataCheck]:
        """Yield checks of the images, which run before anything is trained on them."""
        return ()

    @hookspec
    def pupila_images(self) -> Iterable[ImageFormat]:
        """Yield formats of image files, with the function that decodes them."""
        return ()

    @hookspec
    def pupila_datasets(self) -> Iterable[DatasetReader]:
        """Yield readers of data sets: forms in which images, labels and splits come."""
        return ()

    @hookspec
    def pupila_metrics(self) -> Iterable[Metric]:
        """Yield metrics: figures of a model's answers, which a gate may set margins for."""
        return ()

    @hookspec
    def pupila_conditions(self) -> Iterable[GateCondition]:
        """Yield conditions of the gate: limits that a recipe may set for every artifact."""
        return ()

    @hookspec
    def pupila_sections(self) -> Iterable[ReportSection]:
        """Yield sections of the report: of a whole run, or of a model of measured values."""
        return ()
