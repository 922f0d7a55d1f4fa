"""One word for one thing: code, docs and pages use the words of the glossary, and plain English."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from pupila_flows.cli.group import ListedCommand
from pupila_flows.cli.main import app

ROOT = Path(__file__).parent.parent

VAGUE = {"told", "each", "found", "place"}
"""Names of variables that do not say what is in them."""

OLD = {
    "admission": "requirements",
    "border": "io_type",
    "course": "history",
    "crew": "worker pool",
    "crossed": "seed statistics",
    "errand": "process call",
    "invitation": "connection",
    "judge": "evaluate",
    "judged": "evaluated",
    "judgement": "evaluation",
    "judges": "steps, primary",
    "judging": "evaluating",
    "laboratory": "population",
    "lesson": "training targets",
    "shelf": "teacher store",
    "shelved": "stored",
    "standing": "quality",
    "trial": "runtime check, seed runs",
    "trials": "runtime checks, seed runs",
}
"""Words that no identifier has any more, and those that stand for them."""

COMPARED = "longer|more|less|better|worse|larger|smaller|greater|other"

PHRASES = {
    rf"(?<!there )\b(is|are) no (?!({COMPARED})\b)": "is not a",
    r"\b(is|are|be|was|were|been) told\b": "is given, is reported",
    r"\bcomes? to\b(?! an end)": "is, totals",
    r"\banew\b": "again, from scratch",
    r"\bfor ever\b": "permanently, without end",
    r"\bwhoever\b": "who it is",
    r"\ba part in\b": "a fraction, per cent",
    r",\s+say(?=[,.;:)]|$)": "for example",
    r"\bjudg(e|es|ed|ing|ement)\b": "evaluate",
    r"\bshel(f|ve|ved|ves)\b": "teacher store",
}
"""What an engineer would not say aloud, as regular expressions, and what one says."""

SETTINGS = {
    r"\bborders:": "io_type",
    r"\bcorrection: (biases|rounding)\b": "bias, gptq",
    r"\bwithout:": "exclude",
    r"\bjudges:": "steps",
    r"^ *by:|\{by:": "groups",
    r"\boldest:": "max_age",
    r"\btrainings:": "max_candidates",
    r"\baccept:": "target_sensitivity",
    r"(?<!at )\bleast:": "min_fraction_kept",
}
"""Settings of recipes that were renamed."""

OF_THEIR_TIME = (
    "CHANGELOG.md",
    "docs/decisions/",
    "tests/test_words.py",
    "flows/tests/test_renamed.py",
)
"""What may name the old words."""

PROSE = {
    tokenize.COMMENT,
    tokenize.STRING,
    getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),  # from Python 3.12 on
}

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def tracked(*patterns: str) -> list[str]:
    """Return the files of the repository that match, by path from its root."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip(f"needs the repository: {listed.stderr.strip()}")
    lines = listed.stdout.splitlines()
    return [
        line for line in lines if (ROOT / line).is_file() and not line.startswith(OF_THEIR_TIME)
    ]


def named(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of every variable, attribute, argument, function and class."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield node.lineno, name
            case _:
                pass


def old_names(text: str) -> Iterator[str]:
    """Yield what is wrong with the names in a module."""
    for line, name in named(text):
        if name.strip("_") in VAGUE:
            yield f"{line}: `{name}` does not say what it holds"
        for word in WORD.findall(name):
            if word.lower() in OLD:
                yield f"{line}: `{name}`: say {OLD[word.lower()]}, not {word.lower()}"


def prose(text: str) -> str:
    """Return the comments and strings of a module, with its line numbers; not the former names."""
    lines = [""] * (text.count("\n") + 2)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in PROSE and "former_" not in token.line:
            for number, line in enumerate(token.string.split("\n"), token.start[0]):
                lines[number - 1] += line
    return "\n".join(lines)


def old_phrases(text: str, phrases: dict[str, str]) -> Iterator[str]:
    """Yield the phrases in a text that should be others."""
    for phrase, instead in phrases.items():
        for match in re.finditer(phrase, text, re.IGNORECASE | re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{line}: `{match[0].strip()}`: say {instead}"


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words that start each command of a group, and those of its groups."""
    for name, command in group.commands.items():
        yield (*path, name)
        loaded = command.load() if isinstance(command, ListedCommand) else command
        if hasattr(loaded, "commands"):
            yield from commands(loaded, (*path, name))


def test_names_in_code_say_what_they_hold_in_the_words_of_the_glossary():
    files = tracked("*.py")
    assert files
    problems = [f"{file}:{text}" for file in files for text in old_names((ROOT / file).read_text())]
    assert not problems, "\n".join(problems)


def test_code_docs_and_pages_are_in_plain_english():
    files = tracked("*.py", "*.md", "*.yaml", "*.html", "*.ts", "Makefile", "*.toml")
    texts = {file: (ROOT / file).read_text() for file in files}
    problems = [
        f"{file}:{problem}"
        for file, text in texts.items()
        for problem in old_phrases(prose(text) if file.endswith(".py") else text, PHRASES)
    ]
    assert not problems, "\n".join(problems)


def test_recipes_and_docs_have_no_setting_that_was_renamed():
    files = tracked("*.md", "*.yaml")
    problems = [
        f"{file}:{text}"
        for file in files
        for text in old_phrases((ROOT / file).read_text(), SETTINGS)
    ]
    assert not problems, "\n".join(problems)


def test_the_help_of_every_command_is_in_plain_english():
    paths = [(), *commands(typer.main.get_group(app))]
    assert ("teacher", "add") in paths
    for path in paths:
        page = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "400"}).output
        assert "Usage" in page
        assert [*old_phrases(page, PHRASES | SETTINGS)] == [], path


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("for each in rows: pass", ["1: `each` does not say what it holds"]),
        ("class TeacherShelf: pass", ["1: `TeacherShelf`: say teacher store, not shelf"]),
        ("def f(judged): self.place = 1", ["1: `judged`: say evaluated, not judged"]),
        ("for row in rows: of_course = row", ["1: `of_course`: say history, not course"]),
        ("for row in rows: location = row", []),
    ],
)
def test_old_names_are_found(text: str, problems: list[str]):
    assert list(old_names(text))[: len(problems) or None] == problems


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("The file is no image.", ["1: `is no`: say is not a"]),
        ("It is no longer there, no worse, and there is no other.", []),
        ("One of them\nis told", ["2: `is told`: say is given, is reported"]),
        ("What it comes to", ["1: `comes to`: say is, totals"]),
    ],
)
def test_old_phrases_are_found(text: str, problems: list[str]):
    assert list(old_phrases(text, PHRASES)) == problems


def test_of_a_module_only_comments_and_strings_are_prose():
    text = 'from it import console, say\n\nx = f"no {file} is\\n"  # made anew\n'
    assert list(old_phrases(prose(text), PHRASES)) == ["3: `anew`: say again, from scratch"]
