"""Removes old runs from the Prefect database that `pupila run` uses when no station is running.

A Prefect server that stays up for long removes old runs itself. The temporary server of
`pupila run` stops too early to do so.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from pupila.errors import PupilaError

DATABASE = "prefect.db"
_SHORTEST_SECONDS = 3601.0
"""Shortest time for which Prefect can be set to keep runs."""
_SECONDS = 1800.0


def settings(keep_seconds: float) -> dict[str, str]:
    """Return settings that make a Prefect server remove runs older than `keep_seconds`."""
    seconds = max(keep_seconds, _SHORTEST_SECONDS)
    return {
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": f"{seconds:.0f}",
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"PT{seconds:.0f}S",
    }


def count_older(home: Path, cutoff: float) -> int:
    """Return how many runs in the Prefect database of `home` ended before `cutoff`, a Unix time."""
    file = home / DATABASE
    if not file.is_file():
        return 0
    moment = datetime.fromtimestamp(cutoff, UTC).strftime("%Y-%m-%d %H:%M:%S")
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
            query = "SELECT COUNT(*) FROM flow_run WHERE end_time < ?"
            return database.execute(query, (moment,)).fetchone()[0]
    except sqlite3.Error:  # not a database of this Prefect
        return 0


def forget_older(home: Path, keep_seconds: float, *, dry_run: bool) -> int:
    """Remove runs older than `keep_seconds` from Prefect's database; return the freed bytes.

    The logs, artifacts and events of these runs are removed too. `home` is the folder of the
    database. A dry run works on a copy of the database.

    Raises:
        PupilaError: Prefect failed.
    """
    if not dry_run:
        return _forget(home, keep_seconds)
    with TemporaryDirectory(dir=home, prefix=".copy-") as copy:
        for file in home.glob(f"{DATABASE}*"):
            shutil.copyfile(file, Path(copy) / file.name)
        return _forget(Path(copy), keep_seconds)


def _forget(home: Path, keep_seconds: float) -> int:
    def size() -> int:
        return sum(512 * file.stat().st_blocks for file in home.glob(f"{DATABASE}*"))

    before = size()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    fixed = {"PREFECT_HOME": str(home), "PREFECT_LOGGING_LEVEL": "CRITICAL", "DO_NOT_TRACK": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        env=kept | fixed | settings(keep_seconds),
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        raise PupilaError(
            f"Prefect could not remove old runs from {str(home / DATABASE)!r} "
            f"({''.join(last)}): with nothing running, delete that folder."
        )
    return before - size()


async def _vacuum() -> None:
    from prefect.server.database import provide_database_interface
    from prefect.server.services import db_vacuum

    database = provide_database_interface()
    for vacuum in (
        db_vacuum.vacuum_old_flow_runs,
        db_vacuum.vacuum_orphaned_logs,
        db_vacuum.vacuum_orphaned_artifacts,
        db_vacuum.vacuum_stale_artifact_collections,
        db_vacuum.vacuum_old_events,
    ):
        await vacuum(db=database)


def main() -> None:
    """Remove old runs from the database in Prefect's home, and compact the database."""
    asyncio.run(_vacuum())
    with closing(sqlite3.connect(Path(os.environ["PREFECT_HOME"]) / DATABASE)) as database:
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    main()
