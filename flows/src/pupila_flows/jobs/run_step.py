"""Run one node of the graph: a technique or an exporter, on artifacts in the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pupila.dataset import Dataset
from pupila.evaluation import Metrics
from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila.step import Step
from pupila_flows.data import exclude
from pupila_flows.data.training_images import TrainingImages
from pupila_flows.execution.job import NOT_KEYED
from pupila_flows.execution.step_workers import worker_pool
from pupila_flows.execution.worker_check import ClusterConnection
from pupila_flows.jobs.artifact_job import (
    ArtifactJob,
    StoredArtifact,
    check_format,
    origin_of,
    record_fields,
)
from pupila_flows.jobs.keys import Code, Images, ImagesByContent, code_of
from pupila_flows.plan.expand import Node
from pupila_flows.workspace import Workspace


class RunStep(ArtifactJob):
    """Run a technique or an exporter, which makes an artifact from its inputs."""

    runs_models: ClassVar[bool] = True
    plugin: str
    config: dict[str, Any]
    inputs: tuple[str, ...] = ()
    """Digests of the artifacts that the plugin works on."""
    figures: tuple[Metrics | None, ...] = ()
    """Metrics of the inputs on the test images; only for a plugin that shows them."""
    seed: int
    images: ImagesByContent | None
    """Images the plugin works with; None if it needs none."""
    code: Code
    unproven: Annotated[bool, NOT_KEYED] = False
    """Whether the recipe accepts teachers at chance level; this does not change the artifact."""
    timeout_minutes: Annotated[float, NOT_KEYED]
    uses_workers: Annotated[bool, NOT_KEYED]
    """Whether the plugin sends subtasks to other workers."""
    connection: Annotated[ClusterConnection | None, NOT_KEYED] = None
    """The cluster whose workers run the subtasks; set by `ProcessCall`."""

    @classmethod
    def of(
        cls, workspace: Workspace, node: Node, dataset: Dataset, *, unproven: bool = False
    ) -> RunStep:
        """Return the job of a node, without inputs: `on` adds the inputs once they are known.

        The job does not get the test images, so that no step can learn from test images. The job
        does not get the images that the node excludes, either.
        """
        plugin = node.plugin
        seen = exclude.images_for_step(dataset, node.exclude) if plugin.needs_data else None
        with installed().calling(plugin):
            uses = node.config.uses()
        return cls(
            workspace=workspace,
            title=node.name,
            plugin=plugin.name,
            config=node.config.model_dump(mode="json"),
            seed=node.seed,
            images=None if seen is None else Images.of(seen, workspace),
            code=code_of(plugin, *uses),
            unproven=unproven,
            timeout_minutes=node.timeout_minutes,
            uses_workers=plugin.uses_workers,
        )

    def on(
        self, inputs: Sequence[StoredArtifact], figures: Sequence[Metrics | None] = ()
    ) -> RunStep:
        """Return a copy of the job that runs on `inputs`.

        `figures` has the metrics of each input if the plugin shows metrics, and else is empty.

        If the job has images, its plugin may run the inputs on these images. Then the versions of
        the inputs' runners become part of the key.
        """
        formats = sorted({artifact.format for artifact in inputs}) if self.images else ()
        runners = [installed().runner(name) for name in formats if name in installed().formats()]
        code = tuple(dict.fromkeys((*self.code, *code_of(*runners))))
        given = tuple(artifact.artifact for artifact in inputs)
        return self.model_copy(update={"inputs": given, "figures": tuple(figures), "code": code})

    @property
    def timeout_seconds(self) -> float:
        return 60 * self.timeout_minutes

    @property
    def farms_out(self) -> bool:
        return self.uses_workers

    def run(self, progress: Progress) -> StoredArtifact:
        plugin, workspace = installed().step(self.plugin), self.workspace
        inputs = tuple(map(workspace.store.open, self.inputs))
        for artifact in inputs:  # a step may open its inputs in any way
            installed().check(artifact)
        pool = worker_pool(workspace, self.key, self.plugin, self.connection)
        with workspace.store.draft() as folder, pool as workers:
            step = Step(
                config=plugin.config.model_validate(self.config),
                inputs=inputs,
                output=folder,
                scratch=workspace.scratch(self.key),
                seed=self.seed,
                dataset=self.images.read(workspace) if self.images else None,
                predictions=workspace.predictions,
                progress=progress,
                unproven=self.unproven,
                worker_pool=workers,
                input_metrics=self.figures,
            )
            declared = plugin.output_format([artifact.format for artifact in step.inputs])
            with installed().calling(plugin):
                returned = plugin.load()(step)
            product = check_format(returned, plugin, declared)
            origin = origin_of(
                plugin,
                config=step.config.model_dump(mode="json"),
                seed=step.seed,
                threads=self.model_threads,
                inputs=tuple(artifact.digest for artifact in step.inputs),
                dataset=step.dataset.fingerprint if step.dataset else None,
            )
            artifact = workspace.store.add(folder, **record_fields(product, origin))
            self._training_images(step.dataset).write(artifact.path)
        return StoredArtifact.of(artifact)

    def repair_training_images(self, folder: Path) -> bool:
        """If the list of training images is damaged, write it again; nothing is trained again."""
        if TrainingImages.put_aside_damaged(folder):
            dataset = self.images.read(self.workspace) if self.images else None
            self._training_images(dataset).write(folder)
        return True

    def _training_images(self, dataset: Dataset | None) -> TrainingImages:
        """Return the training images of the artifact: `dataset`, and those of all its inputs."""
        own = [] if dataset is None else [TrainingImages.of(dataset)]
        of_inputs = map(self.workspace.store.path_of, self.inputs)
        return TrainingImages.merge((*own, *map(TrainingImages.read, of_inputs)))
