"""A graph model from elsewhere may only read its own files, and no more than they hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pupila import Artifact, InputSpec, OutputSpec, PupilaError
from pupila.artifact import Origin
from pupila.plugin_registry import installed
from pupila.predictions import open_model
from pupila.store import Store

Alter = Callable[[Path, dict[str, Any]], Any]


def stored(store: Store, source: Path, alter: Alter) -> Artifact:
    """Store a graph model with an alteration."""
    with store.draft() as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        path = folder / "model.json"
        model = json.loads(path.read_text())
        path.write_text(json.dumps(alter(folder, model) or model))
        return store.add(
            folder,
            format="tfjs",
            input=InputSpec(height=4, width=4),
            output=OutputSpec(kind="logits", classes=("a", "b", "c")),
            origin=Origin(plugin="x", distribution="x", version="0"),
        )


def as_it_is(folder: Path, model: dict[str, Any]) -> None:
    del folder, model


def reads(*names: str) -> Alter:
    def alter(folder: Path, model: dict[str, Any]) -> None:
        del folder
        model["weightsManifest"][0]["paths"] = list(names)

    return alter


def a_weight(**fields: Any) -> Alter:
    def alter(folder: Path, model: dict[str, Any]) -> None:
        del folder
        model["weightsManifest"][0]["weights"][0] |= fields

    return alter


def a_script(folder: Path, model: dict[str, Any]) -> None:
    del model
    (folder / "shard.js").write_text("alert(1)")


def instead(value: Any) -> Alter:
    return lambda folder, model: value


def test_an_exported_model_passes(mean_colour_model: Path, store: Store):
    installed().check(stored(store, mean_colour_model, as_it_is))


@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (reads("../shard.bin"), r"reads '../shard.bin', which is not a file of the artifact"),
        (reads("/dev/zero"), "reads '/dev/zero'"),
        (reads("https://elsewhere.test/shard.bin"), "reads 'https://elsewhere.test"),
        (reads("shard.bin", "model.json"), "states weights of 8 bytes"),
        (reads(), "also holds 'shard.bin', which it does not name"),
        (a_script, "also holds 'shard.js', which it does not name"),
        (a_weight(shape=[1 << 40]), "states weights of 4,398,046,511,104 bytes, and 8 are there"),
        (a_weight(shape=[-2]), r"it is damaged \(ValidationError\)"),
        (a_weight(dtype="string"), r"it is damaged \(KeyError\)"),
        (a_weight(quantization={"dtype": "uint8"}), "states weights of 2 bytes, and 8 are there"),
        (instead([1]), r"it is damaged \(ValidationError\)"),
        (instead({"modelTopology": {}}), r"it is damaged \(ValidationError\)"),
    ],
)
def test_a_model_that_reads_or_takes_more_is_refused(
    alter: Alter, complaint: str, mean_colour_model: Path, store: Store
):
    artifact = stored(store, mean_colour_model, alter)
    with pytest.raises(PupilaError, match=complaint):
        open_model(artifact)


def test_deep_nesting_is_refused(mean_colour_model: Path, store: Store):
    artifact = stored(store, mean_colour_model, as_it_is)
    (artifact.path / "model.json").write_bytes(b"[" * 100_000)
    with pytest.raises(PupilaError, match=r"it is damaged \(RecursionError\)"):
        installed().check(artifact)
