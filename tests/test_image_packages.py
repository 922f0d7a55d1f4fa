"""HEIC and DICOM images go through a whole run, and TFRecord through its checks."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clinic import write_pictures
from command_line import run_pupila
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

pillow_heif: Any = import_module("pillow_heif")  # these have no complete annotations
set_pixel_data: Any = import_module("pydicom.pixels").set_pixel_data
pytestmark = pytest.mark.long

RECIPE = """\
name: telephones
data: {path: images, positive: red}
steps:
  pupil: {use: train, with: {student: conv-32-64-8, size: 32, epochs: 3}}
  tflite: {use: export-tflite, from: pupil}
external:
  scans: {path: scans, reader: {use: dicom-folder, with: {labels: findings.csv}}}
"""
PATIENT = "Doe^Jane"


def write_dicom(path: Path, image: Image.Image) -> None:
    """Write an image with the name of a patient."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PatientName = PATIENT
    set_pixel_data(dataset, np.asarray(image), "RGB", 8)
    dataset.save_as(path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images of three formats, and scans of other pictures."""
    home = tmp_path_factory.mktemp("telephones")
    write_pictures(home / "images")
    rows = ["file_name,label,split"]
    (home / "scans").mkdir()
    for number, file in enumerate(sorted((home / "images").rglob("*.png"))):
        image = Image.open(file).convert("RGB")
        if number % 3 == 1:
            pillow_heif.from_pillow(image).save(file.with_suffix(".heic"), quality=95)
            file.unlink()
        elif number % 3 == 2:
            write_dicom(file.with_suffix(""), image)
            file.unlink()
        if file.parent.parent.name == "test" and number % 5 == 0:
            turned = image.transpose(Image.Transpose.TRANSPOSE).resize((44, 52))
            write_dicom(home / "scans" / f"{number}.dcm", turned)
            rows.append(f"{number}.dcm,{file.parent.name},test")
    (home / "scans" / "findings.csv").write_text("\n".join(rows))
    (home / "images" / "train" / "red" / "notes.nii").touch()
    (home / "recipe.yaml").write_text(RECIPE)
    return home


def read(text: str) -> Any:
    return json.loads(text)


def test_a_run_reads_trains_and_reports_on_heic_and_dicom(home: Path):
    run = run_pupila(home, "run", "recipe.yaml", "--json", code=None)
    result = read(run.stdout)
    decodes = next(c for c in result["data"]["checks"] if c["name"] == "Every file decodes")
    assert decodes["passed"]
    assert sum(map(sum, (c.values() for c in result["data"]["counts"].values()))) == 264
    tflite = next(entry for entry in result["entries"] if entry["name"] == "tflite")
    assert tflite["evaluation"]["metrics"]["accuracy"]["value"] > 0.9
    assert [external["name"] for external in result["external"]] == ["scans"]
    written = [file for file in (home / ".pupila").rglob("*") if file.is_file()]
    assert not [file for file in written if PATIENT.encode() in file.read_bytes()]


def test_what_is_left_out_is_said_and_what_is_listed_must_be_readable(home: Path):
    validated = run_pupila(home, "validate", "images")
    assert "264 images; 1 other files left out: 1 .nii" in validated.stdout + validated.stderr
    listing = home / "eyes.csv"
    notes = home / "images" / "train" / "red" / "notes.nii"
    good = next((home / "images").rglob("*.heic"))
    listing.write_text(f"path,label,split\n{notes},red,train\n{good},green,train\n")
    refused = run_pupila(home, "validate", listing, code=1)
    assert "1 of 2 images: error 'no installed decoder reads .nii files'" in refused.stdout


def test_a_model_is_evaluated_on_a_folder_of_dicom(home: Path):
    (folder,) = (home / ".pupila" / "runs" / "telephones").glob("2*")
    (home / "scans" / "findings.csv").rename(home / "scans" / "labels.csv")
    done = run_pupila(home, "evaluate", folder / "tflite", "scans", "--positive", "red", "--json")
    (model,) = read(done.stdout)["models"]
    assert model["figures"]["metrics"]["accuracy"]["value"] > 0.9
