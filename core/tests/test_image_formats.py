"""Decoders of packages: which files they read, in folders and in CSVs, and what they answer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageFile

from pupila import image_formats, images, manifest
from pupila.data_plugins import ImageFormat
from pupila.dataset import Dataset
from pupila.errors import PupilaError
from pupila.image_formats import advise, format_of, is_image, suffix_of
from pupila.images import ImageError, decode
from pupila.plugin_registry import installed
from pupila.runtime import ignore_progress
from pupila.spec import InputSpec
from pupila.testing import plugin_installed

DECODER = """
import numpy as np
from PIL import Image
from pupila import ImageFormat, hookimpl


@hookimpl
def pupila_images():
    yield ImageFormat(
        name="raw",
        summary="Numbers after the word RAW",
        suffixes=frozenset({".raw", ".crude"}),
        recognises=lambda head: head.startswith(b"RAW"),
        implementation=f"{__name__}:read",
    )


def read(path):
    answer = eval(path.read_bytes()[3:])
    if isinstance(answer, Exception):
        raise answer
    return answer
"""
GREY = b"RAWnp.full((6, 8), 99, np.uint8)"
OF_PILLOW = """
from pupila import ImageFormat, hookimpl
from pupila.pillow_images import read


@hookimpl
def pupila_images():
    yield ImageFormat(
        name="microscope",
        summary="TIFF files of a microscope",
        suffixes=frozenset({".tif"}),
        implementation="pupila.pillow_images:read",
    )
"""
SPEC = InputSpec(height=6, width=8)


@pytest.fixture
def decoder(tmp_path: Path) -> Iterator[None]:
    with plugin_installed(tmp_path / "path", "raw-images", "raw_images", DECODER, "3.2"):
        yield


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def tree(root: Path, name: str, content: bytes) -> Path:
    """Write a small tree in which every class of every split has one file of this name."""
    for number, split in enumerate(("train", "validation", "test")):
        for label in ("ill", "well"):
            written(root / split / label / name, content + b" " * number + label.encode()[:0])
    return root


def test_the_suffixes_of_pillow_are_those_of_all_that_it_decodes():
    stubs = {".bufr", ".grib", ".h5", ".hdf", ".wmf", ".emf"}
    opened = {
        suffix: Image.OPEN[name][0]
        for suffix, name in Image.registered_extensions().items()
        if name in Image.OPEN
    }
    without_decoder = {
        suffix
        for suffix, factory in opened.items()
        if isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
    }
    assert without_decoder == stubs
    pillow = next(one for one in installed().all(ImageFormat) if one.name == "pillow")
    assert pillow.suffixes == opened.keys() - stubs - {".mpg", ".mpeg"}


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("content", "pixel"),
    [
        (GREY, (99, 99, 99)),
        (b"RAWnp.full((6, 8), 32896, np.uint16)", (128, 128, 128)),
        (b"RAWnp.full((6, 8, 3), (1, 2, 3), np.uint8)", (1, 2, 3)),
        (b"RAWnp.full((6, 8, 3), (65535, 0, 32896), np.uint16)", (255, 0, 128)),
        (b"RAWImage.new('RGBA', (8, 6), (200, 100, 50, 0))", (0, 0, 0)),
    ],
)
def test_what_a_decoder_returns_becomes_8_bit_rgb(
    tmp_path: Path, content: bytes, pixel: tuple[int, ...]
):
    image = decode(written(tmp_path / "a.raw", content))
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (8, 6), pixel)


WHO = "Image format 'raw' of raw-images 3.2 raised"


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"RAWValueError('it has no pixels')", "it has no pixels"),
        (b"RAWOSError(5, 'gone')", "gone"),
        (b"RAWnp.zeros((8001, 8000), np.uint8)", "it has 8,000 × 8,001 pixels, and more than 64"),
        (b"RAW1 / 0", f"{WHO} ZeroDivisionError: division by zero"),
        (b"RAW(", "'(' was never closed (<string>, line 1)"),
        (b"RAWNone", f"{WHO} TypeError: it returned None, where a PIL image or an array"),
        (b"RAWnp.zeros((6, 8))", f"{WHO} TypeError: it returned float64 (6, 8), where a PIL image"),
        (b"RAWnp.zeros((0, 8), np.uint8)", f"{WHO} TypeError: it returned uint8 (0, 8), where"),
        (b"RAWSystemExit(3)", f"{WHO} TypeError: it returned SystemExit(3)"),
        (b"RAWexit(3)", f"{WHO.removesuffix(' raised')} called sys.exit(3)"),
    ],
)
def test_a_file_that_a_decoder_does_not_read_is_refused_with_a_reason(
    tmp_path: Path, content: bytes, reason: str
):
    with pytest.raises(ImageError) as raised:
        decode(written(tmp_path / "a.raw", content))
    assert raised.value.reason.startswith(reason)


@pytest.mark.usefixtures("decoder")
def test_the_content_decides_before_the_suffix(tmp_path: Path):
    renamed = written(tmp_path / "a.png", GREY)
    assert decode(renamed).size == (8, 6)
    Image.new("RGB", (4, 4)).save(tmp_path / "b.raw", format="PNG")
    assert decode(tmp_path / "b.raw").size == (4, 4)
    Image.new("RGB", (5, 4)).save(tmp_path / "1.2.840.1", format="PNG")
    assert decode(tmp_path / "1.2.840.1").size == (5, 4)


def test_the_same_files_are_images_in_a_folder_and_in_a_csv(tmp_path: Path):
    root = tmp_path / "eyes"
    for name in ("a.png", "b.JPG", "c", "4.5.6"):
        for split in ("train", "validation", "test"):
            (root / split / "ill").mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40)).save(root / split / "ill" / name, format="PNG")
    for name in ("d.xyz", "e.unknown", "f.h5"):
        (root / "train" / "ill" / name).write_bytes((root / "train/ill/a.png").read_bytes())
    (root / "train" / "ill" / "README").write_text("Eyes.")
    listing = root.with_suffix(".csv")
    files = sorted(file for file in root.rglob("*") if file.is_file())
    rows = [f"{file},{file.parent.name},{file.parent.parent.name}" for file in files]
    listing.write_text("\n".join(["path,label,split", *rows]))

    of_folder, of_csv = manifest.read(root), manifest.read(listing)
    scanned = manifest.scan(of_csv, tmp_path / "cache", ignore_progress)
    readable = scanned[scanned["error"] == ""]
    assert of_folder["path"].tolist() == readable["path"].tolist()
    assert of_folder.attrs["left_out"] == {".xyz": 1, ".unknown": 1, ".h5": 1, "": 1}
    reasons = dict(zip(scanned["path"], scanned["error"], strict=True))
    folder = root / "train" / "ill"
    assert reasons[str(folder / "d.xyz")] == "no installed decoder reads .xyz files"
    assert reasons[str(folder / "f.h5")] == "no installed decoder reads .h5 files"
    assert reasons[str(folder / "README")] == "its format is not known"


def test_a_known_package_is_named_for_files_that_nothing_reads():
    assert advise(".dcm") == advise(".heic") == " (`pip install pupila-images` adds one)"
    assert image_formats.count_by_suffix({".xyz": 2, "": 1_000}) == "1,000 without a suffix, 2 .xyz"


@pytest.mark.usefixtures("decoder")
def test_a_package_adds_its_suffixes_to_those_of_folders(tmp_path: Path):
    frame = manifest.read(tree(tmp_path / "eyes", "a.crude", GREY))
    assert len(frame) == 6
    assert frame.attrs["left_out"] == {}


def test_pipes_and_hidden_files_are_not_images(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    assert not is_image(str(tmp_path / "pipe"))
    assert not is_image(str(written(tmp_path / ".a.png", b"")))
    assert [suffix_of(name) for name in ("a.PNG", "1.2", "a", ".b")] == [".png", "", "", ""]


def test_two_decoders_of_one_file_are_refused_unless_one_is_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    Image.new("L", (4, 4)).save(tmp_path / "a.tif")
    with plugin_installed(tmp_path / "path", "scopes", "scopes", OF_PILLOW):
        assert format_of(tmp_path / "a.tif").name == "pillow"  # recognises it by content
        (tmp_path / "a.tif").write_bytes(b"no magic")
        with pytest.raises(ImageError, match=r"2 image formats read \.tif files: .*PUPILA_IMAGES="):
            decode(tmp_path / "a.tif")
        monkeypatch.setenv("PUPILA_IMAGES", "microscope")
        assert format_of(tmp_path / "a.tif").name == "microscope"


def scanned(root: Path, workspace: Path) -> Dataset:
    frame = manifest.scan(manifest.read(root), workspace, ignore_progress)
    return Dataset.of(frame, ("ill", "well"), workspace)


def test_another_version_of_a_decoder_measures_its_images_again(tmp_path: Path):
    root = tree(tmp_path / "eyes", "a.raw", GREY)
    changed = DECODER.replace("return answer", "return answer // 2")
    datasets = list[Dataset]()
    for version, code in (("1.0", DECODER), ("1.1", changed)):
        site = tmp_path / version
        with plugin_installed(site, "raw-images", f"raw_{version[2]}", code, version):
            datasets.append(scanned(root, tmp_path / "cache"))
            assert (datasets[-1].pixels(SPEC)[:] == (99, 49)[len(datasets) - 1]).all()
    old, new = datasets
    assert old.frame["brightness"].tolist() != new.frame["brightness"].tolist()
    assert old.frame["sha256"].tolist() == new.frame["sha256"].tolist()
    assert old.fingerprint != new.fingerprint
    assert set(new.frame["decoder"]) == {"raw of raw-images, raw-images 1.1"}


def test_a_package_changes_nothing_for_images_that_core_decodes(tmp_path: Path):
    root = tree(tmp_path / "eyes", "a.png", b"")
    for number, file in enumerate(sorted(root.rglob("*.png"))):
        Image.new("RGB", (40, 40), (number * 9,) * 3).save(file)
    before = scanned(root, tmp_path / "cache")
    with plugin_installed(tmp_path / "path", "raw-images", "raw_images", DECODER):
        after = scanned(root, tmp_path / "cache")
    assert "decoder" not in before.frame
    assert before.frame.equals(after.frame)
    assert before.fingerprint == after.fingerprint


def test_an_image_that_is_too_large_is_refused_before_it_is_decoded():
    with pytest.raises(PupilaError, match="it has 64,001 × 1,000 pixels, and more than 64 million"):
        images.check_size(64_001, 1_000)
