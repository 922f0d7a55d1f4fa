"""Settings of the readers of data sets."""

from __future__ import annotations

from pydantic import Field

from pupila import Config

LABELS_NAME = "labels.csv"


class DicomFolder(Config):
    """Settings of `dicom-folder`."""

    labels: str = Field(
        default=LABELS_NAME,
        description="CSV in the folder, with `label`, `split` and either `file_name` or "
        "`sop_instance_uid`.",
    )


class ImageFolder(Config):
    """Settings of `imagefolder`."""

    label: str = Field(default="label", description="Column of the metadata with the label.")


class TFRecords(Config):
    """Settings of `tfrecord`."""

    image: str | None = Field(
        default=None,
        description="Feature with the encoded image; by default `image/encoded`, `image_raw` or "
        "`image`.",
    )
    label: str | None = Field(
        default=None,
        description="Feature with the label; by default `image/class/text`, `label` or "
        "`image/class/label`.",
    )
    columns: tuple[str, ...] = Field(
        default=(), description="Other features to keep as columns, such as `patient`."
    )
