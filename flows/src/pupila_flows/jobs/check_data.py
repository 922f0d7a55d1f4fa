"""Check the data against the recipe's expectations, and write its Data Docs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila.dataset import Dataset
from pupila.runtime import Progress
from pupila_flows.data.validation import validate
from pupila_flows.data.validation.plugin_checks import checks_for
from pupila_flows.execution.job import NOT_KEYED, Job
from pupila_flows.jobs.keys import Code, Images, code_of
from pupila_flows.recipe.expectations import Bounds
from pupila_flows.recipe.schema import DataSection
from pupila_flows.results import Check, DataSummary
from pupila_flows.workspace import Workspace


class CheckedData(BaseModel):
    """The results of data validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checks: tuple[Check, ...]
    data_docs: str
    """Path of the index page of the Data Docs."""

    def summary(self, dataset: Dataset, section: DataSection, source: str) -> DataSummary:
        """Return the checks and the numbers of images as `result.json` holds them."""
        return DataSummary(
            path=source,
            fingerprint=dataset.fingerprint,
            task=dataset.task,
            classes=dataset.classes,
            positive=section.positive_class(dataset.classes),
            counts=dataset.counts,
            checks=self.checks,
            data_docs=self.data_docs,
        )


class CheckData(Job[CheckedData]):
    """Check all images and the dataset as a whole, and write the Data Docs."""

    returns: ClassVar[Any] = CheckedData

    images: Images
    positive: str
    bounds: Bounds
    source: Annotated[str, NOT_KEYED]
    """Name of the data as the Data Docs show it."""
    code: Code

    @classmethod
    def of(
        cls, workspace: Workspace, dataset: Dataset, section: DataSection, source: str
    ) -> CheckData:
        """Return the job that checks the data of a recipe."""
        return cls(
            workspace=workspace,
            title="check-data",
            images=Images.of(dataset, workspace),
            positive=section.positive_class(dataset.classes),
            bounds=section.expectations,
            source=source,
            code=code_of(*checks_for(dataset.task), packages=("pupila-flows",)),
        )

    def run(self, progress: Progress) -> CheckedData:
        progress(0, 1, "checking the data")
        dataset, docs = self.images.read(self.workspace), self.workspace.data_docs(self.key)
        checks, page = validate(
            dataset.frame,
            dataset.classes,
            self.positive,
            self.bounds,
            docs,
            self.source,
            dataset.task,
        )
        progress(1, 1, "checked the data")
        return CheckedData(checks=checks, data_docs=str(page))

    def is_intact(self, result: CheckedData) -> bool:
        return Path(result.data_docs).exists()
