"""What becomes of a night that is cut off: by power, by its server, by a full disk."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from clinic import CLASSES, Clinic, opened, prepare, pupila

from pupila.store import Store
from pupila_flows.registry.verify import verify_version
from pupila_flows.registry.versions import open_registry
from pupila_flows.station.environment import MARK

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clinic")
    prepare(folder)
    return folder


@pytest.mark.parametrize(
    ("task", "seed"), [("left-pupil", 1), ("left-int8", 2), ("gate", 3), ("publish", 4)]
)
def test_after_a_power_cut_the_next_station_brings_the_run_to_its_end(
    folder: Path, task: str, seed: int
):
    with opened(folder) as clinic:
        run = clinic.start("clinic-on-demand", seed=seed)
        _wait_until_running(clinic, run, task)
        _cut_the_power(clinic)
        assert_all_is_whole(folder)
    with opened(folder) as clinic:
        state = clinic.end_of(run)
        assert state["type"] == "COMPLETED", state["message"]
        assert clinic.tasks(run)[task] in ("Completed", "Cached")
    assert_all_is_whole(folder)
    assert clinic.latest().seed == seed
    current = open_registry(str(folder / "registry")).current("clinic")
    assert current and current.artifacts["left-int8"] == _artifact(clinic, "left-int8")


def test_a_run_goes_on_while_its_server_is_started_again(folder: Path):
    with opened(folder) as clinic:
        run = clinic.start("clinic-on-demand", seed=5)
        _wait_until_running(clinic, run, "left-pupil")
        os.kill(clinic.station.server.pid or 0, 9)
        state = clinic.end_of(run)
        assert state["type"] == "COMPLETED", state["message"]
    assert clinic.latest().seed == 5
    assert_all_is_whole(folder)


def test_a_run_that_is_killed_with_its_worker_is_ended_and_its_place_is_free(folder: Path):
    with opened(folder) as clinic:
        run = clinic.start("clinic-on-demand", seed=6)
        _wait_until_running(clinic, run, "left-pupil")
        _kill_all(clinic, "PREFECT__FLOW_RUN_ID", clinic.station.worker.pid or 0)
        lost: list[str] = []
        deadline = time.monotonic() + 120
        while not lost and time.monotonic() < deadline:
            clinic.station.ensure_running()
            lost = clinic.station.interrupted.end()
            time.sleep(1)
        state = clinic.station.api.get(f"/flow_runs/{run}")["state"]
        assert lost and state["type"] == "CRASHED"
        assert "ended without giving a reason" in state["message"]
        state = clinic.end_of(clinic.start("clinic-on-demand", seed=6))
        assert state["type"] == "COMPLETED", state["message"]
        assert clinic.station.interrupted.end() == []
    assert_all_is_whole(folder)


def test_a_full_disk_fails_the_run_and_with_room_again_it_completes(tmp_path: Path):
    prepare(tmp_path)
    with _small_disk(tmp_path / ".pupila") as disk:
        for name, file in (("left", "first"), ("right", "right")):
            pupila(tmp_path, "teacher", "add", f"{file}.keras", "--name", name, *CLASSES)
        filler = disk / "filler"
        with ThreadPoolExecutor() as pool:
            run = pool.submit(pupila, tmp_path, "run", "recipe.yaml", code=None)
            while not (run.done() or [*disk.glob("logs/check-data-*.log")]):
                time.sleep(0.05)
            _fill(filler, disk)
        cut_off, refused = run.result(), pupila(tmp_path, "run", "recipe.yaml", code=2)
        assert cut_off.returncode in (1, 2)
        for done in (cut_off, refused):
            assert "free 100 MB or more" in done.stderr and "Traceback" not in done.stderr
        assert_all_is_whole(tmp_path)
        filler.unlink()
        pupila(tmp_path, "run", "recipe.yaml")
        assert_all_is_whole(tmp_path)
    assert open_registry(str(tmp_path / "registry")).current("clinic")


def assert_all_is_whole(folder: Path) -> None:
    """Read everything that a reader may find: each artifact, each version, what is current."""
    store = Store(folder / ".pupila" / "store")
    for artifact in (store.root / "objects").iterdir():
        store.open(artifact.name)
    registry = open_registry(str(folder / "registry"))
    for number in registry.numbers("clinic"):
        assert verify_version(registry, "clinic", number).problems == ()
    registry.current("clinic")


def _artifact(clinic: Clinic, name: str) -> str | None:
    (digest,) = (entry.artifact for entry in clinic.latest().entries if entry.name == name)
    return digest


def _wait_until_running(clinic: Clinic, run: str, task: str) -> None:
    for _ in range(3000):
        if clinic.tasks(run).get(task) == "Running":
            time.sleep(0.5)
            return
        time.sleep(0.1)
    raise TimeoutError(f"{task} was never seen running: {clinic.tasks(run)}")


def _cut_the_power(clinic: Clinic) -> None:
    """Kill server, worker, run and all that they have started, at once."""
    _kill_all(clinic, MARK)


def _kill_all(clinic: Clinic, variable: str, worker: int | None = None) -> None:
    """Kill all processes of the station that have a variable, and first its worker, if given."""
    if worker:
        os.kill(worker, 9)
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if variable in environment and str(clinic.folder) in environment["PREFECT_HOME"]:
                process.kill()
        except (psutil.Error, KeyError):
            continue


@contextmanager
def _small_disk(folder: Path) -> Generator[Path]:
    """Mount a disk of 160 MB, where that is allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(file: Path, disk: Path) -> None:
    """Leave 200 kB of a disk."""
    room = os.statvfs(disk)
    file.write_bytes(bytes(room.f_bavail * room.f_frsize - 200_000))
