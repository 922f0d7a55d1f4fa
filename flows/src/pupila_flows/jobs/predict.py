"""Ask a model for its answers to images, whatever their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila.arrays import is_whole
from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.views import AS_IS
from pupila_flows.execution.job import Job
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.workspace import Workspace


class Predicted(BaseModel):
    """What a model answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: Path
    """A `.npy` file `(images, columns)`: the images in order, and the model's own classes."""


class Predict(Job[Predicted]):
    """Ask a model for its answer to each image, in the primary runtime of its format."""

    runs_models: ClassVar[bool] = True
    returns: ClassVar[Any] = Predicted
    seconds_allowed: ClassVar[float | None] = 3600.0

    artifact: str
    images: ImagesByContent
    code: Code

    @classmethod
    def of(cls, workspace: Workspace, title: str, artifact: Artifact, images: Dataset) -> Predict:
        """Return the job that asks the model `artifact`.

        Raises:
            PupilaError: no installed plugin runs the artifact's format.
        """
        return cls(
            workspace=workspace,
            title=title,
            artifact=artifact.digest,
            images=Images.of(images, workspace),
            code=code_of(installed().runner(artifact.format)),
        )

    def run(self, progress: Progress) -> Predicted:
        workspace = self.workspace
        model, images = workspace.store.open(self.artifact), self.images.read(workspace)
        (answers,) = workspace.predictions.in_own_order(model, images, AS_IS, progress)
        return Predicted(answers=workspace.predictions.keep(answers, model, images))

    def is_intact(self, result: Predicted) -> bool:
        return is_whole(result.answers)
