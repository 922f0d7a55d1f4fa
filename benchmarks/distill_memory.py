"""Peak memory of `distill-oracle` and of `distill`, with few images and with many.

    python benchmarks/distill_memory.py [--few 500] [--many 4000]

Each training runs in its own process: five small teachers, `conv-32-64-8` at 128 px, one epoch of
two views. Peak is the resident memory of the whole process, with Python and TensorFlow. The
teachers' predictions are computed in that process too. The images are drawn: squares and triangles.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from pupila.memory import peak_memory_bytes
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import draw_images, read_images, run_step, step_for

_TEACHERS = 5
_TEACHER = {"student": "conv-32-64-8", "size": 32, "epochs": 10, "learning_rate": 1e-3}
_CONFIG = {
    "student": "conv-32-64-8",
    "size": 128,
    "epochs": 1,
    "learning_rate": 1e-3,
    "augmentation": {"views": 2},
}


def main() -> None:
    """Print the peak of each training, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=500, help="training images")
    parser.add_argument("--many", type=int, default=4000, help="training images")
    parser.add_argument("--stage", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        technique, images, store = options.stage
        stage = make_teachers if technique == "train" else train
        print(stage(technique, Path(images), Store(Path(store))))
        return
    peaks: dict[tuple[str, int], int] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for images in (options.few, options.many):
            folder = draw_images(Path(temporary) / str(images), images=images // 2)
            if images == options.few:
                run_stage("train", folder, Path(temporary) / "store")
            for technique in ("distill", "distill-oracle"):
                peaks[technique, images] = run_stage(technique, folder, Path(temporary) / "store")
                megabytes = peaks[technique, images] / 1e6
                print(f"{technique}, {images} training images: {megabytes:.0f} MB", flush=True)
    for images in (options.few, options.many):
        ratio = peaks["distill-oracle", images] / peaks["distill", images]
        print(f"oracle / plain with {images} images: {ratio:.3f}")
    for technique in ("distill", "distill-oracle"):
        ratio = peaks[technique, options.many] / peaks[technique, options.few]
        print(f"{technique}, {options.many} / {options.few} images: {ratio:.3f}")


def run_stage(technique: str, images: Path, store: Path) -> int:
    """Run a technique in a new process and return the number that it prints last."""
    command = [sys.executable, __file__, "--stage", technique, str(images), str(store)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(ended.stderr)
    return int(ended.stdout.splitlines()[-1])


def make_teachers(technique: str, images: Path, store: Store) -> int:
    """Train the teachers and return how many there are."""
    plugin = installed().step(technique)
    config = plugin.config.model_validate(_TEACHER)
    with tempfile.TemporaryDirectory() as temporary:
        dataset = read_images(images, Path(temporary) / "cache")
        for seed in range(_TEACHERS):
            folder = Path(temporary) / str(seed)
            run_step(plugin, config, [], folder, store=store, dataset=dataset, seed=seed)
    return _TEACHERS


def train(technique: str, images: Path, store: Store) -> int:
    """Train with the teachers and return this process' peak resident memory in bytes."""
    plugin = installed().step(technique)
    teachers = [store.open(path.name) for path in (store.root / "objects").iterdir()]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = read_images(images, folder / "cache")
        config = plugin.config.model_validate(_CONFIG)
        plugin.load()(step_for(config, teachers, folder, dataset=dataset))
    return peak_memory_bytes()


if __name__ == "__main__":
    main()
