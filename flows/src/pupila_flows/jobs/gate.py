"""Decide whether the artifacts of a run pass the gate."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pupila.plugin_registry import installed
from pupila.runtime import Progress
from pupila_flows.execution.job import Job, Keyed
from pupila_flows.gate.added import checks_of
from pupila_flows.gate.inputs import GateInputs
from pupila_flows.jobs.keys import Code, code_of
from pupila_flows.results import GateResult
from pupila_flows.workspace import Workspace


class AskGate(Job[GateResult]):
    """Run the gate; with many images this takes seconds."""

    returns: ClassVar[Any] = GateResult

    inputs: Annotated[GateInputs, Keyed(GateInputs.identity)]
    code: Code

    @classmethod
    def of(cls, workspace: Workspace, inputs: GateInputs) -> AskGate:
        """Return the job that runs the gate on `inputs`."""
        task = installed().task(inputs.task)  # says what is compared
        code = code_of(task, *checks_of(inputs.section.names), packages=("pupila-flows",))
        return cls(workspace=workspace, title="gate", inputs=inputs, code=code)

    def run(self, progress: Progress) -> GateResult:
        from pupila_flows.gate.decision import decide

        progress(0, 1, "asking the gate")
        result = decide(self.inputs)
        progress(1, 1, f"gate: {result.verdict}")
        return result
