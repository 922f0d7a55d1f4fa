"""Commands come in by a hook, Pupila's own as those of any package, and are imported when used."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from inspect import getdoc
from pathlib import Path

import pytest
import typer

from pupila.plugin import Command
from pupila.plugin_registry import installed
from pupila.testing import write_distribution

HOOK = """
from pupila import Command, hookimpl


@hookimpl
def pupila_commands():
    yield Command(name="greet", summary="Say hello, {0}.", implementation="{0}_work:greet")
    yield Command(name="{0}", summary="Tools of {0}.", implementation="{0}_work:app")
    yield Command(name="run", summary="Run {0}.", implementation="{0}_work:greet")
"""

WORK = """
import sys
import typer

app = typer.Typer(help="Tools of {0}.")
print("imported {0}_work", file=sys.stderr)


@app.command()
def add(one: int, two: int):
    "Add two numbers."
    print(one + two)


@app.command()
def fail():
    "Fail."
    return len(5)


def greet(name: str = "you"):
    "Say hello."
    print("hello", name, "from {0}")
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two packages, `red-tools` and `blue-tools`, that both greet."""
    folder = tmp_path_factory.mktemp("path")
    for name in ("red", "blue"):
        write_distribution(folder, f"{name}-tools", f"{name}_hook", HOOK.format(name))
        (folder / f"{name}_work.py").write_text(WORK.format(name))
    return folder


Pupila = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def pupila(path: Path, tmp_path: Path) -> Pupila:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PYTHONPATH": str(path), "TMPDIR": str(tmp_path), "COLUMNS": "120"}
        return subprocess.run(
            [sys.executable, "-m", "pupila_flows", *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
        )

    return run


def test_the_help_has_a_panel_for_each_package_and_imports_no_implementation(pupila: Pupila):
    ended = pupila("--help")
    assert ended.returncode == 0
    assert ended.stderr == ""
    own, _, theirs = ended.stdout.partition("blue-tools")
    assert "Find every mistake in a recipe" in own
    blue, _, red = theirs.partition("red-tools")
    for panel, name in ((blue, "blue"), (red, "red")):
        assert f"{name}-tools/greet" in panel or "tools/greet" in panel
        assert f"Tools of {name}." in panel


def test_a_group_and_a_function_run_and_explain_themselves(pupila: Pupila):
    ended = pupila("red", "add", "2", "3")
    assert (ended.returncode, ended.stdout) == (0, "5\n")
    assert "imported red_work" in ended.stderr
    assert "imported blue_work" not in ended.stderr
    assert "Add two numbers." in pupila("red", "--help").stdout
    ended = pupila("blue-tools/greet", "--name", "Ada")
    assert ended.stdout == "hello Ada from blue\n"


def test_a_name_of_two_packages_is_refused_and_one_of_ours_stays_ours(pupila: Pupila):
    ended = pupila("greet")
    assert ended.returncode == 2
    assert ended.stderr == (
        "error: Several packages have a command named 'greet' (blue-tools, red-tools): write "
        "'blue-tools/greet' or 'red-tools/greet'.\n"
    )
    assert "No recipe at 'nowhere.yaml'" in pupila("run", "nowhere.yaml").stderr
    assert pupila("red-tools/run").stdout == "hello you from red\n"
    assert "'run' alone is that of pupila-flows" in pupila("plugins").stderr.replace("\n", " ")


def test_an_error_in_a_command_names_its_package_and_a_log(pupila: Pupila):
    ended = pupila("red", "fail")
    assert ended.returncode == 1
    line = ended.stderr.splitlines()[-1]
    assert line.startswith("error: Code of red-tools 1.0 raised TypeError: object of type 'int'")
    assert "red_work.py" in Path(line.partition("Its log: ")[2]).read_text()


def test_the_summaries_of_our_own_commands_are_the_first_lines_of_their_help():
    own = [
        entry.plugin
        for entry in installed().plugins
        if isinstance(entry.plugin, Command) and entry.distribution == "pupila-flows"
    ]
    assert len(own) == 25
    for command in own:
        code = command.load()
        text = code.info.help if isinstance(code, typer.Typer) else getdoc(code)
        assert " ".join(str(text).split("\n\n")[0].split()) == command.summary


def test_the_help_has_panels_examples_and_a_version(pupila: Pupila):
    listed = pupila("--help").stdout
    panels = ("Start", "Run", "Results", "Publish", "Operate", "red-tools")
    assert [listed.index(f" {panel} ") for panel in panels] == sorted(
        listed.index(f" {panel} ") for panel in panels
    )
    assert "Example: pupila compare clinic/20261129 clinic" in pupila("compare", "--help").stdout
    assert "Example: pupila teacher add teacher.keras" in pupila("teacher", "--help").stdout
    assert pupila("--version").stdout.startswith("pupila 0.")
    assert "pupila" in pupila("--show-completion", "bash").stdout + pupila("--help").stdout
