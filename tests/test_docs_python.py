"""The page on Python: its code runs, from top to bottom, and it names all that is public."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from clinic import write_pictures, write_teacher
from command_line import user_environment

import pupila_flows

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "python.md").read_text()
NAMES = {"green": "glaucoma", "red": "normal"}
SMALL = ('"student": "mobile-xs", "size": 96', '"student": "conv-32-64-8", "size": 32')


def test_every_public_name_and_what_it_has_is_on_the_page():
    assert [name for name in pupila_flows.__all__ if f"`{name}" not in PAGE] == []
    for shown, kind in (
        ("result", pupila_flows.Result),
        ("comparison", pupila_flows.Evaluated),
        ("model", pupila_flows.Model),
        ("recipe", pupila_flows.Recipe),
    ):
        public = [name for name in vars(kind) if not name.startswith("_")]
        missing = [name for name in public if not re.search(rf"\b{name}\b", PAGE)]
        assert (shown, missing) == (shown, [])


@pytest.mark.long
def test_the_code_of_the_page_runs(tmp_path: Path):
    write_pictures(tmp_path / "images")
    for split in (tmp_path / "images").iterdir():
        for colour, name in NAMES.items():
            (split / colour).rename(split / name)
    write_teacher(tmp_path / "teacher.keras", sharpness=1)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert SMALL[0] in "".join(blocks)
    program = "\n".join(blocks).replace(*SMALL)
    (tmp_path / "page.py").write_text(program + "print(len(answers), len(comparison.models))\n")
    done = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env=user_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "120 3"
