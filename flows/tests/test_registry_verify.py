"""Whatever was altered in a published version is found, wherever it lies."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from publishable_runs import release

from pupila.errors import PupilaError
from pupila_flows.registry import Registry, open_registry
from pupila_flows.registry.manifest import MANIFEST
from pupila_flows.registry.publishing import publish
from pupila_flows.registry.verify import verify_folder, verify_version


@pytest.fixture
def folder(tmp_path: Path) -> Registry:
    return open_registry(str(tmp_path / "registry"))


Alteration = Callable[[Path], object]


def _overwrite(text: bytes) -> Alteration:
    return lambda path: path.write_bytes(text)


def _edit(change: Callable[[dict[str, Any]], None]) -> Alteration:
    def edit(path: Path) -> None:
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return edit


def _lose_all(manifest: dict[str, Any]) -> None:
    manifest["chain"].clear()


def _rename_publisher(manifest: dict[str, Any]) -> None:
    manifest["by"] = "nobody"


def _lose_teacher(manifest: dict[str, Any]) -> None:
    chain = manifest["chain"]
    chain.pop(next(key for key, link in chain.items() if link["kind"] == "teacher"))


def _claim_seed(manifest: dict[str, Any]) -> None:
    link = next(link for link in manifest["chain"].values() if link["entry"] == "pupil")
    link["record"]["origin"]["seed"] = 99


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("artifacts/int8/model.tflite", _overwrite(b"fIrst"), "model.tflite: it was altered"),
        ("artifacts/int8/model.tflite", _overwrite(b"longer"), "it has 6 bytes, and 5 were"),
        ("artifacts/int8/artifact.json", _overwrite(b"{}"), "artifact.json: it has 2 bytes"),
        ("card.md", Path.unlink, "card.md: it is missing"),
        ("artifacts/int8/more.bin", _overwrite(b"more"), "more.bin: it is not in the manifest"),
        (MANIFEST, _edit(_lose_teacher), "'pupil' was made from .*: the chain is broken"),
        (MANIFEST, _edit(_claim_seed), "the record of 'pupil' has another digest"),
        (MANIFEST, _edit(_rename_publisher), "not the one that was made"),
        (MANIFEST, _edit(_lose_all), "'int8', .*, is not described"),
    ],
)
def test_whatever_was_altered_is_told(
    folder: Registry, tmp_path: Path, file: str, change: Alteration, words: str
):
    publish(folder, release(tmp_path))
    path = Path(folder.location("clinic", 1))
    assert verify_folder(path).problems == ()
    change(path / file)
    problems = verify_version(folder, "clinic", 1).problems
    assert [problem for problem in problems if re.search(words, problem)], problems


def test_a_version_that_was_copied_elsewhere_is_checked_there(folder: Registry, tmp_path: Path):
    publish(folder, release(tmp_path))
    copy = shutil.copytree(folder.location("clinic", 1), tmp_path / "stick")
    assert verify_folder(copy).problems == ()
    assert verify_folder(copy / "artifacts" / "int8").problems == ()
    (copy / "artifacts" / "int8" / "more").touch()
    assert verify_folder(copy / "artifacts" / "int8").problems == (
        "more: it is not in artifact.json.",
    )
    with pytest.raises(PupilaError, match="is neither a published version nor an artifact"):
        verify_folder(tmp_path)
