from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pupila.artifact import RECORD_NAME, Artifact, Origin, Record, Threshold
from pupila.errors import PupilaError
from pupila.measured import Measured
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store, digest_of, write_atomically

FIELDS: dict[str, Any] = {
    "format": "keras",
    "input": InputSpec(height=8, width=8),
    "output": OutputSpec(kind="softmax", classes=("a", "b")),
    "origin": Origin(plugin="tiny", distribution="tiny", version="1", config={"sizes": (1, 2)}),
}


def add(store: Store, files: dict[str, bytes], **changes: Any) -> Artifact:
    with store.draft() as folder:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return store.add(folder, **(FIELDS | changes))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_stored_artifact_is_read_back(store: Store):
    made = add(store, {"model.keras": b"weights", "assets/vocabulary.txt": b"words"})
    read = store.open(made.digest)
    assert read == made
    assert {file.relative_to(read.path).as_posix() for file in read.files} == {
        "model.keras",
        "assets/vocabulary.txt",
    }
    assert read.file(".keras").read_bytes() == b"weights"
    assert read.size_bytes == 12
    assert read.format == "keras"


def test_gzipped_bytes_are_counted_file_by_file(store: Store):
    made = add(store, {"a.bin": bytes(5000), "b.bin": bytes(3000)})
    expected = sum(len(gzip.compress(bytes(size), 6)) for size in (5000, 3000))
    assert made.gzip_bytes() == expected
    assert made.gzip_bytes() < made.size_bytes / 20


def test_a_field_of_a_later_version_leaves_the_digest_as_it_was(store: Store):
    class Later(Record):
        rounds: int | None = None

    record = add(store, {"a.bin": b"1"}).record
    later = Later.model_validate(record.model_dump())
    assert digest_of(later) == digest_of(record)
    assert digest_of(later.model_copy(update={"rounds": 3})) != digest_of(record)


def test_the_size_leaves_out_files_that_only_help_to_build(store: Store):
    made = add(store, {"model.bin": bytes(3000), "model.c": bytes(9000)}, shipped="model.bin")
    assert made.size_bytes == 3000
    assert made.gzip_bytes() == len(gzip.compress(bytes(3000), 6))


def test_the_same_content_has_the_same_digest_in_any_store(store: Store, tmp_path: Path):
    first = add(store, {"model.keras": b"weights"})
    again = add(store, {"model.keras": b"weights"})
    elsewhere = add(Store(tmp_path / "other"), {"model.keras": b"weights"})
    assert first == again
    assert first.digest == elsewhere.digest
    assert len(list((store.root / "objects").glob("*"))) == 1


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ({"model.keras": b"other"}, {}),
        ({"other.keras": b"weights"}, {}),
        ({"model.keras": b"weights"}, {"parameters": 7}),
        ({"model.keras": b"weights"}, {"measured": {"loss": 0.5}}),
        ({"model.keras": b"weights"}, {"input": InputSpec(height=8, width=9)}),
    ],
)
def test_any_difference_changes_the_digest(
    store: Store, files: dict[str, bytes], changes: dict[str, Any]
):
    assert add(store, files, **changes).digest != add(store, {"model.keras": b"weights"}).digest


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e-320, 2**70, "a\u2028é"])
def test_every_measured_value_survives_the_disk(store: Store, value: object):
    made = add(store, {"model.keras": b"w"}, measured={"value": value})
    assert store.open(made.digest).digest == made.digest


def test_an_altered_model_file_is_detected_and_named(store: Store):
    made = add(store, {"model.keras": b"weights"})
    (made.path / "model.keras").write_bytes(b"weightz")
    with pytest.raises(PupilaError, match=r"model\.keras was altered or lost: run again"):
        store.open(made.digest)


def test_a_damaged_record_is_refused_and_replaced(store: Store):
    artifact = add(store, {"m.bin": b"weights"})
    (artifact.path / RECORD_NAME).write_text("{")
    with pytest.raises(PupilaError, match="it is not a record"):
        store.open(artifact.digest)
    assert store.open(add(store, {"m.bin": b"weights"}).digest).record == artifact.record


def test_an_altered_artifact_is_replaced_when_it_is_made_again(store: Store):
    artifact = add(store, {"m.bin": b"weights"})
    (artifact.path / "m.bin").write_bytes(b"changed")
    again = add(store, {"m.bin": b"weights"})
    assert again.digest == artifact.digest
    assert (store.open(again.digest).path / "m.bin").read_bytes() == b"weights"


def test_a_lost_model_file_is_detected(store: Store):
    made = add(store, {"model.keras": b"weights"})
    (made.path / "model.keras").unlink()
    with pytest.raises(PupilaError, match="altered or lost"):
        store.open(made.digest)


def test_an_altered_record_is_detected(store: Store):
    made = add(store, {"model.keras": b"weights"})
    record = made.path / RECORD_NAME
    record.write_text(record.read_text().replace('"a"', '"c"'))
    with pytest.raises(PupilaError, match=r"artifact\.json was altered"):
        store.open(made.digest)


def test_an_unknown_digest_is_refused_by_name(store: Store):
    with pytest.raises(PupilaError, match="No artifact 'ffff' in"):
        store.open("ffff")


def test_an_empty_draft_is_refused(store: Store):
    with pytest.raises(PupilaError, match=r"plugin='tiny'.*wrote no model file"):
        add(store, {})


def test_a_file_with_the_name_of_the_record_is_refused(store: Store):
    with pytest.raises(PupilaError, match=r"'artifact\.json', which is the name"):
        add(store, {"model.keras": b"w", RECORD_NAME: b"{}"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measured": Measured({"loss": object()})}, "'loss' is <object .* JSON was expected"),
        ({"measured": Measured({"runs": [{"seen": {1, 2}}]})}, "'runs' is .*set is not JSON"),
        ({"measured": Measured({"note": "\ud800"})}, "'note' is .*surrogates not allowed"),
        ({"measured": Measured(clock={"seconds": object()})}, "'seconds' is <object"),
        ({"parameters": 1.5}, "'parameters' is 1.5: Input should be a valid integer"),
        ({"input": "8x8"}, "'input' is '8x8': Input should be"),
        ({"shipped": "model.tflite"}, "shipped is 'model.tflite', but the files are"),
    ],
)
def test_a_wrong_step_result_is_refused_with_key_and_plugin(
    store: Store, changes: dict[str, Any], message: str
):
    with pytest.raises(PupilaError, match=f"^tiny of tiny-plugins .*{message}"):
        origin = Origin(plugin="tiny", distribution="tiny-plugins", version="1")
        add(store, {"model.keras": b"weights"}, origin=origin, **changes)
    assert not list(store.root.glob("*/*"))


def test_a_draft_that_fails_leaves_nothing(store: Store):
    with pytest.raises(RuntimeError), store.draft() as folder:
        (folder / "model.keras").write_bytes(b"half")
        raise RuntimeError
    assert list((store.root / "incoming").iterdir()) == []
    assert list((store.root / "objects").glob("*")) == []


def test_many_writers_of_one_artifact_agree(store: Store):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(partial(add, store), [{"model.keras": bytes(99_999)}] * 24))
    assert len({artifact.digest for artifact in made}) == 1
    assert list((store.root / "incoming").iterdir()) == []
    assert store.open(made[0].digest) == made[0]


WRITER = """
import itertools, sys
from pathlib import Path
from pupila.artifact import Origin
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store

store = Store(Path(sys.argv[1]))
for number in itertools.count():
    with store.draft() as folder:
        for part in range(20):
            (folder / f"{part}.bin").write_bytes(bytes([number % 256]) * 50_000)
        print("written", flush=True)
        made = store.add(
            folder,
            format="keras",
            input=InputSpec(height=8, width=8),
            output=OutputSpec(kind="softmax", classes=("a", "b")),
            origin=Origin(plugin="tiny", distribution="tiny", version=sys.argv[2], seed=number),
        )
    print("stored", flush=True)
    store.note("latest", {"digest": made.digest, "padding": "x" * 100_000})
    print("noted", flush=True)
"""


def test_a_killed_writer_leaves_nothing_half_written_in_sight(store: Store):
    """Each dies during another step, after its first artifact was noted."""
    for turn in range(3):
        arguments = [sys.executable, "-c", WRITER, str(store.root), str(turn)]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(3 + turn):
                assert writer.stdout.readline()
            writer.kill()
    stored = [path.name for path in (store.root / "objects").glob("*")]
    assert len(stored) >= 3
    for digest in stored:
        assert len(store.open(digest).files) == 20
    latest = store.recall("latest")
    assert latest is not None
    assert latest["digest"] in stored


def test_only_abandoned_drafts_are_collected(store: Store):
    with store.draft() as live:
        abandoned = live.with_name("abandoned")
        abandoned.mkdir()
        os.utime(abandoned, (0, 0))
        store.collect_garbage()
        assert live.exists()
        assert not abandoned.exists()


def test_the_ledger_keeps_the_last_note(store: Store):
    assert store.recall("key") is None
    store.note("key", {"artifact": "1"})
    store.note("key", {"artifact": "2", "list": [1, 2]})
    assert Store(store.root).recall("key") == {"artifact": "2", "list": [1, 2]}


def test_a_write_that_fails_keeps_the_old_content(tmp_path: Path):
    path = tmp_path / "folder" / "file.json"
    write_atomically(path, b"old")
    not_bytes: Any = "new"
    with pytest.raises(TypeError):
        write_atomically(path, not_bytes)
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_what_the_umask_lets_them(store: Store):
    before = os.umask(0o022)
    try:
        made = add(store, {"model.keras": b"w"})
        store.note("key", {})
    finally:
        os.umask(before)
    note = store.root / "ledger" / "key.json"
    modes = [path.stat().st_mode & 0o777 for path in (made.path, note)]
    assert modes == [0o755, 0o644]


def test_a_record_refuses_what_it_does_not_know(store: Store):
    text = (add(store, {"model.keras": b"w"}).path / RECORD_NAME).read_text()
    with pytest.raises(ValidationError, match="colour"):
        Record.model_validate({**json.loads(text), "colour": "red"})


def test_an_artifact_of_another_store_is_adopted_unchanged(store: Store, tmp_path: Path):
    threshold = Threshold(positive="a", value=0.9, chosen_on="validation")
    files = {"model.keras": b"weights", "assets/words.txt": b"words"}
    made = add(store, files, threshold=threshold)
    other = Store(tmp_path / "other")
    adopted = other.adopt(made.path)
    assert (adopted.digest, adopted.record) == (made.digest, made.record)
    assert adopted.record.threshold_of("a") == 0.9
    assert adopted.record.threshold_of("b") == pytest.approx(0.1)
    assert adopted.path.is_relative_to(other.root)
    assert {file.read_bytes() for file in adopted.files} == set(files.values())
    assert other.adopt(made.path) == adopted
    assert not list((other.root / "incoming").iterdir())


def test_a_published_artifact_is_adopted_from_a_folder_of_any_name(store: Store, tmp_path: Path):
    made = add(store, {"model.keras": b"weights"})
    published = Path(shutil.copytree(made.path, tmp_path / "gate"))
    (published / "README.md").write_text("beside the model")
    adopted = Store(tmp_path / "other").adopt(published)
    assert adopted.digest == made.digest
    assert not (adopted.path / "README.md").exists()


def _lose(folder: Path) -> None:
    (folder / "model.keras").unlink()


def _alter(folder: Path) -> None:
    (folder / "model.keras").write_bytes(b"weightz")


def _forget(folder: Path) -> None:
    (folder / RECORD_NAME).unlink()


def _pipe(folder: Path) -> None:
    _forget(folder)
    os.mkfifo(folder / RECORD_NAME)


def _replace(old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / RECORD_NAME).read_text()
        assert old in text
        (folder / RECORD_NAME).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_lose, r"model\.keras was altered or lost: copy the artifact again"),
        (_alter, r"model\.keras was altered or lost"),
        (_replace('"value": 0.9', '"value": 0.1'), r"artifact\.json was altered, .*not its name"),
        (_replace('"value": 0.9', '"value": 9'), r"artifact\.json was altered: it is not a record"),
        (_replace('"model.keras"', '"../model.keras"'), r"artifact\.json was altered"),
        (_forget, "it is not a record"),
        (_pipe, "it is not a record"),
    ],
    ids=["lost", "altered", "other threshold", "no record", "name", "none", "pipe"],
)
def test_a_damaged_artifact_is_not_adopted(
    store: Store, tmp_path: Path, spoil: Callable[[Path], None], said: str
):
    threshold = Threshold(positive="a", value=0.9, chosen_on="validation")
    made = add(store, {"model.keras": b"weights"}, threshold=threshold)
    spoil(made.path)
    other = Store(tmp_path / "other")
    with pytest.raises(PupilaError, match=said):
        other.adopt(made.path)
    assert not list((other.root / "objects").glob("*"))


def test_no_file_outside_of_the_folder_is_adopted(store: Store, tmp_path: Path):
    made = add(store, {"model.keras": b"weights"})
    published = Path(shutil.copytree(made.path, tmp_path / "gate"))
    (published / "model.keras").rename(tmp_path / "model.keras")
    _replace('"model.keras"', '"../model.keras"')(published)
    with pytest.raises(PupilaError, match=r"\.\./model\.keras was altered or lost"):
        Store(tmp_path / "other").adopt(published)


@pytest.mark.parametrize("name", ["../../x", "other.keras", ""])
def test_the_shipped_file_is_one_of_the_files(store: Store, name: str):
    with pytest.raises(PupilaError, match=r"but the files are \['model\.keras'\]"):
        add(store, {"model.keras": b"weights"}, shipped=name)
    assert add(store, {"model.keras": b"weights"}, shipped="model.keras").size_bytes == 7
