"""Deployments, and the station that serves them: one command, nothing left behind."""

from __future__ import annotations

import inspect
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from command_line import PUPILA, run_pupila, user_environment

from pupila import PupilaError
from pupila.testing import draw_images, keras_model
from pupila_flows.run import flow
from pupila_flows.run.add_teacher import add_teacher
from pupila_flows.station.address import (
    SECRET,
    Address,
    StationRecord,
    known_api,
    listen_address,
    write_record,
)
from pupila_flows.station.api import Api
from pupila_flows.station.deployments import POOL, deployments_of
from pupila_flows.station.environment import MARK, environment
from pupila_flows.station.monitor import Monitor
from pupila_flows.station.night import Night
from pupila_flows.station.retrained import RETRAINED, emit_retrained
from pupila_flows.station.station import Station, running
from pupila_flows.station.supervisor import Supervised, end_all
from pupila_flows.teachers import StoredTeacher, TeacherRecord
from pupila_flows.workspace import Workspace

ROOT = Path(__file__).parents[2]
BY_NAME = """\
name: {name}
data: {{path: images}}
teachers:
  teacher: {{path: "{teacher}", {classes}, unproven: true}}
steps:
  lite: {{use: export-tflite, from: teacher}}
evaluate: {{latency_repeats: 5}}
"""


def _until(happened: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.at(tmp_path / "workspace")


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[..., Path]:
    """Write a recipe, whose teacher is a file unless it comes from the teacher store."""
    draw_images(tmp_path / "images", images=8)
    (tmp_path / "model.keras").write_bytes(b"PK")

    def write(name: str, teacher: str = "model.keras", more: str = "") -> Path:
        classes = "classes: [square, triangle]"
        file = tmp_path / f"{name}.yaml"
        file.write_text(BY_NAME.format(name=name, teacher=teacher, classes=classes) + more)
        return file

    return write


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "hospital.example"])  # noqa: S104
def test_nothing_listens_without_a_password_which_is_made_once_and_for_its_user_alone(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv(SECRET, raising=False)
    made = listen_address(tmp_path, host, 4200)
    assert made.auth_file and stat.S_IMODE(made.auth_file.stat().st_mode) == 0o600
    assert re.fullmatch(r"pupila:[\w-]{32}", made.auth)
    assert listen_address(tmp_path, host, 4200).auth == made.auth
    assert listen_address(tmp_path / "station", host, 4200).auth != made.auth
    monkeypatch.setenv(SECRET, "other:word")
    assert listen_address(tmp_path, host, 4200).auth == "other:word"
    own = tmp_path / "own"
    own.write_text("pupila:word\n")
    own.chmod(0o600)
    variables = environment(tmp_path, listen_address(tmp_path, host, 4200, own))
    assert variables["PREFECT_API_AUTH_STRING"] == "pupila:word"


def test_a_server_forgets_what_ended_long_ago_unless_the_user_has_set_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    name = "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"
    address = Address("127.0.0.1", 4200, "a:b")
    variables = environment(tmp_path, address, "mark", keep_seconds=30 * 24 * 3600)
    asked = "from prefect.settings import get_current_settings as s; s = s().server\n"
    asked += "print(*sorted(s.services.db_vacuum.enabled_vacuum_types), end=' ')\n"
    asked += "print(s.services.db_vacuum.retention_period.days, s.events.retention_period.days)"
    done = subprocess.run(
        [sys.executable, "-c", asked], env=variables, capture_output=True, text=True
    )
    assert done.stdout.split() == ["events", "flow_runs", "orphans", "30", "30"]
    monkeypatch.setenv(name, "7200")
    assert environment(tmp_path, address, "mark")[name] == "7200"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("word", 0o600, "user:password"),
        ("a:b", 0o644, "chmod 600"),
        (":b", 0o600, "user:password"),
        ("a:b\nc:d", 0o600, "user:password"),
    ],
)
def test_an_auth_file_that_protects_nothing_is_refused(
    tmp_path: Path, text: str, mode: int, said: str
):
    secret = tmp_path / "secret"
    secret.write_text(text)
    secret.chmod(mode)
    with pytest.raises(PupilaError, match=said):
        listen_address(tmp_path, "192.168.0.4", 4200, secret)


def test_a_command_finds_the_station_of_its_workspace_unless_the_user_names_another(
    tmp_path: Path,
):
    secret = tmp_path / "secret"
    secret.write_text("a:b")
    secret.chmod(0o600)
    assert known_api(tmp_path, {}) is None
    api = "http://127.0.0.1:4300/api"
    write_record(tmp_path, StationRecord(api=api, mark="m", auth_file=str(secret)))
    own, named = known_api(tmp_path, {}), known_api(tmp_path, {"PREFECT_API_URL": "http://x/api"})
    assert own and own.url == api
    assert named and named.url == "http://x/api"


def test_a_server_that_does_not_answer_is_named_and_the_teacher_kept(
    workspace: Workspace, tmp_path: Path
):
    keras = tmp_path / "model.keras"
    keras.write_bytes(b"PK")
    record = TeacherRecord(
        source=keras.name, sha256="0" * 64, added="", output="softmax", classes=("a", "b")
    )
    api = Api(f"http://127.0.0.1:{_free_port()}/api")
    with pytest.raises(PupilaError, match="did not get the event of teacher 'big'"):
        emit_retrained(api, StoredTeacher("big", 1, keras, record))


def test_a_recipe_is_run_by_hand_and_every_night(workspace: Workspace, recipe: Callable[..., Path]):
    night = Night("30 1 * * *", "Europe/Berlin")
    specs = deployments_of([recipe("one"), recipe("two")], workspace.root, night)
    assert [(spec.flow, spec.name, spec.night, spec.teachers) for spec in specs] == [
        ("compress", "one-on-demand", None, ()),
        ("compress", "one-nightly", night, ()),
        ("compress", "two-on-demand", None, ()),
        ("compress", "two-nightly", night, ()),
    ]
    assert all(Path(spec.parameters["recipe"]).is_absolute() for spec in specs)


@pytest.mark.parametrize(
    ("names", "night", "said"),
    [
        (["one", "one"], Night(), "Two recipes are named 'one'"),
        (["one"], Night(timezone="Europe/Berln"), "Did you mean 'Europe/Berlin'?"),
        (["one"], Night(timezone=""), "is not a time zone"),
        (["one"], Night("61 2 * * *"), "'61 2 * * *' is not a cron schedule: give minute, hour"),
        (["one"], Night("at two"), "'at two' is not a cron schedule"),
    ],
)
def test_what_cannot_be_deployed_is_told_before_anything_is_started(
    workspace: Workspace, recipe: Callable[..., Path], names: list[str], night: Night, said: str
):
    with pytest.raises(PupilaError, match=re.escape(said)):
        deployments_of([recipe(name) for name in names], workspace.root, night)


def test_prefect_yaml_deploys_flows_that_there_are_with_parameters_that_they_have():
    text = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    deployments = {
        (deployment["entrypoint"].rpartition(".")[2], deployment["name"]): deployment
        for deployment in text["deployments"]
    }
    assert deployments.keys() == {
        ("compress", "on-demand"),
        ("compress", "nightly"),
        ("compress", "retrained"),
        ("sweep", "on-demand"),
    }
    for (name, _), deployment in deployments.items():
        assert deployment["entrypoint"] == f"pupila_flows.run.flow.{name}"
        assert (
            deployment["parameters"].keys()
            == inspect.signature(getattr(flow, name)).parameters.keys()
        )
        assert (ROOT / deployment["parameters"]["recipe"]).is_file()
        assert deployment["work_pool"] == {"name": POOL}
        assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
        assert deployment["description"].endswith(".")
    night = Night()
    (schedule,) = deployments["compress", "nightly"]["schedules"]
    assert schedule == {"cron": night.cron, "timezone": night.timezone, "active": True}
    (trigger,) = deployments["compress", "retrained"]["triggers"]
    assert trigger["expect"] == [RETRAINED]


def test_the_compose_file_listens_on_loopback_and_its_server_is_ours_which_asks_for_a_password():
    services = yaml.safe_load((ROOT / "deployments" / "compose.yaml").read_text())["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["server"]
    (port,) = services["server"]["ports"]
    assert port == "${PUPILA_LISTEN:-127.0.0.1:4200}:4200"
    assert services["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"] == "${PREFECT_AUTH}"
    (_, _, command) = services["server"]["command"]
    assert command.startswith("pupila station server --host 0.0.0.0 --url http://server:4200 ")
    for name in ("server", "worker", "deployments"):
        assert "PREFECT_AUTH:?" in services[name]["environment"]["PREFECT_API_AUTH_STRING"]


def _kept(tmp_path: Path, program: str, mark: str = "") -> Supervised:
    environment = os.environ | ({MARK: mark} if mark else {})
    command = [sys.executable, "-c", program]
    return Supervised("sleeper", command, environment, tmp_path / "sleeper.log")


def test_a_program_that_dies_is_started_again(tmp_path: Path):
    kept = _kept(tmp_path, "import time; time.sleep(600)")
    kept.start()
    try:
        first = kept.pid
        assert first
        assert not kept.ensure_running()
        os.kill(first, signal.SIGKILL)
        _until(lambda: not kept.alive)
        assert kept.ensure_running()
        assert kept.pid != first
    finally:
        kept.end()
    assert not kept.alive


def test_a_program_that_ends_at_once_is_given_up_with_the_end_of_its_log(tmp_path: Path):
    kept = _kept(tmp_path, "print('the port is taken')")
    kept.start()
    with pytest.raises(PupilaError, match="the port is taken"):
        for _ in range(9):
            _until(lambda: not kept.alive)
            kept.ensure_running()


def test_a_process_whose_parent_was_killed_is_ended_by_its_mark(tmp_path: Path):
    pid_file = tmp_path / "pid"
    orphan = "import time; time.sleep(600)"
    program = (
        "import pathlib, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {orphan!r}], start_new_session=True)\n"
        f"pathlib.Path({str(pid_file)!r}).write_text(str(child.pid))\n"
        "time.sleep(600)"
    )
    mark = f"mark of {tmp_path.name}"
    kept = _kept(tmp_path, program, mark)
    kept.start()
    _until(lambda: pid_file.exists() and pid_file.read_text() != "")
    assert kept.pid
    os.kill(kept.pid, signal.SIGKILL)
    _until(lambda: not kept.alive)
    child = psutil.Process(int(pid_file.read_text()))
    assert end_all(mark) == 1
    with suppress(psutil.NoSuchProcess):
        assert child.status() == psutil.STATUS_ZOMBIE
    assert end_all(mark) == 0


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _completed(station: Station, deployment: str) -> Callable[[], bool]:
    """Return whether the latest run of a deployment has completed; it must not fail."""
    wanted = {
        "deployments": {"name": {"any_": [deployment]}},
        "flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_DESC",
    }

    def happened() -> bool:
        station.ensure_running()
        runs: list[dict[str, Any]] = station.api.post("/flow_runs/filter", wanted)
        assert not runs or runs[0]["state"]["type"] not in ("FAILED", "CRASHED"), runs[0]["state"]
        return bool(runs) and runs[0]["state"]["type"] == "COMPLETED"

    return happened


@pytest.mark.long
def test_a_station_runs_a_recipe_by_hand_and_when_its_teacher_is_retrained(
    workspace: Workspace, recipe: Callable[..., Path], tmp_path: Path
):
    for seed in (1, 2):
        keras_model(2, seed=seed).save(tmp_path / f"{seed}.keras")
    add_teacher(workspace, "big", tmp_path / "1.keras", ("square", "triangle"))
    secret = tmp_path / "secret"
    secret.write_text("pupila:word")
    secret.chmod(0o600)
    address = listen_address(workspace.root, "127.0.0.1", _free_port(), secret)
    specs = deployments_of([recipe("small", "teacher:big")], workspace.root, Night())
    with running(workspace, address, specs) as station:
        assert station.api.get(f"/work_pools/{POOL}")["concurrency_limit"] == 1
        with pytest.raises(PupilaError, match="up already"), running(workspace, address, specs):
            pass
        with pytest.raises(OSError, match="401"):
            Api(address.api).get("/work_pools/pupila")
        deployment = station.api.get("/deployments/name/compress/small-on-demand")
        wrong = {"parameters": deployment["parameters"] | {"changes": {"seed": -1}}}
        with pytest.raises(OSError, match=r"409|422"):
            station.api.post(f"/deployments/{deployment['id']}/create_flow_run", wrong)
        watch = Monitor(station.api)
        given = {"parameters": deployment["parameters"] | {"changes": {"seed": 5}}}
        station.api.post(f"/deployments/{deployment['id']}/create_flow_run", given)
        _until(_completed(station, "small-on-demand"), 300)
        assert any("Completed" in line for line in watch.news())
        options = ["--name", "big", "--workspace", str(workspace.root)]
        added = run_pupila(tmp_path, "teacher", "add", "2.keras", *options)
        assert "Prefect was notified" in added.stdout, added.stderr
        _until(_completed(station, "small-retrained"), 300)
        mark = station.worker.environment[MARK]
    assert end_all(mark) == 0
    assert len(workspace.run_folders()) == 2


@pytest.mark.long
def test_the_server_alone_asks_for_its_password_and_keeps_a_station_off_its_database(
    workspace: Workspace, recipe: Callable[..., Path], tmp_path: Path
):
    port = _free_port()

    def pupila(*arguments: str, auth: str = "") -> subprocess.CompletedProcess[str]:
        named = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "PREFECT_API_AUTH_STRING": auth}
        location = ["--workspace", str(workspace.root)]
        environment = named if auth else {}
        return run_pupila(tmp_path, *arguments, *location, code=None, environment=environment)

    command = [*PUPILA, "station", "server", "--port", str(port)]
    command += ["--workspace", str(workspace.root)]
    server = subprocess.Popen(command, env=user_environment(), stderr=subprocess.PIPE, text=True)
    try:
        _until((workspace.root / "station" / "password").exists)
        auth = (workspace.root / "station" / "password").read_text().strip()
        api = Api(f"http://127.0.0.1:{port}/api", auth)
        _until(api.answers, 120)
        deploy = ("station", "deploy", "--recipe", str(recipe("small")))
        assert "asks for another password" in pupila(*deploy, auth="a:b").stderr
        assert "compress/small-nightly" in pupila(*deploy, auth=auth).stdout
        assert api.get("/deployments/name/compress/small-nightly")["work_pool_name"] == POOL
        assert "is up already" in pupila("station", "up", "--port", str(_free_port())).stderr
        server.send_signal(signal.SIGTERM)
        assert "ended; workers and runs wait" in server.communicate(timeout=30)[1]
    finally:
        server.kill()
        server.wait()
