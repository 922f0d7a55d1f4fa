"""The command line: quick to answer, readable by people and programs, exact in its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import run_pupila

HEAVY = ("tensorflow", "keras", "prefect", "great_expectations", "sklearn", "matplotlib", "pandas")


@pytest.mark.parametrize("arguments", [["--help"], ["plugins"]])
def test_listing_imports_nothing_heavy(arguments: list[str]):
    program = f"import sys; sys.argv[1:] = {arguments!r}; from pupila_flows.cli.main import main\n"
    program += "try:\n    main()\nexcept SystemExit:\n    pass\n"
    program += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_prefect_logs_goes_into_a_file_and_not_to_the_terminal(tmp_path: Path):
    program = f"""
import logging
from pathlib import Path
from pupila_flows.station.prefect_log import log_to
with log_to(Path({str(tmp_path / "prefect.log")!r})):
    import prefect.main
    logging.getLogger("prefect.engine").error("a run has begun")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "a run has begun" in (tmp_path / "prefect.log").read_text()


def test_plugins_are_listed_with_formats_distribution_and_version():
    rows = json.loads(run_pupila(Path.cwd(), "plugins", "--json").stdout)["plugins"]
    by_name = {(row["kind"], row["name"]): row for row in rows}
    row = by_name["technique", "quantize-int8"]
    assert (row["takes"], row["gives"], row["distribution"]) == (
        "tflite",
        "tflite",
        "pupila-quantize",
    )
    assert row["version"] and row["summary"]
    assert {
        ("technique", "distill"),
        ("technique", "train"),
        ("technique", "quantize-float16"),
        ("technique", "quantize-dynamic"),
        ("exporter", "export-tflite"),
        ("exporter", "export-tfjs"),
        ("student", "conv-32-64-8"),
        ("student", "mobile-xs"),
    } <= set(by_name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml"], "No recipe at 'nowhere.yaml'"),
        (["check", "nowhere.yaml"], "No recipe at 'nowhere.yaml'"),
        (["validate", "nowhere"], "nowhere"),
        (["evaluate", "nowhere.keras", "nowhere"], "nowhere"),
        (["report"], "No run in"),
        (["report", "nowhere"], "No run in "),
        (["rnu"], "No such command 'rnu'"),
    ],
)
def test_a_users_mistake_is_one_message_and_code_2(
    tmp_path: Path, arguments: list[str], words: str
):
    done = run_pupila(tmp_path, *arguments, code=None)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_check_tells_a_program_every_problem_with_its_line(tmp_path: Path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: x\ndata: {path: nowhere}\nsteps:\n  a: {use: distil}\n")
    done = run_pupila(tmp_path, "check", recipe, "--json", code=None)
    answer = json.loads(done.stdout)
    assert done.returncode == 2
    assert [problem["line"] for problem in answer["problems"]] == [2, 4]
    assert "Did you mean 'distill'?" in answer["problems"][1]["message"]
