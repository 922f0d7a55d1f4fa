"""Publish the artifacts of a run that passed its gate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pupila.runtime import Progress
from pupila_flows.execution.job import NOT_KEYED, Job
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.addresses import without_password
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.release import Withheld, release_of
from pupila_flows.registry.versions import open_registry
from pupila_flows.results import Publication, RunResult
from pupila_flows.workspace import Workspace


class Publish(Job[Publication]):
    """Publish the run whose result file is `result`; each run is published only once."""

    returns: ClassVar[Any] = Publication

    result: Path
    """Path of `result.json`, which is unique for each run, so that the key needs nothing else."""
    address: Annotated[str, NOT_KEYED]
    section: Annotated[PublishSection, NOT_KEYED]

    @classmethod
    def of(
        cls, workspace: Workspace, result: Path, address: str, section: PublishSection
    ) -> Publish:
        """Return the job that publishes the run with this result file."""
        return cls(
            workspace=workspace, title="publish", result=result, address=address, section=section
        )

    def run(self, progress: Progress) -> Publication:
        run = RunResult.model_validate_json(self.result.read_text())
        progress(0, 1, "publishing")
        try:
            release = release_of(run, self.result.parent, self.section, self.workspace.store)
            publication = publish(open_registry(self.address), release)
        except Withheld as reason:
            publication = Publication(
                registry=without_password(self.address),
                name=self.section.name or run.name,
                outcome="withheld",
                version=None,
                reason=str(reason),
            )
        progress(1, 1, publication.reason)
        return publication
