"""Evaluate an artifact on external images, in the runtime of its format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pupila.arrays import is_whole
from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.evaluator import cpu_name
from pupila.external import ExternalEvaluation, ExternalMetrics, evaluate_external
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila_flows.execution.job import Job
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.workspace import Workspace


class EvaluateExternal(Job[ExternalEvaluation]):
    """Evaluate an artifact on external images, which are used only for evaluation."""

    runs_models: ClassVar[bool] = True
    returns: ClassVar[Any] = ExternalEvaluation
    seconds_allowed: ClassVar[float | None] = 3600.0

    artifact: str
    images: Images
    validation: ImagesByContent | None
    """Images on which a threshold is chosen if the artifact ships none."""
    groups: tuple[str, ...]
    positive: str
    specificity: float
    reference: tuple[str, str] | None
    """Name and digest of the artifact's teacher."""
    latency_repeats: int | None
    """Number of timed inferences; None to measure no cost."""
    cpu: str | None
    """Processor, in the key because latencies depend on it; None if no cost is measured."""
    figures: tuple[str, ...] = (*ExternalEvaluation.model_fields, *ExternalMetrics.model_fields)
    """Names of the result's fields; in the key so that a new field causes a new evaluation."""
    code: Code

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        title: str,
        artifact: Artifact,
        images: Dataset,
        *,
        positive: str,
        specificity: float,
        validation: Dataset | None = None,
        reference: tuple[str, str] | None = None,
        groups: Sequence[str] = (),
        latency_repeats: int | None = None,
    ) -> EvaluateExternal:
        """Return the job that evaluates an artifact on external images.

        Raises:
            PupilaError: no installed plugin runs the artifact's format.
        """
        return cls(
            workspace=workspace,
            title=title,
            artifact=artifact.digest,
            images=Images.of(images, workspace),
            validation=None if validation is None else Images.of(validation, workspace),
            groups=tuple(groups),
            positive=positive,
            specificity=specificity,
            reference=reference,
            latency_repeats=latency_repeats,
            cpu=f"{os.cpu_count()} {cpu_name()}" if latency_repeats else None,
            code=code_of(installed().runner(artifact.format), *installed().metrics(images.task)),
        )

    def run(self, progress: Progress) -> ExternalEvaluation:
        workspace, store = self.workspace, self.workspace.store
        reference = self.reference
        return evaluate_external(
            store.open(self.artifact),
            self.images.read(workspace),
            positive=self.positive,
            specificity=self.specificity,
            predictions=workspace.predictions,
            progress=progress,
            reference=reference and (reference[0], store.open(reference[1])),
            validation=self.validation and self.validation.read(workspace),
            groups=self.groups,
            latency_repeats=self.latency_repeats,
        )

    def is_intact(self, result: ExternalEvaluation) -> bool:
        files = (result.probabilities, result.validation_probabilities)
        return all(is_whole(Path(file)) for file in files if file)
