"""The recipe's section `reader`, of `data` and of external sets: what reads them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from pupila.data_plugins import DatasetReader
from pupila_flows.recipe.plugin_name import plugin_name
from pupila_flows.recipe.section import Section

READER = "Reader of the images, with its settings; by default the one that recognises them."
"""Description of the section where it is a field."""


class ReaderSection(Section):
    """A reader of data sets and its settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )

    use: Annotated[str, AfterValidator(plugin_name(DatasetReader))] = Field(
        description="Name of a reader (see `pupila plugins`)."
    )
    config: dict[str, Any] = Field(
        default_factory=dict[str, Any], alias="with", description="Settings of the reader."
    )
