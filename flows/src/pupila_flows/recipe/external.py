"""The recipe's section `external`: images of elsewhere, by which models are only judged."""

from __future__ import annotations

from pydantic import Field

from pupila_flows.recipe.section import Section


class ExternalSection(Section):
    """Images of another place. Nothing is learned from them, and nothing is chosen by them."""

    path: str = Field(
        min_length=1,
        description="A folder with a folder for each class, a folder of images alone, or a CSV "
        "with the column `path`; `label`, `split` and `patient` count where there are such.",
    )
    folder: str | None = Field(
        default=None,
        min_length=1,
        description="Folder in which the files of a CSV lie under their own names, where that is "
        "not where `path` says.",
    )
    split: str | None = Field(
        default=None,
        min_length=1,
        description="Which split is judged, of a CSV or a folder with splits; by default `test`.",
    )
    map: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Class of the data by a label of these images, as in `{POAG: glaucoma}`; "
        "labels that differ from a class in upper and lower case alone need none.",
    )
