"""Large files of several artifacts are stored once, and each artifact stays independent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pupila.artifact import Artifact, Origin
from pupila.spec import InputSpec, OutputSpec
from pupila.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def add(store: Store, files: dict[str, bytes]) -> Artifact:
    with store.draft() as folder:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return store.add(
            folder,
            format="site",
            input=InputSpec(height=8, width=8),
            output=OutputSpec(kind="softmax", classes=("a", "b")),
            origin=Origin(plugin="site", distribution="tiny", version="1"),
        )


def test_a_large_file_of_several_artifacts_is_stored_once(store: Store):
    runtime = os.urandom(200_000)
    nights = [
        add(store, {"wasm/run.wasm": runtime, "site.json": bytes([night])}) for night in range(3)
    ]
    files = [artifact.path / "wasm/run.wasm" for artifact in nights]
    assert len({file.stat().st_ino for file in files}) == 1
    assert len({(artifact.path / "site.json").stat().st_ino for artifact in nights}) == 3
    store.discard(nights[0].path)
    assert [store.open(artifact.digest) for artifact in nights[1:]] == nights[1:]


def test_a_damaged_shared_file_does_not_damage_new_artifacts(store: Store):
    runtime = os.urandom(200_000)
    first = add(store, {"run.wasm": runtime, "site.json": b"1"})
    (first.path / "run.wasm").write_bytes(b"damaged")
    second = add(store, {"run.wasm": runtime, "site.json": b"2"})
    assert (second.path / "run.wasm").read_bytes() == runtime
    again = add(store, {"run.wasm": runtime, "site.json": b"1"})
    assert again.digest == first.digest and store.open(first.digest) == again


def test_without_hard_links_every_artifact_has_its_own_copy(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(source, target)

    monkeypatch.setattr(os, "link", refuse)
    runtime = os.urandom(200_000)
    for night in (b"1", b"2"):
        made = add(store, {"run.wasm": runtime, "site.json": night})
        assert (made.path / "run.wasm").read_bytes() == runtime
