"""Compare an artifact with its teacher on altered images, in the runtime of its format."""

from __future__ import annotations

from typing import Any, ClassVar

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.digest import digest_json
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.shift import SEVERITIES, Severity
from pupila.shift.evaluation import ShiftEvaluation
from pupila.shift_suite import Suite, evaluate_shift
from pupila_flows.execution.job import Job
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.recipe.shift import ShiftSection
from pupila_flows.workspace import Workspace

_FIGURES = tuple(ShiftEvaluation.model_fields)


def suite_of(section: ShiftSection, *, whole: bool) -> Suite:
    """Return the shift suite of a recipe, with all severities if `whole`, else only `middle`.

    The gate uses only the severity `middle`.
    """
    severities: tuple[Severity, ...] = SEVERITIES if whole else ("middle",)
    return Suite(section.families, section.images, section.seed, severities)


class EvaluateShift(Job[ShiftEvaluation]):
    """Compare an artifact with its teacher on altered test images and altered validation images."""

    runs_models: ClassVar[bool] = True
    returns: ClassVar[Any] = ShiftEvaluation
    seconds_allowed: ClassVar[float | None] = 3600.0

    artifact: str
    reference: tuple[str, str]
    """Name and digest of the teacher."""
    images: ImagesByContent
    """The images of every split."""
    patients: str
    """Digest of the patient of each image; confidence intervals are clustered by patient."""
    positive: str
    section: ShiftSection
    whole: bool
    """Whether to evaluate all severities and the validation images, not only severity `middle`."""
    figures: tuple[str, ...] = _FIGURES
    """Names of the result's fields; in the key so that a new field causes a new evaluation."""
    code: Code

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        name: str,
        artifact: Artifact,
        reference: tuple[str, Artifact],
        dataset: Dataset,
        positive: str,
        section: ShiftSection,
        *,
        whole: bool,
    ) -> EvaluateShift:
        """Return the job that compares an artifact with its teacher."""
        registry = installed()
        teacher, model = reference
        runners = [registry.runner(either.format) for either in (artifact, model)]
        patients = dataset.patients
        return cls(
            workspace=workspace,
            title=f"shift-{name}",
            artifact=artifact.digest,
            reference=(teacher, model.digest),
            images=Images.of(dataset, workspace),
            patients=digest_json(None if patients is None else patients.tolist()),
            positive=positive,
            section=section,
            whole=whole,
            code=(*suite_of(section, whole=whole).identity, *code_of(*runners)),
        )

    def run(self, progress: Progress) -> ShiftEvaluation:
        store, dataset = self.workspace.store, self.images.read(self.workspace)
        name, teacher = self.reference
        return evaluate_shift(
            store.open(self.artifact),
            dataset,
            (name, store.open(teacher)),
            suite=suite_of(self.section, whole=self.whole),
            positive=self.positive,
            predictions=self.workspace.predictions,
            progress=progress,
            validated=self.whole,
        )
