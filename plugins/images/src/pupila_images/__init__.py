"""Reads HEIC and DICOM images, and data sets as others publish them."""

from __future__ import annotations

from collections.abc import Iterator

from pupila import DatasetReader, ImageFormat, hookimpl
from pupila_images import recognise
from pupila_images.config import DicomFolder, ImageFolder, TFRecords


@hookimpl
def pupila_images() -> Iterator[ImageFormat]:
    """Yield the formats of telephones and of hospitals."""
    yield ImageFormat(
        name="heic",
        summary="HEIC photographs of telephones",
        suffixes=frozenset({".heic", ".heif", ".hif"}),
        recognises=recognise.is_heic,
        implementation="pupila_images.heic:read",
    )
    yield ImageFormat(
        name="dicom",
        summary="DICOM images, at the window that they give",
        suffixes=frozenset({".dcm", ".dicom"}),
        recognises=recognise.is_dicom,
        implementation="pupila_images.dicom:read",
    )


@hookimpl
def pupila_datasets() -> Iterator[DatasetReader]:
    """Yield the readers of this package."""
    yield DatasetReader(
        name="dicom-folder",
        summary="A folder of DICOM files with a CSV of labels by file or SOP instance",
        recognises=recognise.is_dicom_folder,
        config=DicomFolder,
        implementation="pupila_images.dicom_folder:read",
    )
    yield DatasetReader(
        name="imagefolder",
        summary="A folder of Hugging Face with metadata.csv or metadata.jsonl",
        recognises=recognise.is_image_folder,
        config=ImageFolder,
        implementation="pupila_images.image_folder:read",
    )
    yield DatasetReader(
        name="tfrecord",
        summary="TFRecord files of encoded images with labels",
        recognises=recognise.is_tfrecord,
        config=TFRecords,
        implementation="pupila_images.tfrecord:read",
    )
