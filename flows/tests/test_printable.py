"""What others wrote is shown in the terminal, and not obeyed by it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
import typer.testing
from publishable_runs import release, with_three_versions
from rich.console import Console

from pupila.errors import PupilaError
from pupila_flows.cli.console import print_table, say
from pupila_flows.cli.main import app
from pupila_flows.printable import printable
from pupila_flows.progress import Terminal
from pupila_flows.registry import open_registry
from pupila_flows.registry.publishing import publish

_CLEARS = "\x1b[2J\x1b]0;owned\x07"
_CLEARED = r"\x1b[2J\x1b]0;owned\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("párpado 目 ½ 👁", "párpado 目 ½ 👁"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        (_CLEARS, _CLEARED),
        ("over\rwritten\b", r"over\rwritten\x08"),
        ("\x9b2J\x7f", r"\x9b2J\x7f"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("caf\udce9", r"caf\udce9"),
        ("", ""),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str):
    assert printable(text) == shown


def test_lines_tables_and_bars_obey_nothing(capsys: pytest.CaptureFixture[str]):
    say(f"class {_CLEARS}")
    print_table([{_CLEARS: f"[red]{_CLEARS}"}])
    assert capsys.readouterr().out.count(_CLEARED) == 3
    written = StringIO()
    display = Terminal(Console(file=written, width=200))
    display.update(_CLEARS, 1, 2, _CLEARS)
    display.finish(_CLEARS, _CLEARS)
    assert _CLEARED in written.getvalue()
    assert "\x1b" not in written.getvalue()


@pytest.mark.parametrize(
    "command",
    [
        ["history", "clinic"],
        ["verify", "clinic"],
        ["diff", "clinic", "3", "4"],
        ["rollback", "clinic", "--reason", _CLEARS],
    ],
)
def test_who_published_and_why_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
):
    monkeypatch.chdir(tmp_path)
    registry = with_three_versions(open_registry("registry"), tmp_path)
    override = (_CLEARS, f"because {_CLEARS}")
    publish(registry, release(tmp_path, b"fourth", verdict="fail", override=override))
    (tmp_path / "registry" / "clinic" / _CLEARS).touch()
    done = typer.testing.CliRunner().invoke(app, [*command, "--registry", "registry"])
    assert "\x1b" not in done.output
    assert (_CLEARED in done.output) == (command[0] != "rollback")


def test_a_mistake_shows_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from pupila_flows.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["pupila", "check", f"{_CLEARS}.yaml"])
    with pytest.raises(SystemExit):
        main()
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--by", "--reason"])
def test_a_name_that_is_not_utf_8_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
):
    monkeypatch.chdir(tmp_path)
    with_three_versions(open_registry("registry"), tmp_path)
    signed = {"--by": "R.", "--reason": "slow", option: "Ren\udce9e"}
    arguments = [argument for pair in signed.items() for argument in pair]
    command = ["rollback", "clinic", *arguments, "--registry", "registry"]
    with pytest.raises(PupilaError, match="which is not UTF-8"):
        raise typer.testing.CliRunner().invoke(app, command).exception or AssertionError
