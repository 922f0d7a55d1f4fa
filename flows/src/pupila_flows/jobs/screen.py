"""Run a filter on every image, and list the images that it rejects."""

from __future__ import annotations

from typing import Any, ClassVar

from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.views import AS_IS
from pupila_flows.data.validation.screening import check_probabilities
from pupila_flows.execution.job import Job
from pupila_flows.jobs.keys import Code, Images, code_of
from pupila_flows.recipe.schema import ScreenSection
from pupila_flows.results import Check
from pupila_flows.workspace import Workspace


class Screen(Job[Check]):
    """List the images that a filter rejects: they do not look like the class that it accepts."""

    runs_models: ClassVar[bool] = True
    returns: ClassVar[Any] = Check
    seconds_allowed: ClassVar[float | None] = 3600.0

    artifact: str
    teacher: str
    accepts: str
    images: Images
    code: Code

    @classmethod
    def of(
        cls, workspace: Workspace, section: ScreenSection, artifact: Artifact, dataset: Dataset
    ) -> Screen:
        """Return the job that screens a dataset with the filter `artifact`, which a recipe names.

        Raises:
            PupilaError: no installed plugin runs the filter's format.
        """
        runner = installed().runner(artifact.format)
        return cls(
            workspace=workspace,
            title="screen",
            artifact=artifact.digest,
            teacher=section.teacher,
            accepts=section.accepts,
            images=Images.of(dataset, workspace),
            code=code_of(runner, packages=("pupila-flows",)),
        )

    def run(self, progress: Progress) -> Check:
        workspace = self.workspace
        model, dataset = workspace.store.open(self.artifact), self.images.read(workspace)
        (probabilities,) = workspace.predictions.in_own_order(model, dataset, AS_IS, progress)
        return check_probabilities(
            probabilities[:, model.record.output.classes.index(self.accepts)],
            [str(path) for path in dataset.paths],
            teacher=self.teacher,
            accepts=self.accepts,
            threshold=model.record.threshold_of(self.accepts),
        )
