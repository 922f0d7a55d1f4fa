"""No file and no class is longer than a reader can hold, unless it says why it must be."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE_LINES = 400
CLASS_LINES = 200
REASON = re.compile(r"#\s*long: \S")
"""`# long: <reason>`, in the first lines of a file or on the line of a class."""
FIRST_LINES = 15


def too_long(file: str, text: str) -> Iterator[str]:
    """Yield the file and each class in it that have more lines than they may."""
    lines = text.splitlines()
    if any(map(REASON.search, lines[:FIRST_LINES])):
        return
    if len(lines) > FILE_LINES:
        yield f"{file} has {len(lines)} lines, more than {FILE_LINES}"
    for node in ast.walk(ast.parse(text, file)):
        if isinstance(node, ast.ClassDef) and not REASON.search(lines[node.lineno - 1]):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > CLASS_LINES:
                yield f"{file}: class {node.name} has {length} lines, more than {CLASS_LINES}"


def test_no_python_file_of_the_repository_and_no_class_is_too_long():
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip(f"needs the repository: {listed.stderr.strip()}")
    files = [file for file in listed.stdout.splitlines() if (ROOT / file).is_file()]
    assert files
    long = [function for file in files for function in too_long(file, (ROOT / file).read_text())]
    assert not long, "\n".join(["split what follows, or write `# long: <reason>`", *long])


BODY = "    here = 1\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x = 1\n" * 400, []),
        ("x = 1\n" * 401, ["it.py has 401 lines, more than 400"]),
        ('"""A table."""\n# long: one row a kind\n' + "x = 1\n" * 401, []),
        ("# long:\n" + "x = 1\n" * 400, ["it.py has 401 lines, more than 400"]),
        ("x = 1\n" * 15 + "# long: too late\n" * 386, ["it.py has 401 lines, more than 400"]),
        ("class Short:\n" + BODY * 199, []),
        ("class Long:\n" + BODY * 200, ["it.py: class Long has 201 lines, more than 200"]),
        ("x = 1\n" * 15 + "class Long:  # long: one walk\n" + BODY * 200, []),
    ],
)
def test_what_is_too_long_is_named_unless_it_says_why(text: str, names: list[str]):
    assert list(too_long("it.py", text)) == names
