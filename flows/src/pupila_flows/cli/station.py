"""`pupila station`: server, deployments and worker by one command."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pupila_flows.cli.console import say
from pupila_flows.cli.options import HERE, WorkspaceFolder, seconds_of
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
        help="Prefect block that tells of a failed or late night and of a changed verdict, as "
        "`slack-webhook/my-channel`; by default the log tells.",
        show_default=False,
    ),
]

Port = Annotated[int, typer.Option(min=1, max=65535, help="Port of server and UI.")]
Host = Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")]
AuthFile = Annotated[
    Path | None,
    typer.Option(
        help="File of one line `user:password` that server and UI ask for; by default "
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
    """Bring up server, deployments and a worker, until Ctrl-C."""
    from pupila_flows.station.address import checked_address
    from pupila_flows.station.deployments import deployments_of
    from pupila_flows.station.station import running
    from pupila_flows.workspace import Workspace

    place, keep_seconds = Workspace.at(workspace), seconds_of(keep)
    address = checked_address(place.root, host, port, auth_file, url or ())
    deployments = deployments_of(recipe or (), place.root, Night(cron, timezone))
    say_when_stopped(
        "ended; what was under way goes on from its checkpoint when a station is up again."
    )
    with (
        place.writing(),
        running(
            place,
            address,
            deployments,
            notify=notify,
            keep_seconds=keep_seconds,
            say=say,
        ) as station,
    ):
        _introduce(station, deployments, place.root)
        if browser:
            _open(address, place.root)
        _attend(station, place)


@app.command()
def server(
    port: Port = PORT,
    host: Host = LOOPBACK,
    auth_file: AuthFile = None,
    url: Urls = None,
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Run the server alone, until Ctrl-C; for `deploy` and `work`."""
    import os

    from pupila_flows.station.address import check_free, checked_address
    from pupila_flows.station.environment import environment
    from pupila_flows.station.server import serve
    from pupila_flows.station.station import only_one
    from pupila_flows.workspace import Workspace

    place = Workspace.at(workspace)
    address = checked_address(place.root, host, port, auth_file, url or ())
    say_when_stopped("ended; workers and runs wait for it to be up again.")
    with only_one(place):
        check_free(address)
        os.environ.update(environment(place.root, address))
        say(f"Prefect UI:  {address.root}")
        say(f"Password:    {_whereabouts(address)}")
        serve(address)


@app.command()
def deploy(
    recipe: Recipes = None,
    cron: Cron = Night.cron,
    timezone: Timezone = Night.timezone,
    notify: Notify = None,
    workspace: WorkspaceFolder = HERE,
) -> None:
    """Register the deployments with a server that is up already: that of PREFECT_API_URL."""
    import os

    from pupila_flows.station.deployments import deployments_of
    from pupila_flows.station.loopback import unproxied
    from pupila_flows.station.register import register
    from pupila_flows.workspace import Workspace

    _named_api()
    os.environ.update(unproxied(os.environ))
    place = Workspace.at(workspace)
    deployments = deployments_of(recipe or (), place.root, Night(cron, timezone))
    register(deployments, notify)
    for each in deployments:
        say(f"{each.flow}/{each.name}")
    if not deployments:
        say("No --recipe was given: the deployments registered before stay.")


@app.command()
def work() -> None:
    """Run a worker of a server that is up already, and take up what the last one left.

    For machines or containers that end with their worker, so that a run which was under way is dead
    with it: it goes on from its checkpoint. The server is that of PREFECT_API_URL.
    """
    import os
    import socket

    from pupila_flows.station.api import Api
    from pupila_flows.station.loopback import unproxied
    from pupila_flows.station.worker import take_up_the_last, worker_command

    api = Api(_named_api(), os.environ.get("PREFECT_API_AUTH_STRING"))
    take_up_the_last(api, say)
    # -P: what lies in the user's folder must not stand in for a module of ours
    command = [sys.executable, "-P", "-m", *worker_command(socket.gethostname())]
    os.execve(command[0], command, os.environ | unproxied(os.environ))  # noqa: S606 - ours


def _named_api() -> str:
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
    say(f"Password:    {_whereabouts(station.address)}")
    if sys.stdout.isatty():  # not into a log, which others may read
        say(f"Log in by:   {login_link(station.address.root, station.address.auth)}")
    say(f"Workspace:   {workspace}")
    for each in deployments:
        when = f"{each.night.cron} {each.night.timezone}" if each.night else "by hand"
        when = f"when retrained: {', '.join(each.teachers)}" if each.teachers else when
        say(f"Deployment:  {each.flow}/{each.name} ({when})")
    if not deployments:
        say("Deployments: those registered before; --recipe RECIPE makes some")
    say("up; Ctrl-C ends it and all that it runs")


def _whereabouts(address: Address) -> str:
    """Say where the password is, but not what."""
    from pupila_flows.station.address import SECRET

    return f"the line in {address.auth_file}" if address.auth_file else f"that of {SECRET}"


def _open(address: Address, workspace: Path) -> None:
    """Open the UI in a browser, logged in, where somebody sits at this machine."""
    import os
    import webbrowser

    from pupila_flows.station.login import page_with_link

    seen = (
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    if sys.stdout.isatty() and seen:
        # by a file of ours: the arguments of a program can be read by everybody on this machine
        webbrowser.open(page_with_link(workspace, address).as_uri())


def _attend(station: Station, workspace: Workspace) -> None:
    """Tell what happens, restart what dies and end runs that died unseen, for ever."""
    from pupila_flows.station.monitor import Watch

    watch, full = Watch(station.api), None
    while True:
        for name in station.keep():
            say(f"{_now()} the {name} had ended, and was started again")
        try:
            if (now_full := workspace.nearly_full) and not full:
                say(f"{_now()} warning: {now_full}")
            full = now_full
            for name in station.lost.end():
                say(f"{_now()} run {name!r} had no process left, and was ended: start it again")
            for line in watch.news():
                say(f"{_now()} {line}")
        except OSError:
            pass  # the server is starting again; what was missed is told then
        time.sleep(2)


def _now() -> str:
    return datetime.now().strftime("%H:%M:%S")
