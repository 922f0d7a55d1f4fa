"""Reads one input after another as the product would, and tells what came of each.

A program of its own: what ends a process, or never ends, must not take the tests along. Lines of
JSON come in, `{kind, path, scratch}`, and go out: `{outcome, text}`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from pupila import OutputSpec, PupilaError, installed
from pupila.artifact import Origin
from pupila.predictions import open_model
from pupila.store import Store, read_artifact
from pupila_flows.cli.main import app
from pupila_flows.data.reading import read_data
from pupila_flows.execution.child import ChildFailed
from pupila_flows.jobs.adopt_artifact import AdoptArtifact
from pupila_flows.printable import printable
from pupila_flows.workspace import Workspace

CLASSES = ("ill", "well")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_REACHES = ("os.system", "os.exec", "pty.spawn", "socket.connect")


def ignore(done: int, total: int, what: str) -> None:
    """Ignore progress."""


def model(path: Path, scratch: Path) -> None:
    """Import a teacher's file."""
    store, output = Store(scratch / "store"), OutputSpec(kind="softmax", classes=CLASSES)
    loader = installed().loader(path)
    with store.draft() as folder:
        product = loader.load()(path, output, folder)
        origin = Origin(plugin=loader.name, distribution="x", version="0")
        store.add(folder, origin=origin, **vars(product))


def artifact(path: Path, scratch: Path) -> None:
    """Take over an artifact, open it, and ask it something."""
    workspace = Workspace.at(scratch / "workspace")
    job = AdoptArtifact.of(workspace, "teacher", read_artifact(path))
    adopted = workspace.store.open(job.run(ignore).artifact)
    size = adopted.record.input
    if size.height * size.width > 1 << 20:
        return
    with closing(open_model(adopted, 1)) as opened:
        try:
            opened.predict(np.zeros((2, *size.shape), np.uint8), ignore)
        except Exception as error:  # while it computes: the process of the job ends with this line
            raise ChildFailed(f"{type(error).__name__}") from error


def recipe(path: Path, scratch: Path) -> None:
    """Check a recipe."""
    _command("check", str(path), "--workspace", str(scratch / "workspace"))


def data(path: Path, scratch: Path) -> None:
    """Read a folder of images or a manifest."""
    read_data(path, None, scratch / "cache")


def registry(path: Path, scratch: Path) -> None:
    """Ask a registry everything, and roll back."""
    there = ("--registry", str(path), "--workspace", str(scratch / "workspace"))
    refused: list[str] = []
    for command in (
        ("history", "clinic"),
        ("verify", "clinic"),
        ("verify", "clinic", "--version", "1"),
        ("diff", "clinic", "1", "2"),
        ("rollback", "clinic", "--reason", "fuzz"),
    ):
        try:
            _command(*command, *there)
        except PupilaError as error:
            refused.append(str(error))
    if refused:
        raise PupilaError(refused[0])


READERS: dict[str, Callable[[Path, Path], None]] = {
    target.__name__: target for target in (model, artifact, recipe, data, registry)
}


def _command(*arguments: str) -> None:
    try:
        app(list(arguments), standalone_mode=False)
    except SystemExit:
        return


class _Watch:
    """Notes what Python opens for writing outside of a folder, and what reaches out."""

    def __init__(self) -> None:
        self.allowed: tuple[str, ...] = ()
        self.seen: list[str] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.allowed:
            return
        if event == "open" and isinstance(arguments[0], str | bytes):
            path, flags = os.path.abspath(os.fsdecode(arguments[0])), arguments[2]  # noqa: PTH100
            if isinstance(flags, int) and flags & _WRITES and not path.startswith(self.allowed):
                self.seen.append(f"opened {path} for writing")
        elif event in _REACHES:
            self.seen.append(f"{event} {arguments}")


def main(answers: TextIO) -> None:
    """Answer each line."""
    watch = _Watch()
    for line in sys.stdin:
        asked = json.loads(line)
        scratch = Path(asked["scratch"])
        scratch.mkdir()
        watch.allowed = (str(scratch), tempfile.gettempdir(), "/dev/null", *asked["allowed"])
        outcome, text = _outcome(READERS[asked["kind"]], Path(asked["path"]), scratch)
        if watch.seen:
            outcome, text, watch.seen = "reached out", "\n".join(watch.seen), []
        print(json.dumps({"outcome": outcome, "text": text}), file=answers, flush=True)


def _outcome(read: Callable[[Path, Path], None], path: Path, scratch: Path) -> tuple[str, str]:
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            read(path, scratch)
    except PupilaError as error:
        return "refused", printable(str(error))
    except ChildFailed as error:
        return "failed", str(error)
    except BaseException:
        return "traceback", traceback.format_exc()
    return "fine", ""


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "w") as stream:
        os.dup2(2, 1)
        main(stream)
