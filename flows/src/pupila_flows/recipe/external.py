"""The recipe's section `external`: images on which models are only evaluated."""

from __future__ import annotations

from pydantic import Field

from pupila_flows.recipe.reader import READER, ReaderSection
from pupila_flows.recipe.section import Section


class ExternalSection(Section):
    """Images from another place, such as another hospital. Nothing is trained or chosen on them."""

    path: str = Field(
        min_length=1,
        description="A folder with a folder for each class, a folder of images without labels, or "
        "a CSV with the column `path`. The CSV's columns `label` (in other tasks, those of the "
        "task), `split` and `patient` are used if present.",
    )
    folder: str | None = Field(
        default=None,
        min_length=1,
        description="Folder in which the images of a CSV are found by their file names. Without "
        "it, the CSV's column `path` says where they are.",
    )
    reader: ReaderSection | None = Field(default=None, description=READER)
    split: str | None = Field(
        default=None,
        min_length=1,
        description="Split to evaluate, if the CSV or folder has splits; by default `test`.",
    )
    map: dict[str, str] = Field(
        default_factory=dict[str, str],
        description="Class of the data for each label of these images, as in `{POAG: glaucoma}`. "
        "A label that differs from a class only by case needs no entry.",
    )
