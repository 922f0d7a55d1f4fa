"""The commands in the docs, as they stand there: they exist, and those for one's own model work."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from clinic import pupila, write_pictures, write_teacher
from typer.testing import CliRunner

from pupila_flows.cli.main import app
from pupila_flows.results import RunResult

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "deployments/README.md")),
    ROOT / "deployments" / "runbook.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
OWN = (ROOT / "docs" / "your-own.md").read_text()
NAMES = {"green": "glaucoma", "red": "normal"}
"""Classes of the page by those of the pictures, in the order of the teacher's outputs."""
SMALL = (
    *("--set", "steps.pupil.with={student: conv-32-64-8, size: 32, epochs: 2}"),
    *("--set", "steps.pupil.control=false"),
)
"""The teacher of the test has no layers that a student could begin with."""


def commands(text: str) -> Iterator[list[str]]:
    """Yield the arguments of each `pupila` command in a page's blocks of code."""
    for block in re.finditer(r"^ *```(\w*)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        shell = block[1] in ("", "sh")
        for line in block[2].replace("\\\n", " ").splitlines() if shell else ():
            words = shlex.split(line, comments=True)
            while words and re.match(r"\w+=", words[0]):
                del words[0]  # a variable of the environment
            if words[:1] == ["pupila"]:
                yield words[1:]


def accepts(arguments: list[str]) -> bool:
    """Say whether the command line knows a command and its options; nothing is run."""
    return CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_exists_with_its_options(page: Path):
    assert [line for line in commands(page.read_text()) if not accepts(line)] == []


@pytest.mark.parametrize(
    ("line", "is_one"),
    [
        ("pupila run recipe.yaml  # runs it", True),
        ("PUPILA_DATA=… pupila run recipe.yaml --set gate={}", True),
        ("pupila run recipe.yaml --sett gate={}", False),
        ("pupila runn recipe.yaml", False),
        ("pupila teacher put it.keras", False),
    ],
)
def test_a_command_or_option_that_does_not_exist_is_noticed(line: str, is_one: bool):
    (arguments,) = commands(f"```sh\n{line}\n```\n")
    assert accepts(arguments) == is_one


@pytest.mark.long
def test_the_page_on_ones_own_model_leads_to_a_model_with_a_card(tmp_path: Path):
    write_pictures(tmp_path / "photographs")
    for folder in (tmp_path / "photographs").iterdir():
        for colour, name in NAMES.items():
            (folder / colour).rename(folder / name)
    write_teacher(tmp_path / "teacher.keras", sharpness=1)
    (recipe,) = re.findall(r"^```yaml\n(.*?)^```", OWN, re.DOTALL | re.MULTILINE)
    (tmp_path / "recipe.yaml").write_text(recipe)
    for arguments in commands(OWN):
        if arguments[0] == "run":
            pupila(tmp_path, *arguments, *SMALL, code=None)  # 1 unless the gate passes
        else:
            pupila(tmp_path, *arguments)
    result = tmp_path / ".pupila" / "runs" / "clinic" / "latest" / "result.json"
    assert RunResult.model_validate_json(result.read_text()).gate
    names = {file.name for file in (tmp_path / "models" / "clinic").iterdir()}
    assert names == {"model.tflite", "card.md", "card.html"}
