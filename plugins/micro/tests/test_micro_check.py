"""C sources from elsewhere must be exactly those that the exporter writes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pupila import Artifact, PupilaError
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import StepRun

Exported = Callable[..., StepRun]
Alter = Callable[[Path], object]


def replacing(name: str, old: str, new: str) -> Alter:
    def alter(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return alter


def cut(folder: Path) -> None:
    path = folder / "model.tflite"
    path.write_bytes(path.read_bytes()[:-400])


def add_source(folder: Path) -> None:
    (folder / "more.c").write_text("__attribute__((constructor)) void run(void) { abort(); }")


def stored(store: Store, artifact: Artifact, alter: Alter) -> Artifact:
    """Store the artifact again with an alteration."""
    with store.draft() as folder:
        for path in artifact.files:
            shutil.copyfile(path, folder / path.name)
        alter(folder)
        record = artifact.record
        return store.add(
            folder,
            format=record.format,
            input=record.input,
            output=record.output,
            origin=record.origin,
            shipped=record.shipped,
            measured=record.measured,
        )


@pytest.mark.slow
@pytest.mark.parametrize("io_type", ["int8", "float"])
def test_what_is_exported_passes(exported: Exported, io_type: str):
    installed().check(exported(io_type).artifact)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (replacing("model.c", "#include", '#include "/etc/passwd"\n#include'), "C sources that"),
        (replacing("model.c", "{\n", "{\n1+"), "C sources that"),
        (replacing("model.h", " */\n", " */\nint run(void);\n"), "C sources that"),
        (replacing("model.h", " of artifact ", " */ int x; /* of artifact "), "C sources that"),
        (replacing("model.h", "PUPILA_ARENA_BYTES ", "PUPILA_ARENA_BYTES 9"), "C sources that"),
        (add_source, r"holds \['model.c', 'model.h', 'model.tflite', 'more.c'\]: expected"),
        (cut, "cannot be read by LiteRT|C sources that"),
    ],
)
def test_other_sources_are_refused(exported: Exported, store: Store, alter: Alter, complaint: str):
    artifact = stored(store, exported().artifact, alter)
    with pytest.raises(PupilaError, match=complaint):
        installed().check(artifact)
