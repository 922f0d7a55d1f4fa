"""`pupila station`: runs server, deployments and worker, with one command or separately."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pupila_flows.cli.console import say
from pupila_flows.cli.options import HERE, WorkspaceFolder, parse_duration
from pupila_flows.station.night import Night
from pupila_flows.stopping import say_when_stopped

if TYPE_CHECKING:
    from pupila_flows.station.address import Address
    from pupila_flows.station.deployments import Deployment
    from pupila_flows.station.station import Station
    from pupila_flows.workspace import Workspace

app = typer.Typer(
    no_args_is_help=True,
    help="Run recipes by schedule, by hand from the Prefect UI, and when a teacher is retrained.",
)

Recipes = Annotated[
    list[Path] | None,
    typer.Option("--recipe", "-r", help="Recipe to be deployed; can be repeated."),
]
Cron = Annotated[str, typer.Option(help="When the nightly runs begin, as cron writes it.")]
Timezone = Annotated[str, typer.Option(help="Time zone of --cron.")]
Notify = Annotated[
    str | None,
    typer.Option(
        help="Prefect block for notifications of a failed or late night and of a changed verdict, "
        "as `slack-webhook/my-channel`; by default only the log has them.",
        show_default=False,
    ),
]

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of server and UI.")]
Host = Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")]
AuthFile = Annotated[
    Path | None,
    typer.Option(
        help="File with one line `user:password` for server and UI; by default "
        "`station/password` in the workspace, which is made.",
        show_default=False,
    ),
]
Urls = Annotated[
    list[str] | None,
    typer.Option(
        "--url",
        help="Address at which a proxy, or another name, leads here, as "
        "`https://pupila.example`; can be repeated.",
    ),
]
PORT = 4200
LOOPBACK = "127.0.0.1"


@app.command()
def up(
    recipe: Recipes = None,
    port: Port = PORT,
    host: Host = LOOPBACK,
    auth_file: AuthFile = None,
    url: Urls = None,
    browser: Annotated[
        bool, typer.Option(help="Open the UI in a browser, if this is a terminal.")
    ] = True,
    cron: Cron = Night.cron,
    timezone: Timezone = Night.timezone,
    notify: Notify = None,
    keep: Annotated[
        str,
        typer.Option(
            help="For how long Prefect remembers runs that ended, with their logs, artifacts and "
            "events, as in 30d or 8w.",
            metavar="TIME",
        ),
    ] = "90d",
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Run server, deployments and a worker, until Ctrl-C."""
    from pupila_flows.station.address import listen_address
    from pupila_flows.station.deployments import deployments_of
    from pupila_flows.station.station import running
    from pupila_flows.workspace import Workspace

    opened, keep_seconds = Workspace.at(workspace), parse_duration(keep)
    address = listen_address(opened.root, host, port, auth_file, url or ())
    deployments = deployments_of(recipe or (), opened.root, Night(cron, timezone))
    say_when_stopped(
        "ended; what was under way goes on from its checkpoint when a station is up again."
    )
    with (
        opened.writing(),
        running(
            opened,
            address,
            deployments,
            notify=notify,
            keep_seconds=keep_seconds,
            say=say,
        ) as station,
    ):
        _introduce(station, deployments, opened.root)
        if browser:
            _open(address, opened.root)
        _supervise(station, opened)


@app.command()
def server(
    port: Port = PORT,
    host: Host = LOOPBACK,
    auth_file: AuthFile = None,
    url: Urls = None,
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Run only the server, until Ctrl-C; `deploy` and `work` connect to it."""
    import os

    from pupila_flows.station.address import check_free, listen_address
    from pupila_flows.station.environment import environment
    from pupila_flows.station.server import serve
    from pupila_flows.station.station import lock_station
    from pupila_flows.workspace import Workspace

    opened = Workspace.at(workspace)
    address = listen_address(opened.root, host, port, auth_file, url or ())
    say_when_stopped("ended; workers and runs wait for it to be up again.")
    with lock_station(opened):
        check_free(address)
        os.environ.update(environment(opened.root, address))
        say(f"Prefect UI:  {address.root}")
        say(f"Password:    {_password_location(address)}")
        serve(address)


@app.command()
def deploy(
    recipe: Recipes = None,
    cron: Cron = Night.cron,
    timezone: Timezone = Night.timezone,
    notify: Notify = None,
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Register the deployments with a running server, that of PREFECT_API_URL."""
    import os

    from pupila_flows.station.deployments import deployments_of
    from pupila_flows.station.loopback import unproxied
    from pupila_flows.station.register import register
    from pupila_flows.workspace import Workspace

    _api_url()
    os.environ.update(unproxied(os.environ))
    opened = Workspace.at(workspace)
    deployments = deployments_of(recipe or (), opened.root, Night(cron, timezone))
    register(deployments, notify)
    for deployment in deployments:
        say(f"{deployment.flow}/{deployment.name}")
    if not deployments:
        say("No --recipe was given: the deployments registered before stay.")


@app.command()
def work() -> None:
    """Run a worker for a running server, and resume what the last worker left.

    For machines or containers that stop when their worker stops: a run that was interrupted
    continues from its checkpoint. The server is that of PREFECT_API_URL.
    """
    import os
    import socket

    from pupila_flows.station.api import Api
    from pupila_flows.station.loopback import unproxied
    from pupila_flows.station.worker import resume_last, worker_command

    api = Api(_api_url(), os.environ.get("PREFECT_API_AUTH_STRING"))
    resume_last(api, say)
    # -P: files in the user's folder must not replace our modules
    command = [sys.executable, "-P", "-m", *worker_command(socket.gethostname())]
    os.execve(command[0], command, os.environ | unproxied(os.environ))  # noqa: S606 - ours


def _api_url() -> str:
    import os

    from pupila.errors import PupilaError

    named = os.environ.get("PREFECT_API_URL")
    if not named:
        raise PupilaError(
            "PREFECT_API_URL is not set: name the API of a Prefect server, as in "
            "http://127.0.0.1:4200/api, or use `pupila station up`, which brings one."
        )
    return named


def _introduce(
    station: Station,
    deployments: list[Deployment],
    workspace: Path,
) -> None:
    from pupila_flows.station.login import login_link

    say(f"Prefect UI:  {station.address.root}")
    say(f"Password:    {_password_location(station.address)}")
    if sys.stdout.isatty():  # not into a log, which others may read
        say(f"Log in by:   {login_link(station.address.root, station.address.auth)}")
    say(f"Workspace:   {workspace}")
    for deployment in deployments:
        when = (
            f"{deployment.night.cron} {deployment.night.timezone}"
            if deployment.night
            else "by hand"
        )
        when = f"when retrained: {', '.join(deployment.teachers)}" if deployment.teachers else when
        say(f"Deployment:  {deployment.flow}/{deployment.name} ({when})")
    if not deployments:
        say("Deployments: those registered before; --recipe RECIPE makes some")
    say("up; Ctrl-C ends it and all that it runs")


def _password_location(address: Address) -> str:
    """Return where the password is stored."""
    from pupila_flows.station.address import SECRET

    return f"the line in {address.auth_file}" if address.auth_file else f"that of {SECRET}"


def _open(address: Address, workspace: Path) -> None:
    """Open the UI in a browser, logged in, if this machine has a screen."""
    import os
    import webbrowser

    from pupila_flows.station.login import page_with_link

    seen = (
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if sys.stdout.isatty() and seen:
        # through a file: all users of this machine can read a program's arguments
        webbrowser.open(page_with_link(workspace, address).as_uri())


def _supervise(station: Station, workspace: Workspace) -> None:
    """Report events, restart programs that end, and end interrupted runs, until Ctrl-C."""
    from pupila_flows.station.monitor import Monitor

    watch, full = Monitor(station.api), None
    while True:
        for name in station.ensure_running():
            say(f"{_now()} the {name} had ended, and was started again")
        try:
            if (now_full := workspace.nearly_full) and not full:
                say(f"{_now()} warning: {now_full}")
            full = now_full
            for name in station.interrupted.end():
                say(f"{_now()} run {name!r} had no process left, and was ended: start it again")
            for line in watch.news():
                say(f"{_now()} {line}")
        except OSError:
            pass  # the server is restarting; missed events are reported afterwards
        time.sleep(2)


def _now() -> str:
    return datetime.now().strftime("%H:%M:%S")
