"""The workspace: the folder with everything that runs write."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from pupila.digest import short_digest
from pupila.disk import check_room, explain_disk_errors
from pupila.errors import PupilaError
from pupila.paths import check_encoding, folder_problem
from pupila.predictions import Predictions
from pupila.store import Store

DEFAULT = ".pupila"
VARIABLE = "PUPILA_WORKSPACE"
"""Environment variable that names the workspace if nothing else does."""

_NEEDED_BYTES = 100_000_000
"""Free space that a run needs to start: 20 MB for Prefect's database, logs and a report, the rest
for checkpoints and exports of a small model. Teachers and images may need more."""
_NEARLY_FULL = 0.9
_MB = 1_000_000
_TITLE_CHARACTERS = 120
"""Longest title in the name of a log file; file systems allow 255 bytes."""


def check_workspace(workspace: Path) -> Path:
    """Return the path of a workspace if it is a folder, or can become one.

    Raises:
        PupilaError: it cannot.
    """
    check_encoding(str(workspace))
    if reason := folder_problem(workspace):
        raise PupilaError(
            f"The workspace {str(workspace)!r} {reason}: name another folder with --workspace."
        )
    return workspace


@dataclass(frozen=True)
class Workspace:
    """A workspace folder `root`, the paths in it, and its locks.

    While nothing runs, any subfolder of `root` may be deleted, except `store`, `runs`,
    `test-images`, `registry`, `teachers` and `station`.
    """

    root: Path

    @classmethod
    def at(cls, root: Path | str) -> Workspace:
        """Return the workspace in the folder `root`; make the folder if it is missing.

        Raises:
            PupilaError: the folder cannot be made.
        """
        path = Path(root).resolve()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PupilaError(
                f"The workspace {str(path)!r} cannot be made: {error.strerror}. "
                "Name a folder that you may write to with --workspace."
            ) from None
        return cls(path)

    @contextmanager
    def writing(self) -> Generator[None]:
        """Check for free space, and explain disk errors in the `with` block in one sentence.

        Raises:
            PupilaError: the disk is full, is read-only, or limits the size of files.
        """
        check_room(self.root, _NEEDED_BYTES)
        with explain_disk_errors(self.root):
            yield

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Keep `pupila gc` from running during the `with` block.

        If `pupila gc` is running, wait for its end. Other processes may use the workspace
        meanwhile. A process that dies releases its lock.
        """
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def exclusive(self) -> Generator[None]:
        """Keep all other processes from using the workspace during the `with` block.

        Raises:
            PupilaError: another process is using the workspace.
        """
        try:
            with self._locked(fcntl.LOCK_EX | fcntl.LOCK_NB):
                yield
        except BlockingIOError:
            raise PupilaError(
                f"A run or another command is at work in {str(self.root)!r}: try again when it has "
                "ended."
            ) from None

    @contextmanager
    def _locked(self, how: int) -> Generator[None]:
        with self.lock("workspace").open("a+") as file:  # NFS needs read access for a shared lock
            fcntl.flock(file, how)
            yield

    @property
    def nearly_full(self) -> str | None:
        """A warning if the disk is more than 90 % full, otherwise None."""
        usage = shutil.disk_usage(self.root)
        fraction = 1 - usage.free / usage.total if usage.total else 0
        if fraction < _NEARLY_FULL:
            return None
        return (
            f"The disk of {str(self.root)!r} is {fraction:.0%} full, with "
            f"{usage.free / _MB:,.0f} MB left: `pupila du` shows what takes room, and `pupila gc` "
            "frees some."
        )

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    @property
    def predictions(self) -> Predictions:
        return Predictions(self.cache / "predictions")

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    def new_run(self, name: str, started: datetime) -> Path:
        """Make and return the folder of a run, named by its start time in UTC.

        If a run of the same second has that folder, a number is added to the name.
        """
        second = started.strftime("%Y%m%dT%H%M%SZ")
        (self.runs / name).mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = self.runs / name / (second if number == 1 else f"{second}-{number:02}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
        raise AssertionError("there is always a next number")

    def run_folders(self) -> list[Path]:
        """Return the folders of all runs, ordered by the runs' names, then from old to new."""
        return sorted(path for path in self.runs.glob("*/*") if not path.is_symlink())

    @staticmethod
    def jobs_of(run: Path) -> Path:
        """Return the file in a run's folder that lists the keys of its jobs."""
        return run / "jobs.json"

    def verdicts_on(self, test: str) -> Path:
        """Folder with a file for each model that a gate decided about on certain test images.

        `test` is the fingerprint of these test images.
        """
        folder = self.root / "test-images" / test
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def data_docs(self, key: str) -> Path:
        """Folder of the Data Docs that the job with this key writes."""
        return self.root / "data-docs" / key[:16]

    def scratch(self, key: str) -> Path:
        """Folder of the checkpoints of the job with this key, shared by all attempts at the job."""
        folder = self.root / "scratch" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def clear_scratch(self, key: str) -> None:
        """Remove the checkpoints of the job with this key, once it has finished."""
        shutil.rmtree(self.root / "scratch" / key, ignore_errors=True)

    def lock(self, key: str) -> Path:
        """File that a process keeps locked while it works on the job with this key."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{key}.lock"

    def log(self, title: str, key: str) -> Path:
        """Log file for the output of the child process of a job."""
        folder = self.root / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.()#-]+", "-", title, flags=re.ASCII)[:_TITLE_CHARACTERS]
        return folder / f"{name}-{short_digest(key)}.log"

    def configure_prefect(self) -> None:
        """Configure Prefect for this workspace; call this before Prefect is first imported.

        Prefect gets its own database and no telemetry. Prefect's own temporary servers have no
        password, so they are disabled; `station.temporary` takes their place. Environment variables
        that the user has set stay.
        """
        defaults = {
            "PREFECT_HOME": str(self.root / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        }
        for name, value in defaults.items():
            os.environ.setdefault(name, value)
