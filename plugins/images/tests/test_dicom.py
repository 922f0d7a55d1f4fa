"""DICOM files become the picture that a viewer shows, with the labels of a CSV."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels.utils import set_pixel_data
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from pupila import PupilaError, ReaderChoice, manifest
from pupila.dataset_readers import reader_of
from pupila.images import ImageError, decode
from pupila.testing import DatasetReaderContract, ImageFormatContract, ignore_progress


def write_dicom(path: Path, pixels: NDArray[Any], kind: str, **elements: Any) -> Path:
    """Write a DICOM file of one frame, with a patient's name."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "SECRET-7"
    set_pixel_data(dataset, pixels, kind, elements.pop("bits", pixels.dtype.itemsize * 8))
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.save_as(path)
    return path


def grey(values: list[int], dtype: Any = np.uint16) -> NDArray[Any]:
    return np.array([values, values], dtype)


def decoded(path: Path) -> list[int]:
    """Return the grey levels of the first row."""
    pixels = np.asarray(decode(path))
    assert (pixels == pixels[..., :1]).all()
    return pixels[0, :, 0].tolist()


class TestDicom(ImageFormatContract):
    plugin = "dicom"

    @classmethod
    def write(cls, image: Image.Image, folder: Path) -> Path:
        return write_dicom(folder / "fundus.dcm", np.asarray(image), "RGB")


WINDOW = {"WindowCenter": 100, "WindowWidth": 101}


@pytest.mark.parametrize(
    ("values", "kind", "elements", "levels"),
    [
        ([0, 2048, 4095], "MONOCHROME2", {"bits": 12}, [0, 128, 255]),
        ([0, 2048, 4095], "MONOCHROME1", {"bits": 12}, [255, 127, 0]),
        ([0, 50, 100, 149, 4000], "MONOCHROME2", WINDOW, [0, 1, 129, 254, 255]),
        ([0, 50, 100, 150, 4000], "MONOCHROME1", WINDOW, [255, 254, 126, 0, 0]),
        (
            [0, 50, 100, 151],
            "MONOCHROME2",
            {**WINDOW, "VOILUTFunction": "LINEAR_EXACT"},
            [0, 1, 128, 255],
        ),
        ([0, 100, 5000], "MONOCHROME2", {**WINDOW, "VOILUTFunction": "SIGMOID"}, [5, 128, 255]),
        (
            [0, 550, 600, 700],
            "MONOCHROME2",
            {**WINDOW, "RescaleSlope": 2, "RescaleIntercept": -1100},
            [0, 0, 129, 255],
        ),
        ([7, 7, 7], "MONOCHROME2", {}, [0, 0, 0]),
        (
            [0, 50, 100, 149],
            "MONOCHROME2",
            {"WindowCenter": [100, 9], "WindowWidth": [101, 9]},
            [0, 1, 129, 254],
        ),
    ],
)
def test_grey_values_are_those_at_the_window(
    tmp_path: Path, values: list[int], kind: str, elements: dict[str, Any], levels: list[int]
):
    path = write_dicom(tmp_path / "a.dcm", grey(values), kind, **elements)
    assert decoded(path) == levels


def test_8_bits_without_a_window_stay_as_they_are(tmp_path: Path):
    path = write_dicom(tmp_path / "a.dcm", grey([10, 20, 30], np.uint8), "MONOCHROME2")
    assert decoded(path) == [10, 20, 30]


def test_a_lookup_table_of_values_is_applied(tmp_path: Path):
    table = Dataset()
    table.LUTDescriptor = [3, 0, 16]
    table.LUTData = np.array([65535, 0, 32768], "<u2").tobytes()
    path = write_dicom(tmp_path / "a.dcm", grey([0, 1, 2]), "MONOCHROME2", VOILUTSequence=[table])
    assert decoded(path) == [255, 0, 128]


def test_signed_values_of_a_tomograph_are_read(tmp_path: Path):
    values = grey([-1000, 40, 400], np.int16)
    window = {"WindowCenter": 40, "WindowWidth": 401}
    path = write_dicom(tmp_path / "a.dcm", values, "MONOCHROME2", **window)
    assert decoded(path) == [0, 128, 255]


def test_of_several_frames_the_first_is_read_at_the_window_of_that_frame(tmp_path: Path):
    frames = np.stack([grey([0, 50, 100, 149]), grey([9, 9, 9, 9])])
    lookup, group = Dataset(), Dataset()
    lookup.WindowCenter, lookup.WindowWidth = 100, 101
    group.FrameVOILUTSequence = [lookup]
    path = write_dicom(
        tmp_path / "a.dcm",
        frames,
        "MONOCHROME2",
        PerFrameFunctionalGroupsSequence=[group, Dataset()],
    )
    assert decoded(path) == [0, 1, 129, 254]


def test_ybr_becomes_rgb(tmp_path: Path):
    pixels = np.array([[[76, 85, 255]] * 2] * 2, np.uint8)  # red
    red = np.asarray(decode(write_dicom(tmp_path / "a.dcm", pixels, "YBR_FULL")))[0, 0]
    assert np.abs(red.astype(int) - (254, 0, 0)).max() <= 1


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("MR_small_jp2klossless.dcm", (64, 64)),
        ("MR_small_RLE.dcm", (64, 64)),
        ("SC_rgb_jpeg_dcmtk.dcm", (100, 100)),
        ("SC_rgb_rle_16bit_2frame.dcm", (100, 100)),
        ("examples_palette.dcm", (800, 350)),
        ("examples_ybr_color.dcm", (320, 240)),
        ("ExplVR_BigEnd.dcm", (80, 60)),
    ],
)
def test_files_of_other_programs_are_read(name: str, size: tuple[int, int]):
    image = decode(Path(str(get_testdata_file(name))))
    assert image.size == size
    low, high = image.convert("L").getextrema()
    assert isinstance(low, int) and isinstance(high, int)
    assert high - low > 100


def test_compression_without_loss_gives_the_same_picture():
    plain, packed, wavelets = (
        np.asarray(decode(Path(str(get_testdata_file(f"MR_small{name}.dcm")))))
        for name in ("", "_RLE", "_jp2klossless")
    )
    assert np.array_equal(plain, packed)
    assert np.array_equal(plain, wavelets)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MR_small_jpeg_ls_lossless.dcm", "as JPEG-LS Lossless Image Compression, which needs an"),
        ("SC_rgb_jpeg_gdcm.dcm", "its pixels are compressed as JPEG Lossless, Non-Hierarchical"),
        ("JPEG-lossy.dcm", r"its pixels \(JPEG Extended .*\) cannot be decoded: pillow: .*12-bit"),
        ("test-SR.dcm", "it has no image: it is Comprehensive SR Storage"),
        ("rtstruct.dcm", "it does not begin as a DICOM file"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(name: str, reason: str):
    with pytest.raises(ImageError, match=reason) as raised:
        decode(Path(str(get_testdata_file(name))))
    assert len(raised.value.reason.splitlines()) == 1


@pytest.mark.parametrize("name", ["CT_small.dcm", "MR_small_RLE.dcm", "examples_palette.dcm"])
def test_damaged_files_are_refused_without_their_values(tmp_path: Path, name: str):
    random = np.random.default_rng(7)
    content = np.fromfile(str(get_testdata_file(name)), np.uint8)
    refused = list[str]()
    for _ in range(60):
        damaged = content.copy()
        damaged[random.integers(132, 2000, 20)] = random.integers(0, 256, 20, np.uint8)
        (tmp_path / "a.dcm").write_bytes(damaged.tobytes())
        try:
            decode(tmp_path / "a.dcm")
        except ImageError as error:
            refused.append(error.reason)
    assert refused
    assert not [reason for reason in refused if "pupila-images" in reason]


def test_a_file_that_says_it_is_huge_is_refused_before_it_is_decoded(tmp_path: Path):
    path = write_dicom(tmp_path / "a.dcm", grey([1, 2]), "MONOCHROME2", Rows=60_000, Columns=60_000)
    with pytest.raises(ImageError, match="it has 60,000 × 60,000 pixels, and more than 64 million"):
        decode(path)


def test_a_patient_s_name_is_in_neither_manifest_nor_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    good, bad = (
        write_dicom(tmp_path / name, grey([0, 9, 99]), "MONOCHROME2") for name in ("a.dcm", "b.dcm")
    )
    bad.write_bytes(bad.read_bytes()[:-6])
    listing = tmp_path / "eyes.csv"
    listing.write_text(f"path,label,split\n{good},ill,train\n{bad},well,train\n")
    frame = manifest.scan(manifest.read(listing), tmp_path / "cache", ignore_progress)
    assert (frame["error"] != "").tolist() == [False, True]
    texts = [frame.to_csv(), *capfd.readouterr()]
    texts += [file.read_bytes().decode("latin-1") for file in (tmp_path / "cache").iterdir()]
    assert not any("Doe" in text or "SECRET" in text for text in texts)
    versions = f"pydicom {pydicom.__version__}"
    assert versions in frame["decoder"].iloc[0]


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class TestDicomFolder(DatasetReaderContract):
    plugin = "dicom-folder"
    key: ClassVar[str] = "sop_instance_uid"

    @classmethod
    def write(cls, folder: Path, images: list[tuple[Image.Image, str, str]]) -> Path:
        rows: list[dict[str, str]] = []
        for number, (image, label, split) in enumerate(images):
            file = folder / f"study{number % 2}" / str(number)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_dicom(file, np.asarray(image), "RGB")
            keys = {"sop_instance_uid": str(pydicom.dcmread(file).SOPInstanceUID)}
            keys["file_name"] = file.relative_to(folder).as_posix()
            rows.append({cls.key: keys[cls.key], "label": label, "split": split, "patient": "p"})
        write_csv(folder / "labels.csv", rows)
        return folder


class TestDicomFolderByName(TestDicomFolder):
    key = "file_name"


def dicom_folder(folder: Path, labels: str) -> Path:
    folder.mkdir()
    for number in range(2):
        write_dicom(folder / f"{number}.dcm", grey([number, 9]), "MONOCHROME2")
    (folder / "labels.csv").write_text(labels)
    return folder


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("name,label,split\n0.dcm,ill,train\n", "neither the column 'file_name' nor 'sop_instance"),
        ("file_name,label,split\n9.dcm,ill,train\n", "line 2: no file below .* the file_name '9.d"),
        ("sop_instance_uid,label,split\n1.2,ill,train\n", "line 2: .* the sop_instance_uid '1.2'"),
        ("file_name,label\n0.dcm,ill\n", "labels.csv, line 2 has no column 'split'"),
    ],
)
def test_labels_that_fit_no_file_are_refused(tmp_path: Path, labels: str, message: str):
    with pytest.raises(PupilaError, match=message):
        manifest.read(dicom_folder(tmp_path / "scans", labels))


def test_a_dicom_file_without_a_label_is_counted(tmp_path: Path):
    folder = dicom_folder(tmp_path / "scans", "file_name,label,split\n0.dcm,ill,train\n")
    frame = manifest.read(folder)
    assert len(frame) == 1
    assert frame.attrs["left_out"] == {".dcm": 1}


def test_labels_of_another_name_are_named_in_the_settings(tmp_path: Path):
    folder = dicom_folder(tmp_path / "scans", "file_name,label,split\n0.dcm,ill,train\n")
    shutil.move(folder / "labels.csv", folder / "mine.csv")
    choice = ReaderChoice("dicom-folder", {"labels": "mine.csv"})
    assert len(manifest.read(folder, choice=choice)) == 1
    assert reader_of(folder).name == "folder"
    with pytest.raises(PupilaError, match=r"labels\.csv' does not exist: name the CSV of labels"):
        manifest.read(folder, choice=ReaderChoice("dicom-folder"))
