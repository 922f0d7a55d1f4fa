"""Check that a teacher is above chance on the validation images, before any step uses it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from pupila.artifact import Artifact
from pupila.chance import ChanceCheck
from pupila.dataset import Dataset
from pupila.digest import digest_json
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.task import methods_of
from pupila.views import AS_IS
from pupila_flows.execution.job import Job
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.workspace import Workspace


class ProveTeacher(Job[ChanceCheck | None]):
    """Compare a teacher's predictions with the labels; later steps reuse the predictions."""

    returns: ClassVar[Any] = ChanceCheck | None
    runs_models: ClassVar[bool] = True
    seconds_allowed: ClassVar[float | None] = 3600.0

    artifact: str
    images: ImagesByContent
    patients: str
    """Digest of the patient of each image, because the fingerprint leaves patients out."""
    positive: str
    code: Code

    @classmethod
    def of(
        cls, workspace: Workspace, name: str, artifact: Artifact, images: Dataset, positive: str
    ) -> ProveTeacher:
        """Return the job that checks the teacher `artifact`, which has the classes of `images`.

        Raises:
            PupilaError: no installed plugin runs the teacher's format.
        """
        return cls(
            workspace=workspace,
            title=f"prove-{name}",
            artifact=artifact.digest,
            images=Images.of(images, workspace),
            patients=digest_json(None if images.patients is None else images.patients.tolist()),
            positive=positive,
            code=code_of(installed().runner(artifact.format)),
        )

    def run(self, progress: Progress) -> ChanceCheck | None:
        workspace = self.workspace
        model, images = workspace.store.open(self.artifact), self.images.read(workspace)
        (answers,) = workspace.predictions.in_own_order(model, images, AS_IS, progress)
        task, own = methods_of(images.task), replace(images, classes=model.record.output.classes)
        return task.chance(answers, task.truths(own), own.classes, self.positive, images.patients)
