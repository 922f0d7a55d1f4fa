"""Data sets as others publish them: those of Hugging Face, and TFRecord."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from pupila import PupilaError, ReaderChoice, manifest
from pupila.testing import DatasetReaderContract
from pupila_images.tfrecord import parse, records

Images = list[tuple[Image.Image, str, str]]


def encoded(image: Image.Image, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=format)
    return stream.getvalue()


def small(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 40, 3), np.uint8)
    return Image.fromarray(pixels)


class TestImageFolder(DatasetReaderContract):
    plugin = "imagefolder"

    @classmethod
    def write(cls, folder: Path, images: Images) -> Path:
        for number, (image, label, split) in enumerate(images):
            (folder / split).mkdir(parents=True, exist_ok=True)
            image.save(folder / split / f"{number}.png")
            with (folder / split / "metadata.jsonl").open("a") as stream:
                values = {"file_name": f"{number}.png", "label": label, "age": number, "width": 40}
                stream.write(json.dumps(values) + "\n")
        return folder


class TestTFRecord(DatasetReaderContract):
    plugin = "tfrecord"
    config: ClassVar[Mapping[str, Any]] = {"columns": ["patient"]}

    @classmethod
    def write(cls, folder: Path, images: Images) -> Path:
        folder.mkdir(parents=True)
        for split in ("train", "validation", "test"):
            rows = [
                {
                    "image/encoded": [encoded(image)],
                    "image/class/text": [label.encode()],
                    "patient": [number],
                }
                for number, (image, label, name) in enumerate(images)
                if name == split
            ]
            write_records(folder / f"{split}-00000-of-00001.tfrecord", rows)
        return folder


def write_records(path: Path, rows: list[dict[str, list[Any]]]) -> Path:
    """Write a TFRecord file with TensorFlow."""
    import tensorflow as tf

    def feature(values: list[Any]) -> Any:
        if isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if isinstance(values[0], float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=values))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows:
            features = tf.train.Features(feature={name: feature(row[name]) for name in row})
            writer.write(tf.train.Example(features=features).SerializeToString())
    return path


def test_records_of_tensorflow_are_read_to_the_last_bit(tmp_path: Path):
    values = {"texts": [b"a", b"\xff\0"], "numbers": [3, -(2**40), 0], "floats": [0.5, -2.0]}
    path = write_records(tmp_path / "train.tfrecord", [values, {"texts": [b""]}])
    first, second = map(parse, records(path))
    assert (first, second) == (values, {"texts": [b""]})


def test_a_whole_record_is_one_image_with_the_features_that_are_named(tmp_path: Path):
    rows = [
        {"image": [encoded(small(number), "JPEG")], "label": [number], "who": [b"p7"]}
        for number in range(2)
    ]
    path = write_records(tmp_path / "train.tfrecord", rows)
    choice = ReaderChoice(settings={"columns": ["who"]}, cache=tmp_path / "cache")
    frame = manifest.read(path, choice=choice)
    assert sorted(frame["label"].tolist()) == ["0", "1"]
    assert frame["who"].tolist() == ["p7", "p7"]
    assert {Path(file).suffix for file in frame["path"]} == {".jpg"}


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        (
            "train.tfrecord",
            {"picture": [b"x"]},
            "record 1 has no feature 'image/encoded' or",
        ),
        ("train.tfrecord", {"image": [b"raw"], "label": [1]}, "its image is not encoded as JPEG"),
        (
            "eyes.tfrecord",
            {"image": [b"raw"]},
            "has no split: begin its name with train",
        ),
    ],
)
def test_a_record_that_is_not_an_image_is_refused(
    tmp_path: Path, name: str, row: dict[str, list[Any]], message: str
):
    path = write_records(tmp_path / name, [row])
    with pytest.raises(PupilaError, match=message):
        manifest.read(path, choice=ReaderChoice(cache=tmp_path / "cache"))


@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_cut_or_compressed_file_is_refused(tmp_path: Path, kept: float):
    rows = [{"image": [encoded(small())], "label": [1]}]
    path = write_records(tmp_path / "train.tfrecord", rows)
    content = path.read_bytes()
    for wrong in (content[: int(len(content) * kept)], b"\x1f\x8b" * 40):
        path.write_bytes(wrong)
        with pytest.raises(PupilaError, match="is not a whole TFRecord file"):
            manifest.read(path, choice=ReaderChoice(cache=tmp_path / "cache"))


def test_garbage_in_a_record_is_refused():
    for garbage in (b"\x0a\xff", b"\xff", b"\x0b", b"\x0a\x05abc"):
        with pytest.raises((ValueError, IndexError)):
            parse(garbage)


def hugging_face(folder: Path, metadata: str, name: str = "metadata.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(3):
        small(number).save(folder / f"{number}.png")
    (folder / name).write_text(metadata)
    return folder


def test_metadata_without_splits_is_all_training_data(tmp_path: Path):
    folder = hugging_face(tmp_path / "eyes", "file_name,label\n0.png,ill\n1.png,well\n")
    frame = manifest.read(folder)
    assert frame["split"].tolist() == ["train", "train"]
    assert frame["label"].tolist() == ["ill", "well"]
    assert frame.attrs["left_out"] == {".png": 1}


def test_metadata_may_name_the_split_and_the_label(tmp_path: Path):
    metadata = "file_name,split,diagnosis,label\n0.png,valid,ill,x\n1.png,test,well,y\n"
    folder = hugging_face(tmp_path / "eyes", metadata)
    frame = manifest.read(folder, choice=ReaderChoice(settings={"label": "diagnosis"}))
    assert frame["split"].tolist() == ["validation", "test"]
    assert frame["label"].tolist() == ["ill", "well"]


@pytest.mark.parametrize(
    ("name", "metadata", "message"),
    [
        (
            "metadata.csv",
            "file_name,label\n9.png,ill\n",
            "line 2: the file .*9.png' does not",
        ),
        ("metadata.csv", "file_name,label\n,ill\n", "metadata.csv, line 2 has no file_name"),
        ("metadata.csv", "file_name,class\n0.png,ill\n", "line 2 has no column 'label': found"),
        ("metadata.jsonl", '{"file_name": \n', "metadata.jsonl, line 1 is not JSON"),
        ("metadata.jsonl", '["0.png"]\n', "line 1 is not an object: expected {'file_name': …}"),
    ],
)
def test_metadata_that_is_wrong_is_refused_by_line(
    tmp_path: Path, name: str, metadata: str, message: str
):
    with pytest.raises(PupilaError, match=message):
        manifest.read(hugging_face(tmp_path / "eyes", metadata, name))
