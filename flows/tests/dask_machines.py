"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from command_line import PUPILA, user_environment

_START_SECONDS = 60.0


@dataclass
class Machines:
    """A scheduler at `address`, and its workers by name."""

    folder: Path
    scheduler: subprocess.Popen[bytes]
    address: str
    workers: dict[str, subprocess.Popen[bytes]] = field(
        default_factory=dict[str, subprocess.Popen[bytes]]
    )

    def add(self, name: str, before: str = "") -> None:
        """Start a worker without a nanny, which would start it again; `before` is run first."""
        program = f"{before}\nfrom distributed.cli.dask_worker import main\nmain()"
        arguments = ("--nthreads", "1", "--no-nanny", "--name", name, "--dashboard-address", ":0")
        self.workers[name] = _started(
            [sys.executable, "-c", program, self.address, *arguments], self.folder / f"{name}.log"
        )

    def kill(self, name: str) -> None:
        """Kill a worker at once, and nothing that it started."""
        process = self.workers.pop(name)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def commands(self, name: str) -> list[list[str]]:
        """Return the command line of each child that a worker has."""
        commands: list[list[str]] = []
        for child in psutil.Process(self.workers[name].pid).children():
            with suppress(psutil.NoSuchProcess):  # it has just ended
                commands.append(child.cmdline())
        return commands

    def end(self) -> None:
        """End all of them."""
        for process in (*self.workers.values(), self.scheduler):
            process.kill()
            process.wait()


@contextmanager
def machines(folder: Path, *names: str) -> Generator[Machines]:
    """Start a scheduler and workers of these names for as long as the block lasts."""
    address_file = folder / "scheduler.json"
    program = "from distributed.cli.dask_scheduler import main; main()"
    options = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", ":0")
    scheduler = _started(
        [sys.executable, "-c", program, *options, "--scheduler-file", str(address_file)],
        folder / "scheduler.log",
    )
    cluster = Machines(folder, scheduler, "")
    try:
        wait_until(address_file.exists, _START_SECONDS)
        cluster.address = _address(folder / "scheduler.log")
        for name in names:
            cluster.add(name)
        yield cluster
    finally:
        cluster.end()


def _started(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output)


def _address(log: Path) -> str:
    (line,) = (line for line in log.read_text().splitlines() if "Scheduler at:" in line)
    return line.split()[-1]


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@contextmanager
def running(folder: Path) -> Generator[subprocess.Popen[str]]:
    """Run the recipe in a folder for as long as the block lasts."""
    environment = user_environment()
    run = subprocess.Popen(
        [*PUPILA, "run", "recipe.yaml", "-w", "workspace", "--json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_heed_interrupts,
    )
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def _heed_interrupts() -> None:
    """Undo what a shell does to programs that it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
