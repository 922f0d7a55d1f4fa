"""Evaluate an artifact on the test images, in the runtime of its format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila import evaluator
from pupila.arrays import is_whole
from pupila.artifact import Artifact
from pupila.dataset import GROUP_COLUMNS, Dataset
from pupila.digest import digest_json
from pupila.evaluation import Evaluation, Measurement, Metrics
from pupila.evaluator import cpu_name
from pupila.openset import OpenSetImages
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.stages import label_columns_of_stages
from pupila_flows.execution.job import Job
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.recipe.schema import EvaluateSection
from pupila_flows.workspace import Workspace

_FIGURES = (*Evaluation.model_fields, *Metrics.model_fields)


def evaluation_of(result: Evaluation | Measurement) -> Evaluation:
    """Return the result of `Evaluate`, which must be the `Evaluation` of a trained model.

    Raises:
        TypeError: the model was never trained, so only its cost was measured.
    """
    if not isinstance(result, Evaluation):
        raise TypeError(f"the artifact {result.artifact} was never trained: it was only measured")
    return result


class OpenSetJobImages(BaseModel):
    """The images that a filter is evaluated on, as fields of a job; see `OpenSetImages`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accepts: str
    near_misses: Images | None
    corrupted: Images | None

    @classmethod
    def of(cls, images: OpenSetImages, workspace: Workspace) -> OpenSetJobImages:
        """Write lists of the images into the workspace, and return fields that name the lists."""
        near, corrupted = images.near_misses, images.corrupted
        return cls(
            accepts=images.accepts,
            near_misses=None if near is None else Images.of(near, workspace),
            corrupted=None if corrupted is None else Images.of(corrupted, workspace),
        )

    def read(self, workspace: Workspace) -> OpenSetImages:
        """Return the images that the lists name."""
        near, corrupted = self.near_misses, self.corrupted
        return OpenSetImages(
            self.accepts,
            near_misses=None if near is None else near.read(workspace),
            corrupted=None if corrupted is None else corrupted.read(workspace),
        )


class Evaluate(Job[Evaluation | Measurement]):
    """Measure the metrics and the cost of an artifact; only the cost if it was never trained."""

    runs_models: ClassVar[bool] = True
    returns: ClassVar[Any] = Evaluation | Measurement
    seconds_allowed: ClassVar[float | None] = 3600.0

    artifact: str
    images: ImagesByContent
    """The images of every split."""
    groups: str
    """Digest of the columns for groups, patients and other tasks' labels, which the fingerprint
    leaves out."""
    positive: str
    specificity: float
    latency_repeats: int
    reference: tuple[str, str] | None
    """Name and digest of the model that the artifact should agree with, usually its teacher."""
    open_set: OpenSetJobImages | None
    figures: tuple[str, ...] = _FIGURES
    """Names of the result's fields; in the key so that a new field causes a new evaluation."""
    cpu: str
    cores: int | None
    """Number of cores; `cpu` and `cores` are in the key because latencies depend on them."""
    code: Code

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        name: str,
        artifact: Artifact,
        dataset: Dataset,
        positive: str,
        section: EvaluateSection,
        reference: tuple[str, str] | None = None,
        open_set: OpenSetImages | None = None,
    ) -> Evaluate:
        """Return the job that evaluates an artifact.

        With `open_set`, the artifact is also evaluated as a filter.

        Raises:
            PupilaError: no installed plugin runs the artifact's format.
        """
        columns = (*GROUP_COLUMNS, "patient", *label_columns_of_stages(dataset))
        present = [column for column in columns if column in dataset.frame]
        return cls(
            workspace=workspace,
            title=f"evaluate-{name}",
            artifact=artifact.digest,
            images=Images.of(dataset, workspace),
            groups=digest_json({column: dataset.frame[column].tolist() for column in present}),
            positive=positive,
            specificity=section.specificity,
            latency_repeats=section.latency_repeats,
            reference=reference,
            open_set=OpenSetJobImages.of(open_set, workspace) if open_set else None,
            cpu=cpu_name(),
            cores=os.cpu_count(),
            code=code_of(installed().runner(artifact.format), *installed().metrics(dataset.task)),
        )

    def run(self, progress: Progress) -> Evaluation | Measurement:
        workspace = self.workspace
        model, dataset = workspace.store.open(self.artifact), self.images.read(workspace)
        if model.record.untrained:
            return evaluator.measure(
                model, dataset.select("test"), latency_repeats=self.latency_repeats
            )
        return evaluator.evaluate(
            model,
            dataset,
            positive=self.positive,
            specificity=self.specificity,
            predictions=workspace.predictions,
            reference=self._reference(),
            latency_repeats=self.latency_repeats,
            open_set=self.open_set.read(workspace) if self.open_set else None,
            progress=progress,
        )

    def _reference(self) -> tuple[str, Artifact] | None:
        if self.reference is None:
            return None
        name, digest = self.reference
        return name, self.workspace.store.open(digest)

    def is_intact(self, result: Evaluation | Measurement) -> bool:
        if not isinstance(result, Evaluation):
            return True
        files = (result.probabilities, result.validation_probabilities)
        return all(is_whole(Path(file)) for file in files if file)
