"""Do two states of this code make the same models and figures of one recipe?

    python benchmarks/same_results.py before.json                      # here, before a change
    python benchmarks/same_results.py after.json --compare before.json # after it

Runs the recipe in an empty workspace, two epochs long by default, and writes the SHA-256 of every
model file and every figure. With `--compare`, prints what differs, but for what belongs to the
machine or the moment, and exits 1 where anything does. Run it twice on one state before a
difference is believed: training on several threads need not repeat itself to the last bit.
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
OF_THE_MOMENT = {
    *("latency", "peak_memory_bytes", "seconds", "started", "cached", "startup"),
    *("cpu", "machine", "versions", "recipe_path", "data_docs", "timings"),
}
"""Fields of a result that differ from run to run, or from machine to machine."""


def main() -> None:
    """Write the digests and figures of a run, and compare them with those of another."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    default = Path(__file__).parent.parent / "examples" / "glaucoma.yaml"
    parser.add_argument("--recipe", type=Path, default=default)
    parser.add_argument("--set", dest="settings", action="append", help="as of `pupila run`")
    parser.add_argument("--compare", type=Path, help="what another state wrote")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = results(options.recipe, options.settings or SETTINGS, Path(folder))
    options.output.write_text(json.dumps(made, indent=1, sort_keys=True))
    print(f"{len(made['files'])} model files")
    if options.compare is None:
        return
    known = json.loads(options.compare.read_text())
    before, after = (dict(leaves(comparable(each))) for each in (known, made))
    different = sorted(key for key in before | after if before.get(key) != after.get(key))
    for key in different:
        print(f"{key}: {before.get(key)!r} → {after.get(key)!r}")
    print(f"{len(different)} of {len(before | after)} differ")
    sys.exit(1 if different else 0)


def results(recipe: Path, settings: list[str] | tuple[str, ...], workspace: Path) -> dict[str, Any]:
    """Run a recipe, and return the digests of its model files and what it found."""
    changes = [part for setting in settings for part in ("--set", setting)]
    ours = ["-m", "pupila_flows", "run", str(recipe.resolve()), "--workspace", str(workspace)]
    environment = os.environ | {"TF_DETERMINISTIC_OPS": "1", "PYTHONHASHSEED": "0"}
    subprocess.run([sys.executable, *ours, *changes], check=True, env=environment)
    (file,) = workspace.glob("runs/*/*/result.json")
    result = RunResult.model_validate_json(file.read_text())
    store = Workspace.at(workspace).store
    files = {
        f"{entry.name}/{name}": digest
        for entry in result.entries
        if entry.artifact
        for name, digest in store.open(entry.artifact).record.files.items()
    }
    return {"files": files, "result": digested(result.model_dump(mode="json"))}


def digested(value: Any) -> Any:
    """Return a JSON value with the digests of predictions for their paths."""
    if isinstance(value, dict):
        return {
            key: digest_file(Path(each)) if key == "probabilities" else digested(each)
            for key, each in value.items()
        }
    return [digested(each) for each in value] if isinstance(value, list) else value


def comparable(value: Any) -> Any:
    """Return a JSON value without what differs between any two runs."""
    if isinstance(value, dict):
        kept = (key for key in value if key.rpartition("/")[2] not in OF_THE_MOMENT)
        return {key: comparable(value[key]) for key in kept}
    return [comparable(each) for each in value] if isinstance(value, list) else value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value that is neither list nor mapping, with where it stands."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in items:
            yield from leaves(each, f"{path}/{key}")
    else:
        yield path, value


if __name__ == "__main__":
    main()
