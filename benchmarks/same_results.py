"""Checks whether two states of this code make the same models and metrics from a recipe.

    python benchmarks/same_results.py before.json                      # here, before a change
    python benchmarks/same_results.py after.json --compare before.json # after it

Runs the recipe in an empty workspace, two epochs long by default, and writes the SHA-256 of every
model file and every metric. With `--compare`, prints the differences, except in times, versions and
the machine, and exits 1 if there are any. Run it twice on one state before you trust a difference:
training on several threads may differ in the last bit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pupila.digest import digest_file
from pupila_flows.results import RunResult
from pupila_flows.workspace import Workspace

SETTINGS = ("steps.pupil.with.epochs=2", "steps.control.with.epochs=2")
NOT_COMPARED = {
    *("latency", "peak_memory_bytes", "seconds", "started", "cached", "startup"),
    *("cpu", "machine", "versions", "recipe_path", "data_docs", "timings"),
}
"""Fields of a result that differ between runs or machines."""


def main() -> None:
    """Write the digests and metrics of a run, and compare them with those of another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    default = Path(__file__).parent.parent / "examples" / "glaucoma.yaml"
    parser.add_argument("--recipe", type=Path, default=default)
    parser.add_argument("--set", dest="settings", action="append", help="as in `pupila run`")
    parser.add_argument("--compare", type=Path, help="output of another state")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        written = run_recipe(options.recipe, options.settings or SETTINGS, Path(folder))
    options.output.write_text(json.dumps(written, indent=1, sort_keys=True))
    print(f"{len(written['files'])} model files")
    if options.compare is None:
        return
    known = json.loads(options.compare.read_text())
    before, after = (dict(leaves(comparable(content))) for content in (known, written))
    different = sorted(key for key in before | after if before.get(key) != after.get(key))
    for key in different:
        print(f"{key}: {before.get(key)!r} → {after.get(key)!r}")
    print(f"{len(different)} of {len(before | after)} differ")
    sys.exit(1 if different else 0)


def run_recipe(
    recipe: Path, settings: list[str] | tuple[str, ...], workspace: Path
) -> dict[str, Any]:
    """Run a recipe, and return the digests of its model files and its result."""
    changes = [argument for setting in settings for argument in ("--set", setting)]
    ours = ["-m", "pupila_flows", "run", str(recipe.resolve()), "--workspace", str(workspace)]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    subprocess.run([sys.executable, *ours, *changes], check=True, env=environment)
    (file,) = workspace.glob("runs/*/latest/result.json")
    result = RunResult.model_validate_json(file.read_text())
    store = Workspace.at(workspace).store
    files = {
        f"{entry.name}/{name}": digest
        for entry in result.entries
        if entry.artifact
        for name, digest in store.open(entry.artifact).record.files.items()
    }
    return {"files": files, "result": with_digests(result.model_dump(mode="json"))}


def with_digests(value: Any) -> Any:
    """Replace paths of predictions in a JSON value by their digests."""
    if isinstance(value, dict):
        return {
            key: digest_file(Path(field)) if key == "probabilities" else with_digests(field)
            for key, field in value.items()
        }
    return [with_digests(item) for item in value] if isinstance(value, list) else value


def comparable(value: Any) -> Any:
    """Return a JSON value without the fields that differ between any two runs."""
    if isinstance(value, dict):
        kept = (key for key in value if key.rpartition("/")[2] not in NOT_COMPARED)
        return {key: comparable(value[key]) for key in kept}
    return [comparable(item) for item in value] if isinstance(value, list) else value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is neither list nor mapping, with its path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from leaves(item, f"{path}/{key}")
    else:
        yield path, value


if __name__ == "__main__":
    main()
