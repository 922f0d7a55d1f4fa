"""Steps on the workers of a real Dask cluster: their answers, their deaths, and who may work."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import pytest
from dask_machines import Machines, machines, running, wait_until
from filelock import FileLock
from PIL import Image

from pupila.errors import PupilaError
from pupila.step import PartFailed
from pupila_flows.data.synthetic import write_images
from pupila_flows.execution import child, dask
from pupila_flows.execution.call import ProcessCall
from pupila_flows.execution.step_workers import worker_pool
from pupila_flows.execution.worker_check import ClusterConnection, required
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace

JOBS = """
import json, os, time
from pathlib import Path
from pupila.errors import PupilaError

def count(*, progress, folder, until):
    at, diary = Path(folder) / "checkpoint", Path(folder) / "diary"
    began = done = int(at.read_text()) if at.exists() else 0
    while done < until:
        done += 1
        at.with_suffix(".new").write_text(str(done))
        at.with_suffix(".new").rename(at)
        with diary.open("a") as lines:
            print(json.dumps([os.getpid(), os.getppid()]), file=lines)
        progress(done, until, "counting")
        time.sleep(0.25)
    return {"began": began, "done": done}

def refuse(*, progress):
    raise PupilaError("classes is 'x'")

def quit(*, progress):
    os._exit(3)

def sleep(*, progress, pause, pid_file):
    with open(pid_file, "a") as lines:
        print(os.getpid(), file=lines)
    time.sleep(pause)
    return {"until": time.time()}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """A folder with functions that this process, the workers and their children can import."""
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "distant_jobs.py").write_text(JOBS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setenv("PYTHONPATH", str(folder))
        yield folder
    sys.modules.pop("distant_jobs", None)


@pytest.fixture(scope="module")
def place(folder: Path) -> Workspace:
    return Workspace.at(folder / "workspace")


@pytest.fixture(scope="module")
def pair(folder: Path) -> Generator[Machines]:
    with machines(folder, "first", "second") as started:
        yield started


@pytest.fixture(scope="module")
def there(pair: Machines, place: Workspace) -> Generator[dask.Cluster]:
    """A connection to two workers."""
    with dask.joined(place, pair.address) as joined:
        wait_until(lambda: "Registered" in (pair.folder / "second.log").read_text())
        yield joined


def _process_call(
    place: Workspace, name: str, seconds: float | None = None, **arguments: Any
) -> ProcessCall:
    """Return a call that has a name of its own."""
    key = f"{name}-{time.monotonic_ns()}"
    wanted, alone = place.lock(key), place.lock(f"{key}-try")
    log = place.log(name, key)
    return ProcessCall(f"distant_jobs:{name}", arguments, log, seconds, wanted, alone)


def _ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def _ask(there: dask.Cluster, process_call: ProcessCall, told: list[int]) -> dict[str, Any]:
    """Have a call run as `session.perform` does, and note how far it got."""
    with FileLock(process_call.wanted):
        return there.call(process_call, lambda done, total, what: told.append(done))


def _in_thread(job: Callable[..., Any], *arguments: Any) -> Future[Any]:
    return ThreadPoolExecutor(1).submit(job, *arguments)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "seconds", "arguments", "error", "message"),
    [
        ("refuse", None, {}, PupilaError, "classes is 'x'"),
        ("quit", None, {}, child.ChildFailed, "ended with code 3"),
        ("sleep", 2, {"pause": 60}, child.ChildFailed, "stopped after 2 s, its time limit"),
    ],
)
def test_what_goes_wrong_on_a_worker_is_told_as_it_is_here(
    there: dask.Cluster,
    place: Workspace,
    name: str,
    seconds: float | None,
    arguments: dict[str, Any],
    error: type[Exception],
    message: str,
):
    given = arguments | ({"pid_file": str(place.root / "limited")} if arguments else {})
    with pytest.raises(error, match=message):
        _ask(there, _process_call(place, name, seconds, **given), [])


@pytest.fixture
def connection(pair: Machines, there: dask.Cluster) -> ClusterConnection:
    """What a step is told that two workers can do the parts of."""
    for number in range(2 - len(pair.workers)):
        pair.add(f"more-{time.monotonic_ns()}-{number}")
    wait_until(lambda: len(there.workers()) == 2)
    return ClusterConnection(address=pair.address, requirements=there.requirements)


@pytest.mark.long
def test_a_part_that_crashed_is_tried_on_another_machine_before_it_counts_as_failed(
    place: Workspace, connection: ClusterConnection
):
    jobs = import_module("distant_jobs")
    with worker_pool(place, "parts", "small", connection) as machines:
        assert machines
        with pytest.raises(PartFailed, match="ended with code 3"):
            machines.call("one", jobs.quit, {})
        with pytest.raises(PupilaError, match="classes is 'x'"):
            machines.call("two", jobs.refuse, {})
    told = place.log("small-one", "parts").read_text()
    assert len(set(re.findall(r"worker (tcp://\S+)", told))) == 2
    assert len(re.findall("worker tcp://", place.log("small-two", "parts").read_text())) == 1


@pytest.mark.long
def test_a_part_ends_when_its_step_has(place: Workspace, connection: ClusterConnection):
    jobs, pids = import_module("distant_jobs"), place.root / "part"
    with worker_pool(place, "ended", "small", connection) as machines:
        assert machines
        asked = _in_thread(machines.call, "one", jobs.sleep, {"pause": 60, "pid_file": str(pids)})
        wait_until(lambda: pids.exists() and pids.read_text() != "")
        (pid,) = map(int, pids.read_text().split())
    wait_until(lambda: not psutil.pid_exists(pid))
    with pytest.raises((PartFailed, PupilaError, dask.ClusterLost)):
        asked.result(30)


def never(*, progress: Any) -> dict[str, Any]:
    """Not be called."""
    raise AssertionError(progress)


def test_a_step_that_no_longer_reaches_its_cluster_may_be_tried_again(place: Workspace):
    with required(place, []) as requirements:
        connection = ClusterConnection(address="tcp://127.0.0.1:9", requirements=requirements)
        with worker_pool(place, "alone", "small", connection) as machines:
            assert machines
            with pytest.raises(dask.ClusterLost, match="No Dask scheduler answers"):
                machines.call("one", never, {})


@pytest.mark.long
def test_a_worker_ends_its_child_when_nobody_waits_for_it(there: dask.Cluster, place: Workspace):
    pids = place.root / "unwanted"
    process_call = _process_call(place, "sleep", pause=60, pid_file=str(pids))
    with FileLock(process_call.wanted) as waiting:
        asked = _in_thread(there.call, process_call, _ignore)
        wait_until(lambda: pids.exists() and pids.read_text() != "")
        (pid,) = map(int, pids.read_text().split())
        assert psutil.pid_exists(pid)
        waiting.release()  # as the system does for a coordinator that is killed
        wait_until(lambda: not psutil.pid_exists(pid))
    with pytest.raises(child.ChildFailed):
        asked.result(30)


@pytest.mark.slow
def test_a_worker_killed_amid_a_step_costs_what_came_after_its_checkpoint(
    pair: Machines, there: dask.Cluster, place: Workspace, tmp_path: Path
):
    told, until = list[int](), 12
    process_call = _process_call(place, "count", folder=str(tmp_path), until=until)
    answer = _in_thread(_ask, there, process_call, told)
    wait_until(lambda: max(told, default=0) >= 3)
    ((orphan, worker),) = _tries(tmp_path)
    (name,) = [name for name, process in pair.workers.items() if process.pid == worker]
    pair.kill(name)
    wait_until(lambda: not psutil.pid_exists(orphan))
    came = answer.result(60)
    assert came["done"] == until and came["began"] >= 3
    first, second = _tries(tmp_path)  # and neither wrote again after the other had begun
    assert first == (orphan, worker) and second[1] != worker
    lines = (tmp_path / "diary").read_text().splitlines()
    assert len(lines) == until
    (left,) = pair.workers.values()
    assert second[1] == left.pid
    logged = process_call.log.read_text()
    assert logged.count(", worker tcp://") == 2


def _tries(folder: Path) -> list[tuple[int, int]]:
    """Return child and worker of each try, in order of the diary, where they take turns."""
    found: list[tuple[int, int]] = []
    for line in (folder / "diary").read_text().splitlines():
        pair = (json.loads(line)[0], json.loads(line)[1])
        if not found or found[-1] != pair:
            found.append(pair)
    return found


@pytest.mark.long
def test_a_cluster_that_has_lost_its_workers_is_not_waited_for(
    folder: Path, place: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(dask, "_LOOK_SECONDS", 0.5)
    monkeypatch.setattr(dask, "_NO_WORKER_SECONDS", 2.0)
    with machines(tmp_path, "only") as alone, dask.joined(place, alone.address) as there:
        told = list[int]()
        process_call = _process_call(place, "count", folder=str(tmp_path), until=1000)
        asked = _in_thread(_ask, there, process_call, told)
        wait_until(lambda: max(told, default=0) >= 2)
        alone.kill("only")
        with pytest.raises(child.ChildFailed, match="has had no worker for 2 s: start one"):
            asked.result(30)
        other = _in_thread(_ask, there, process_call, told)
        alone.scheduler.kill()
        with pytest.raises(child.ChildFailed, match="gave no answer: FutureCancelledError"):
            other.result(30)


def test_a_try_begins_when_the_one_before_it_is_gone(folder: Path, place: Workspace):
    pids = place.root / "in-turn"
    process_call = _process_call(place, "sleep", pause=1.0, pid_file=str(pids))
    first = _in_thread(process_call.run, _ignore, child.Children())
    wait_until(lambda: pids.exists() and pids.read_text() != "")
    began = time.time()
    second = process_call.run(_ignore, child.Children())
    assert first.result()["until"] <= second["until"] - 1.0
    assert began < first.result()["until"]
    assert len(pids.read_text().split()) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "^$"),
        ({"token": "another"}, "does not see the workspace '/.*workspace': mount it there"),
        ({"sign": Path("/nowhere/cluster/x")}, "does not see the workspace '/nowhere'"),
        ({"reads": (Path("/nowhere/images"),)}, "sees nothing at '/nowhere/images': mount it"),
        ({"lock": Path("unlocked")}, r"found a locked file unlocked.*without `nolock`"),
        ({"lock": Path("/nowhere/x.lock")}, "does not share the locks .*No such file"),
        (
            {"versions": {"python": "2.7.1", "pupila-next": "9"}},
            r" pupila-next missing \(here 9\), .*python 3\S* \(here 2.7.1\), .*: install the same",
        ),
    ],
)
def test_a_worker_says_what_keeps_it_from_our_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str
):
    monkeypatch.chdir(tmp_path)
    with required(Workspace.at(tmp_path / "workspace"), [tmp_path]) as requirements:
        fault = replace(requirements, **changes).fault()
    assert re.search(message, fault or "") and (fault is None) == (message == "^$")


@pytest.mark.long
def test_workers_that_cannot_do_our_steps_are_named_before_anything_runs(tmp_path: Path):
    place = Workspace.at(tmp_path / "workspace")
    elsewhen = "import platform; platform.python_version = lambda: '3.9.1'"
    unaware = "import sys; sys.modules['pupila_flows'] = None"
    with machines(tmp_path) as strange:
        strange.add("old", before=elsewhen)
        strange.add("unaware", before=unaware)
        for name in strange.workers:
            wait_until(lambda log=tmp_path / f"{name}.log": "Registered" in log.read_text(), 60)
        with pytest.raises(PupilaError) as caught, dask.joined(place, strange.address):
            pytest.fail("they were requirements")
    first, second = sorted(str(caught.value).splitlines(), key=lambda line: "asked" in line)
    assert re.match(r"Worker tcp://\S+ of 'tcp://.* has python 3.9.1 \(here 3.1\d", first)
    assert re.match(
        r"Worker tcp://\S+ of .* cannot be asked \(.*No module named 'pupila_flows", second
    )
    assert not list((place.root / "cluster").iterdir())


@pytest.mark.long
def test_a_worker_that_comes_later_and_is_not_fit_fails_no_step_while_another_is(
    folder: Path, place: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(dask, "_LOOK_SECONDS", 0.2)
    monkeypatch.setattr(dask, "_NO_WORKER_SECONDS", 0.5)
    with machines(tmp_path, "good") as both, dask.joined(place, both.address) as there:
        both.add("old", before="import platform; platform.python_version = lambda: '3.9.1'")
        wait_until(lambda: "Registered" in (tmp_path / "old.log").read_text())
        good, folders = both.workers["good"].pid, [tmp_path / each for each in "ab"]
        asked = list[Future[Any]]()
        for each in folders:
            each.mkdir()
            process_call = _process_call(place, "count", folder=str(each), until=1)
            asked.append(_in_thread(_ask, there, process_call, list[int]()))
        assert [each.result(60)["done"] for each in asked] == [1, 1]
        assert [worker for each in folders for _, worker in _tries(each)] == [good, good]
        both.kill("good")
        with pytest.raises(PupilaError, match=r"Worker tcp://\S+ of .* has python 3.9.1"):
            _ask(there, _process_call(place, "count", folder=str(tmp_path), until=1), [])


def test_an_address_where_nobody_listens_is_told_in_seconds(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dask, "_CONNECT_SECONDS", 0.5)
    with (
        pytest.raises(PupilaError, match=r"No Dask scheduler answers at 'tcp://127.0.0.1:9' "),
        dask.joined(place, "tcp://127.0.0.1:9"),
    ):
        pytest.fail("it was reached")


RECIPE = """\
name: elsewhere
runner: {{use: {use}, address: "{address}"}}
data: {{path: images}}
steps:
  small: {{use: train, with: {{student: conv-32-64-8, size: 32, epochs: 1}}}}
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder beside `images`, where a recipe may lie."""
    for label in ("circle", "square"):
        file = tmp_path / "images" / "test" / label / "0.png"
        file.parent.mkdir(parents=True)
        Image.new("RGB", (40, 40), (len(label), 0, 0)).save(file)
    return tmp_path


def _recipe(folder: Path, use: str, address: str) -> Path:
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(use=use, address=address))
    return recipe


@pytest.mark.parametrize("address", ["tcp://host:8786", "tls://[::1]:1", "${SOME_SCHEDULER}"])
def test_a_recipe_names_the_scheduler(images: Path, monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("SOME_SCHEDULER", "tcp://other:1")
    plan = read_plan(_recipe(images, "dask", address))
    assert plan.address == address.replace("${SOME_SCHEDULER}", "tcp://other:1")
    assert plan.reads == (images / "images",)


@pytest.mark.parametrize(
    ("use", "address", "message"),
    [
        ("dask", "host:8786", "recipe.yaml:2: address is 'host:8786': give that of a scheduler"),
        ("dask", "${NO_SCHEDULER}", "recipe.yaml:2: environment variable NO_SCHEDULER is not set"),
        ("ray", "tcp://host:8786", "recipe.yaml:2: runner.use .*dask"),
    ],
)
def test_a_runner_that_cannot_be_is_told_with_its_line(
    images: Path, use: str, address: str, message: str
):
    with pytest.raises(RecipeError, match=message):
        read_plan(_recipe(images, use, address))


WHOLE = """\
name: whole
seed: 3
runner: {{use: dask, address: "{address}"}}
data: {{path: images, positive: glaucoma}}
steps:
  first:
    use: train
    with: {{student: conv-32-64-8, size: 48, epochs: 20, augmentation: {{views: 2}}}}
  second:
    use: train
    with: {{student: conv-32-64-8, size: 32, epochs: 2}}
  tflite: {{use: export-tflite, from: second}}
"""


@pytest.fixture
def recipe(pair: Machines, tmp_path: Path) -> Path:
    """A folder with images and a recipe for two workers that are alive."""
    for number in range(2 - len(pair.workers)):
        pair.add(f"{tmp_path.name}-{number}")
    counts = {"train": 40, "validation": 12, "test": 12}
    write_images(tmp_path / "images", counts, 5, _ignore)
    (tmp_path / "recipe.yaml").write_text(WHOLE.format(address=pair.address))
    return tmp_path


@pytest.mark.long
def test_a_run_goes_on_when_a_worker_is_killed_and_only_its_step_is_tried_again(
    pair: Machines, recipe: Path
):
    with running(recipe) as run:
        key = _key_of_first(run, recipe)
        wait_until(lambda: any(recipe.glob(f"workspace/scratch/{key}*/*")), 300)
        pair.kill(_worker_of(pair, key))
        output, errors = run.communicate(timeout=500)
    assert run.returncode == 0, errors
    entries = RunResult.model_validate_json(output).entries
    assert all(entry.evaluation and not entry.error for entry in entries)
    texts = {each.stem[:-13]: each.read_text() for each in recipe.glob("workspace/logs/*-*.log")}
    tries = {title: text.count(", worker tcp://") for title, text in texts.items()}
    made = {title: count for title, count in tries.items() if count}
    assert made == {"first": 2, "second": 1, "tflite": 1}
    assert tries["judge-first"] == 0  # its latencies are this machine's
    with running(recipe) as again:
        output, errors = again.communicate(timeout=500)
    assert all(entry.cached for entry in RunResult.model_validate_json(output).entries), errors


@pytest.mark.long
def test_ctrl_c_here_ends_the_children_there(pair: Machines, recipe: Path):
    with running(recipe) as run:
        key = _key_of_first(run, recipe)
        wait_until(lambda: _worker_of(pair, key) != "", 300)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=100)
    assert run.returncode == 130 and errors.splitlines()[-1].startswith("stopped; "), errors
    wait_until(lambda: _worker_of(pair, "") == "")


def _key_of_first(run: subprocess.Popen[str], folder: Path) -> str:
    """Return the beginning of the key of the step `first`, once it has been begun."""
    wait_until(
        lambda: any(folder.glob("workspace/logs/first-*.log")) or run.poll() is not None, 300
    )
    assert run.poll() is None, run.stderr and run.stderr.read()
    (log,) = folder.glob("workspace/logs/first-*.log")
    return log.stem.removeprefix("first-")


def _worker_of(pair: Machines, key: str) -> str:
    """Return the name of the worker that has a child which does the work of a key, or nothing."""
    for name in pair.workers:
        for command in pair.commands(name):
            if "pupila_flows.execution.child" in command and key in command[-1]:
                return name
    return ""
