"""The commands of `docs/cluster.md`, as they stand there: who listens where, and who is let in."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from shutil import which

import psutil
import pytest
from dask_calls import ignore
from dask_machines import running, wait_until
from filelock import FileLock

from pupila.errors import PupilaError
from pupila_flows.data.synthetic import write_images
from pupila_flows.execution import dask
from pupila_flows.execution.call import ProcessCall
from pupila_flows.execution.step_workers import with_workers
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.recipe.tls import TlsFiles
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
PLAIN, CERTIFICATES, TLS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
COUNTS = {"train": 10, "validation": 6, "test": 6}
RECIPE = """\
name: elsewhere
data: {path: images}
steps:
  small: {use: train, with: {student: conv-32-64-8, size: 32, epochs: 1}}
"""


def _here(text: str, port: int) -> str:
    return text.replace("10.0.0.5", "127.0.0.1").replace("8786", str(port))


@contextmanager
def _cluster(commands: str, folder: Path) -> Generator[list[psutil.Process]]:
    """Run a scheduler and a worker in a folder, and yield their processes and those they start."""
    with ExitStack() as until:
        started: list[subprocess.Popen[bytes]] = []
        for line in commands.strip().splitlines():
            program, *arguments = shlex.split(line)[1:]
            main = f"from distributed.cli.dask_{program} import main; main()"
            log = until.enter_context((folder / f"{program}.log").open("wb"))
            command = [sys.executable, "-c", main, *arguments]
            started.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log))
            until.callback(_end, started[-1])
        wait_until(lambda: "Starting established" in (folder / "worker.log").read_text(), 120)
        yield [process for one in started for process in _family(one.pid)]


def _family(pid: int) -> list[psutil.Process]:
    return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]


def _end(process: subprocess.Popen[bytes]) -> None:
    for member in reversed(_family(process.pid)):
        member.kill()
    process.wait()


def _listened_at(processes: list[psutil.Process]) -> set[str]:
    connections = (connection for one in processes for connection in one.net_connections("tcp"))
    return {
        connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN
    }


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    if not which("openssl"):
        pytest.skip("makes certificates with openssl")
    for folder in (tmp_path, tmp_path / "stranger"):
        folder.mkdir(exist_ok=True)
        subprocess.run(["sh", "-ec", CERTIFICATES], cwd=folder, check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def port() -> int:
    from socket import create_server

    with create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.long
def test_on_one_machine_nothing_listens_to_others(tmp_path: Path, port: int):
    with _cluster(_here(PLAIN, port), tmp_path) as processes:
        assert _listened_at(processes) == {"127.0.0.1"}
        with dask.connect(Workspace.at(tmp_path / "w"), f"tcp://127.0.0.1:{port}") as cluster:
            assert len(cluster.workers()) == 1


@pytest.mark.long
def test_with_certificates_a_recipe_runs_there_and_strangers_are_not_let_in(
    certificates: Path, port: int
):
    write_images(certificates / "images", COUNTS, seed=1, progress=ignore)
    address = f"tls://127.0.0.1:{port}"
    section = re.search(r"```yaml\n(runner:\n.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert section
    (certificates / "recipe.yaml").write_text(RECIPE + _here(section[1], port))
    with _cluster(_here(TLS, port), certificates) as processes:
        assert _listened_at(processes) == {"127.0.0.1"}
        with running(certificates) as run:
            output, errors = run.communicate(timeout=300)
        assert run.returncode == 0, errors
        assert [entry.error for entry in RunResult.model_validate_json(output).entries] == [None]
        (log,) = (certificates / "workspace" / "logs").glob("small-*.log")
        assert "worker tls://127.0.0.1:" in log.read_text()
        names = ("ca.pem", "node1.pem", "node1.key")
        stranger = TlsFiles(*(certificates / "stranger" / name for name in names))
        workspace = Workspace.at(certificates / "w")
        plain = address.replace("tls", "tcp")
        for given, tls in ((address, stranger), (address, None), (plain, None)):
            refused = pytest.raises(PupilaError, match="No Dask scheduler answers")
            with refused, dask.connect(workspace, given, (), tls):
                pass


PARTS = """
from pathlib import Path

from pupila_flows.execution.step_workers import worker_pool
from pupila_flows.execution.worker_check import ClusterConnection
from pupila_flows.workspace import Workspace

def step(*, progress, folder, connection):
    told = ClusterConnection.model_validate(connection)
    with worker_pool(Workspace.at(folder), "parts", "step", told) as workers:
        return workers.call("one", part, {}) | {"tls": [str(file) for file in told.tls]}

def part(*, progress):
    return {"done": True}
"""


@pytest.mark.long
def test_parts_of_a_step_are_sent_on_with_the_certificates_of_the_worker(
    certificates: Path, port: int, monkeypatch: pytest.MonkeyPatch
):
    (certificates / "parts.py").write_text(PARTS)
    monkeypatch.setenv("PYTHONPATH", str(certificates))
    workspace = Workspace.at(certificates / "workspace")
    own = TlsFiles(*(certificates / name for name in ("ca.pem", "node1.pem", "node1.key")))
    wanted = workspace.lock("step")
    call = ProcessCall(
        target="parts:step",
        arguments={"folder": str(workspace.root)},
        log=workspace.log("step", "parts"),
        timeout_seconds=120,
        caller_lock=wanted,
        child_lock=workspace.lock("step-try"),
    )
    address = f"tls://127.0.0.1:{port}"
    with (
        _cluster(_here(TLS, port), certificates),
        FileLock(wanted),
        dask.connect(workspace, address, (), own) as cluster,
    ):
        answer = cluster.call(with_workers(call, cluster), ignore)
    assert answer == {"done": True, "tls": [str(file) for file in own]}


@pytest.mark.parametrize(
    ("address", "tls", "message"),
    [
        ("tcp://host:1", "{ca: a, cert: a, key: a}", "not encrypted, and `tls` names certificates"),
        ("tls://host:1", "{ca: none, cert: a, key: a}", "no TLS file at .*none"),
        ("tls://host:1", "{ca: a, cert: a}", "runner.tls.key is missing"),
        ("tls://host:1", "{ca: a, cert: a, key: '${NO_KEY}'}", "NO_KEY is not set"),
    ],
)
def test_certificates_that_cannot_serve_are_told_before_a_run(
    tmp_path: Path, address: str, tls: str, message: str
):
    (tmp_path / "a").write_text("a certificate")
    (tmp_path / "images" / "test" / "circle").mkdir(parents=True)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"{RECIPE}runner: {{use: dask, address: '{address}', tls: {tls}}}\n")
    with pytest.raises(RecipeError, match=message):
        read_plan(recipe)
