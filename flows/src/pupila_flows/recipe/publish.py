"""The recipe's section `publish`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from pupila.names import lower_case_name_fault
from pupila_flows.recipe.section import Section

NO_GATE = (
    "Nothing is published: the recipe has no gate, so nothing was held to a margin. Add a section "
    "`gate`, or publish a run with --override."
)


def _published_name(text: str) -> str:
    if fault := lower_case_name_fault(text):
        raise ValueError(fault)
    return text


class PublishSection(Section):
    """Where to publish artifacts that passed the gate, and what their model card says."""

    to: str | None = Field(
        default=None,
        min_length=1,
        description="Registry: a folder, or a URL like `s3://bucket/models`; by default what "
        "`PUPILA_REGISTRY` names, else the folder `registry` of the workspace.",
    )
    name: Annotated[str, AfterValidator(_published_name)] | None = Field(
        default=None,
        description="Name of the published model; by default the recipe's name.",
    )
    artifacts: tuple[str, ...] = Field(
        default=(),
        description="Steps whose artifacts are published; by default those that the gate checks.",
    )
    intended_use: str | None = Field(
        default=None, description="What the models are for, and for whom: for the model card."
    )
    out_of_scope: str | None = Field(
        default=None, description="What the models must not be used for: for the model card."
    )
    limits: str | None = Field(
        default=None,
        description="Known limits, for the model card. Limits that the run found are added there.",
    )
    licence: str | None = Field(
        default=None, description="Licence of the models, as an SPDX identifier where it has one."
    )
