"""Compare models with their teachers on external images."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from pupila.evaluation import Estimate
from pupila.runtime import Progress
from pupila_flows.execution.job import Job, Keyed
from pupila_flows.gate.inputs import GateInputs
from pupila_flows.jobs.keys import Code, code_of
from pupila_flows.workspace import Workspace


class ExternalDifferences(BaseModel):
    """Paired differences of metrics: those of each artifact minus those of its teacher."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by_place: dict[str, dict[str, dict[str, Estimate]]]
    """Differences by external set, entry and metric."""
    by_group: dict[str, dict[str, dict[str, dict[str, Estimate]]]]
    """Differences by group column, value, entry and metric; empty without group columns."""


class CompareExternal(Job[ExternalDifferences]):
    """Compare models with their teachers; on many external images this takes seconds."""

    returns: ClassVar[Any] = ExternalDifferences

    inputs: Annotated[GateInputs, Keyed(GateInputs.identity)]
    code: Code

    @classmethod
    def of(cls, workspace: Workspace, inputs: GateInputs) -> CompareExternal:
        """Return the job that compares all cases on all external sets in `inputs`."""
        code = code_of(packages=("pupila-flows",))
        return cls(workspace=workspace, title="compare elsewhere", inputs=inputs, code=code)

    def run(self, progress: Progress) -> ExternalDifferences:
        from pupila_flows.gate.external import differences

        inputs, cases = self.inputs, self.inputs.cases
        result = ExternalDifferences(by_place={}, by_group={})
        for number, images in enumerate(inputs.external):
            result.by_place[images.name] = {
                case.entry: differences(inputs, case, images) for case in cases
            }
            for column, values in images.images.columns.items():
                result.by_group[column] = {
                    value: {
                        case.entry: differences(inputs, case, images, (column, value))
                        for case in cases
                    }
                    for value in sorted(set(values) - {""})
                }
            progress(number + 1, len(inputs.external), "places")
        return result
