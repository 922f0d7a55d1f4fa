"""Check an artifact in a runtime that a recipe names, on some of the test images."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from pupila import evaluator
from pupila.artifact import Artifact
from pupila.dataset import Dataset
from pupila.evaluation import RuntimeCheck
from pupila.evaluator import cpu_name
from pupila.plugin import Runner
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila_flows.execution.job import Job
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.recipe.schema import EvaluateSection
from pupila_flows.workspace import Workspace


class CheckRuntime(Job[RuntimeCheck]):
    """Check that an artifact runs in a runtime and predicts as expected; measure its speed."""

    runs_models: ClassVar[bool] = True
    returns: ClassVar[Any] = RuntimeCheck
    seconds_allowed: ClassVar[float | None] = 3600.0

    artifact: str
    runtime: str
    source: str | None
    """Digest of the model from which the artifact was exported, and with which it should agree."""
    images: ImagesByContent
    threads: int | None
    latency_repeats: int
    cpu: str
    cores: int | None
    code: Code

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        name: str,
        artifact: Artifact,
        runner: Runner,
        images: Dataset,
        threads: int | None,
        section: EvaluateSection,
        source: str | None,
    ) -> CheckRuntime:
        """Return the job that checks an artifact in the runtime `runner`.

        `threads` is the number of threads for the model; None means as many as the run uses.
        """
        own = installed().runner(artifact.format)
        return cls(
            workspace=workspace,
            title=f"check-{name}-{runner.name}" + (f"-{threads}" if threads else ""),
            artifact=artifact.digest,
            runtime=runner.name,
            source=source if runner == own else None,
            images=Images.of(images, workspace),
            threads=threads,
            latency_repeats=section.latency_repeats,
            cpu=cpu_name(),
            cores=os.cpu_count(),
            code=code_of(runner, own),
        )

    def run(self, progress: Progress) -> RuntimeCheck:
        store = self.workspace.store
        return evaluator.check_runtime(
            store.open(self.artifact),
            self.runtime,
            self.images.read(self.workspace),
            predictions=self.workspace.predictions,
            progress=progress,
            source=store.open(self.source) if self.source else None,
            threads=self.threads,
            latency_repeats=self.latency_repeats,
        )
