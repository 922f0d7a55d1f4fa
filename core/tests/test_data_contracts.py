"""The contracts of decoders and of readers fail for what a package does wrongly."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from pupila.testing import write_distribution

PLUGINS = """
import csv
import itertools
from pathlib import Path

import numpy as np
from pydantic import Field
from pupila import Config, DatasetReader, ImageFormat, ListedImage, hookimpl

MAGIC, COUNTER = b"PIXELS", itertools.count()


class Unclear(Config):
    needed: str


class Clear(Config):
    delimiter: str = Field(default=",", description="What is between columns.")


@hookimpl
def pupila_images():
    for name in ("good", "crashing", "random", "sideways"):
        yield ImageFormat(
            name=name,
            summary=f"Pixels, {name}",
            suffixes=frozenset({f".{name}"}),
            recognises=lambda head, name=name: head.startswith(MAGIC + name.encode()),
            implementation=f"{__name__}:read_{name}",
        )
    yield ImageFormat(
        name="greedy",
        summary="Takes everything",
        suffixes=frozenset({".greedy"}),
        recognises=lambda head: head.startswith((MAGIC + b"greedy", b"GIF8")),
        implementation=f"{__name__}:read_good",
    )


def read_good(path):
    content = path.read_bytes()
    _, _, pixels = content.partition(b"|")
    if len(pixels) != 48 * 64 * 3:
        raise ValueError("it ends early")
    return np.frombuffer(pixels, np.uint8).reshape(48, 64, 3)


def read_crashing(path):
    return {48 * 64 * 3: read_good}[len(path.read_bytes().partition(b"|")[2])](path)


def read_random(path):
    return read_good(path) ^ np.uint8(next(COUNTER) % 2)


def read_sideways(path):
    return read_good(path)[:, ::-1]


@hookimpl
def pupila_datasets():
    yield reader("lines", "lines")
    yield reader("folders", "lines", recognises=takes_folders)
    yield reader("vandal", "vandal")
    yield reader("forgetful", "forgetful")
    yield reader("unclear", "lines", config=Unclear)


def takes_folders(path):
    return path.is_dir() or path.suffix == ".folders"


def reader(name, function, **changes):
    return DatasetReader(
        name=name,
        summary=f"A file of lines, {name}",
        implementation=f"{__name__}:read_{function}",
        **{"recognises": lambda path: path.suffix == f".{name}", "config": Clear, **changes},
    )


def read_lines(source):
    with source.path.open() as stream:
        for number, row in enumerate(csv.DictReader(stream), start=1):
            yield ListedImage(f"line {number}", row)


def read_vandal(source):
    source.path.write_text(source.path.read_text() + " ")
    yield from (image for image in read_lines(source) if image.values["label"])


def read_forgetful(source):
    yield from itertools.islice(read_lines(source), 4, None)
"""
TESTS = """
import csv

import numpy as np
import pytest

from pupila.testing import DatasetReaderContract, ImageFormatContract


class Format(ImageFormatContract):
    __test__ = False

    @classmethod
    def write(cls, image, folder):
        path = folder / f"a.{cls.plugin}"
        path.write_bytes(b"PIXELS" + cls.plugin.encode() + b"|" + np.asarray(image).tobytes())
        return path


class Reader(DatasetReaderContract):
    __test__ = False

    @classmethod
    def write(cls, folder, images):
        folder.mkdir()
        path = folder / f"eyes.{cls.plugin}"
        with path.open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(("path", "label", "split"))
            for number, (image, label, split) in enumerate(images):
                image.save(folder / f"{number}.png")
                rows.writerow((f"{number}.png", label, split))
        return path
"""
FORMATS = {
    "good": set[str](),
    "crashing": {"test_a_damaged_file_is_refused_with_a_reason_of_one_line"},
    "random": {"test_the_same_file_gives_the_same_pixels"},
    "sideways": {"test_what_was_written_is_decoded_upright"},
    "greedy": {"test_it_does_not_recognise_other_formats"},
}
READERS = {
    "lines": set[str](),
    "folders": {"test_it_recognises_its_data_and_nothing_that_core_reads"},
    "vandal": {"test_it_writes_nothing_into_the_data"},
    "forgetful": {
        "test_every_image_is_listed_with_its_label_and_split",
        "test_images_are_listed_for_evaluation_alone",
    },
    "unclear": {"test_a_plugin_of_its_kind[every_setting_is_described]"},
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return the tests that fail, by the name of the plugin that they test."""
    folder = tmp_path_factory.mktemp("contracts")
    write_distribution(folder / "path", "pixels-dist", "pixel_plugins", PLUGINS)
    classes = [
        f"class Test_{name}({base}):\n    __test__, plugin = True, {name!r}\n"
        for base, names in (("Format", FORMATS), ("Reader", READERS))
        for name in names
    ]
    (folder / "test_them.py").write_text("\n\n".join([TESTS, *classes]))
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rfE", "--tb=line", "test_them.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "path")},
        capture_output=True,
        text=True,
    )
    failed: dict[str, set[str]] = {name: set() for name in (*FORMATS, *READERS)}
    outcome = re.compile(r"^(?:FAILED|ERROR) .*::Test_(\w+)::(\w+(?:\[\w+\])?)", re.MULTILINE)
    for name, test in outcome.findall(ended.stdout):
        failed[name].add(test)
    assert " passed" in ended.stdout, ended.stdout + ended.stderr
    return failed


@pytest.mark.parametrize("name", FORMATS)
def test_a_decoder_fails_for_its_fault_alone(failures: dict[str, set[str]], name: str):
    assert failures[name] == FORMATS[name]


@pytest.mark.parametrize("name", READERS)
def test_a_reader_fails_for_its_fault(failures: dict[str, set[str]], name: str):
    assert failures[name] >= READERS[name]
    if name in ("lines", "folders", "forgetful"):
        assert failures[name] == READERS[name]
