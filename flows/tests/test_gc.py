"""What `pupila gc` removes, what it leaves, and that it may be killed meanwhile."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from publishable_runs import publishable_run, read_run, release
from typer.testing import CliRunner

from pupila.artifact import Record
from pupila.digest import digest_tree
from pupila.errors import PupilaError
from pupila.store import Store, write_atomically
from pupila_flows.cli.main import app
from pupila_flows.cli.options import parse_duration
from pupila_flows.execution.session import session
from pupila_flows.garbage.collect import collect
from pupila_flows.garbage.prefect_runs import count_older
from pupila_flows.garbage.size import bytes_of
from pupila_flows.registry import open_registry
from pupila_flows.registry.publishing import publish
from pupila_flows.teachers import TeacherRecord, TeacherStore
from pupila_flows.workspace import Workspace

DAY = 24 * 3600.0
LONG_AGO = time.time() - 60 * DAY
WEIGHTS = {name: name.encode() * 40_000 for name in ("published", "old", "last", "teacher", "new")}


@dataclass(frozen=True)
class Made:
    """A workspace of which all but one run is sixty days old."""

    workspace: Workspace
    digests: dict[str, str]
    """Of the artifact with these weights."""
    runs: dict[str, Path]

    @property
    def artifacts(self) -> set[str]:
        """Names of the artifacts that are still there."""
        return {name for name, digest in self.digests.items() if self.has(digest)}

    def has(self, digest: str) -> bool:
        try:
            self.workspace.store.open(digest)
        except PupilaError:
            return False
        return True


@pytest.fixture
def made(tmp_path: Path) -> Made:
    workspace = Workspace.at(tmp_path / ".pupila")
    registry = open_registry(str(workspace.root / "registry"))
    publish(registry, release(tmp_path, WEIGHTS["published"]))
    runs = {name: _run(tmp_path, name, workspace) for name in ("published", "old", "last", "new")}
    digests = {name: read_run(run).entries[-1].artifact or "" for name, run in runs.items()}
    digests["teacher"] = _add_teacher(
        workspace, tmp_path, workspace.store.open(digests["new"]).record
    )
    for name in ("scratch/cut-off/state", "logs/step.log", "locks/a.lock", "cache/pixels/a.npy"):
        write_atomically(workspace.root / name, bytes(9_000))
    write_atomically(workspace.data_docs("b" * 64) / "index.html", b"<!doctype html>")
    write_atomically(workspace.verdicts_on("c" * 64) / "answer", b"")
    for file in sorted(workspace.root.rglob("*"), reverse=True):
        if runs["new"] not in (file, *file.parents):
            os.utime(file, (LONG_AGO, LONG_AGO))
    return Made(workspace, digests, runs)


def _run(folder: Path, name: str, workspace: Workspace) -> Path:
    """Make a run with its jobs: one that stores its model, one that only computed."""
    order = ("published", "old", "last", "new").index(name)
    run = publishable_run(folder, WEIGHTS[name]).rename(
        workspace.runs / "clinic" / f"2026010{order}"
    )
    result = read_run(run)
    digest = result.entries[-1].artifact or ""
    result = result.model_copy(update={"publication": None, "name": "clinic"})
    (run / "result.json").write_text(result.model_dump_json())
    evaluation = result.entries[-1].evaluation
    assert evaluation
    answers = Path(evaluation.probabilities)
    write_atomically(answers, bytes(9_000))
    keys = [f"{name}-{kind}" for kind in ("step", "chance", "evaluate")]
    workspace.store.note(keys[0], {"artifact": digest, "format": "tflite"})
    workspace.store.note(keys[1], {"above": True})
    workspace.store.note(keys[2], {"artifact": digest, "probabilities": str(answers)})
    workspace.jobs_of(run).write_text(json.dumps(keys))
    return run


def _add_teacher(workspace: Workspace, folder: Path, like: Record) -> str:
    """Put a model in the teacher store, and the artifact that was read from it in the store."""
    teacher_store, file = TeacherStore.of(workspace.root), folder / "teacher.keras"
    file.write_bytes(WEIGHTS["teacher"])
    with teacher_store.locked("big"), teacher_store.draft("big", file) as copy:
        record = TeacherRecord(
            source=file.name,
            sha256=digest_tree(copy),
            added="2026-01-01T00:00:00+00:00",
            output="softmax",
            classes=("a", "b"),
        )
        teacher_store.make_current(teacher_store.seal("big", copy, record))
    origin = like.origin.model_copy(update={"source": record.sha256})
    with workspace.store.draft() as draft:
        (draft / "model.tflite").write_bytes(WEIGHTS["teacher"])
        fields = {"format": like.format, "input": like.input, "output": like.output}
        return workspace.store.add(draft, **fields, origin=origin).digest


def _link_report(run: Path, drawn: Path) -> Path:
    """Let a run show the report of an earlier one, as where nothing has changed."""
    (run / "report.html").unlink()
    (run / "report.html").symlink_to(drawn / "report.html")
    return run / "report.html"


def test_what_is_published_a_teacher_last_or_recent_stays_and_the_rest_goes(made: Made):
    before = bytes_of(made.workspace.root)
    done = collect(made.workspace, 30 * DAY, dry_run=False)
    assert made.artifacts == {"published", "teacher", "new"}
    assert {name for name, run in made.runs.items() if run.exists()} == {"new"}
    counts = {freed.kind: freed.count for freed in done.freed}
    assert counts["artifacts"] == 4  # two folders, and the shared files that only they had
    assert set(counts) >= {"remembered results", "runs", "data docs", "checkpoints", "caches"}
    root = made.workspace.root
    assert not list(root.glob("logs/*")) and list(root.glob("test-images/*/*"))
    less = before - bytes_of(made.workspace.root)
    # folders are empty now
    assert 0 <= less - sum(freed.bytes for freed in done.freed) < 20_000


def test_of_each_name_the_last_run_stays_however_old_with_all_that_its_jobs_remember(made: Made):
    (made.workspace.runs / "other").mkdir()
    # `clinic` has no younger run
    made.runs["new"].rename(made.workspace.runs / "other" / "20260103")
    collect(made.workspace, 30 * DAY, dry_run=False)
    assert made.runs["last"].is_dir() and not made.runs["old"].exists()
    assert "last" in made.artifacts and "old" not in made.artifacts
    store = made.workspace.store
    assert all(store.recall(f"last-{kind}") for kind in ("step", "chance", "evaluate"))
    assert not any(store.recall(f"old-{kind}") for kind in ("step", "chance", "evaluate"))
    assert store.recall("published-step") and not store.recall("published-evaluate")
    answers = store.recall("last-evaluate")
    assert answers and Path(answers["probabilities"]).is_file()


def test_a_run_whose_report_a_later_one_shows_stays_with_it(made: Made):
    report = _link_report(made.runs["new"], made.runs["old"])
    collect(made.workspace, 30 * DAY, dry_run=False)
    assert report.read_text().startswith("<!doctype html>")
    assert {"old", "new"} <= made.artifacts


def test_a_dry_run_says_the_same_and_removes_nothing(made: Made):
    made.workspace.lock("workspace").touch()
    files = sorted(made.workspace.root.rglob("*"))
    said = collect(made.workspace, 30 * DAY, dry_run=True)
    assert sorted(made.workspace.root.rglob("*")) == files
    assert said.freed == collect(made.workspace, 30 * DAY, dry_run=False).freed
    assert collect(made.workspace, 30 * DAY, dry_run=False).freed == ()


@pytest.mark.parametrize("who", ["a session", "a job of a cluster"])
def test_nothing_is_collected_while_a_job_is_under_way(made: Made, who: str):
    if who == "a session":
        with session(made.workspace, workers=1), pytest.raises(PupilaError, match="is at work in"):
            collect(made.workspace, 30 * DAY, dry_run=False)
        return
    with made.workspace.lock("a" * 64 + "-try").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(PupilaError, match=r"A job is under way in .*-try\.lock"):
            collect(made.workspace, 30 * DAY, dry_run=False)


def test_a_registry_that_cannot_be_read_is_named_and_what_was_published_there_stays(made: Made):
    file = made.runs["old"] / "result.json"
    written, value = file.stat().st_mtime, json.loads(file.read_text())
    value["publication"] = {"registry": "nosuch://models", "outcome": "published"}
    file.write_text(json.dumps(value))
    os.utime(file, (written, written))
    done = collect(made.workspace, 30 * DAY, dry_run=False)
    assert len(done.unread) == 1 and "nosuch://models" in done.unread[0]
    assert "old" in made.artifacts and made.runs["old"].is_dir()


KILLED = """
import os, sys
from pathlib import Path
from pupila_flows.garbage.collect import collect
from pupila_flows.workspace import Workspace

left = int(sys.argv[2])

def kill(event, arguments):
    global left
    if event in ("os.remove", "os.rename", "os.rmdir"):
        left -= 1
        if left < 0:
            os._exit(9)

workspace = Workspace.at(Path(sys.argv[1]))
sys.addaudithook(kill)
collect(workspace, 30 * 24 * 3600, dry_run=False)
"""


@pytest.mark.parametrize("removals", [0, 5, 11, 17, 23])
def test_a_killed_collection_leaves_what_is_kept_and_the_next_one_finishes(
    made: Made, removals: int
):
    command = [sys.executable, "-c", KILLED, str(made.workspace.root), str(removals)]
    assert subprocess.run(command).returncode == 9
    assert {"published", "teacher", "new"} <= made.artifacts
    store = Store(made.workspace.root / "store")
    assert all(store.open(artifact.name) for artifact in store.artifacts())
    assert made.runs["new"].is_dir()
    collect(made.workspace, 30 * DAY, dry_run=False)
    assert made.artifacts == {"published", "teacher", "new"}
    assert not list(store.root.glob("incoming/*"))


def test_a_folder_that_is_not_a_workspace_keeps_its_logs_and_caches(tmp_path: Path):
    for name in ("logs/mail.log", "cache/pictures.db", "runs/marathon/2025", "scratch/idea"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (LONG_AGO, LONG_AGO))
    before = sorted(tmp_path.rglob("*"))
    ran = CliRunner().invoke(app, ["gc", "--workspace", str(tmp_path)])
    assert "is not a workspace in which anything was made" in str(ran.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_people_and_programs_can_read_what_was_freed(made: Made):
    where = ("--workspace", str(made.workspace.root))
    said = CliRunner().invoke(app, ["gc", "--dry-run", *where])
    assert said.exit_code == 0 and "MB would be freed" in said.output and "runs" in said.output
    summary = json.loads(CliRunner().invoke(app, ["gc", "--json", *where]).output)
    kinds = {freed["kind"] for freed in summary["freed"]}
    assert summary["dry_run"] is False and kinds >= {"artifacts"}


@pytest.mark.parametrize(("text", "seconds"), [("12h", 12 * 3600), ("30d", 30 * DAY), ("0d", 0)])
def test_a_time_is_a_number_and_a_unit(text: str, seconds: float):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5d", "30 d", "3y", "9999999d"])
def test_what_is_not_a_time_is_refused(text: str):
    with pytest.raises(PupilaError, match=r"--keep is .*as in 30d"):
        parse_duration(text)


@pytest.mark.long
def test_old_runs_leave_the_database_of_prefect_too(made: Made):
    home = made.workspace.root / "prefect"
    environment = {**os.environ, "PREFECT_HOME": str(home)}
    subprocess.run([sys.executable, "-c", RUNS], env=environment, check=True, capture_output=True)
    assert count_older(home, time.time() - 30 * DAY) == 1
    said = {freed.kind: freed for freed in collect(made.workspace, 30 * DAY, dry_run=True).freed}
    assert count_older(home, time.time() - 30 * DAY) == 1
    done = {freed.kind: freed for freed in collect(made.workspace, 30 * DAY, dry_run=False).freed}
    assert done == said and done["runs in Prefect's database"].count == 1
    with closing(sqlite3.connect(home / "prefect.db")) as database:
        assert [*database.execute("SELECT name FROM flow_run")] == [("young",)]


RUNS = """
import asyncio
from datetime import timedelta
from prefect.server import models, schemas
from prefect.server.database import provide_database_interface
from prefect.server.schemas.states import State, StateType
from prefect.types._datetime import now

async def write():
    database = provide_database_interface()
    await database.create_db()
    async with database.session_context(begin_transaction=True) as session:
        flow = await models.flows.create_flow(session, schemas.core.Flow(name="compress"))
        for name, days in (("old", 60), ("young", 1)):
            ended = now("UTC") - timedelta(days=days)
            state = State(type=StateType.COMPLETED, timestamp=ended)
            run = schemas.core.FlowRun(
                flow_id=flow.id, name=name, state=state, end_time=ended, start_time=ended
            )
            await models.flow_runs.create_flow_run(session, run)

asyncio.run(write())
"""
