"""Compares `quantize-int8` with TensorFlow's converter on a VGG19 of 574 MB.

    python benchmarks/quantize_memory.py [--images 4] [--folder FOLDER]

Weights are random, so only time, memory and size are meaningful. Calibration uses 4 images by
default, far fewer than the 100 of `quantize-int8`: more images take more time but not more memory.
Each stage runs in a new process; its peak is the resident memory of the whole process, with Python
and libraries, and its time includes imports. Needs 10 GB of memory and 4 GB of disk.

`quantize-int8` needs a float flatbuffer, which `export-tflite` makes once for all forms; the
converter starts from a SavedModel each time. Therefore both times are shown: of the step alone,
and including what must come before it. `variants` is one process that exports once and then makes
float16, dynamic, int8 and int4 forms, each with its time.

Measured on two cores: `quantize-int8` 5.8 s and 1.9 GB; the converter 26 s and 8.1 GB. Including
the export, 28 s and 33 s: less memory, and less time from the second form on.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pupila import Artifact, Dataset, InputSpec, OutputSpec, keras_files
from pupila.artifact import Origin
from pupila.plugin_registry import installed
from pupila.store import Store
from pupila.testing import draw_images, read_images, step_for

SIZE = InputSpec(height=224, width=224)
CLASSES = tuple(f"class-{number:04}" for number in range(1000))
VARIANTS = (
    ("export-tflite", "keras"),
    ("quantize-float16", "tflite"),
    ("quantize-dynamic", "tflite"),
    ("quantize-int8", "tflite"),
    ("quantize-int4", "tflite"),
)
"""Steps, and the format of the input of each."""

COMPARED = 4
"""Validation images on which `quantize-int8` compares its result with the float model."""
_GB = 1e9
_KIB = 1024


def build(folder: Path, images: int) -> dict[str, Any]:
    """Store the Keras model."""
    del images
    keras = keras_files.import_keras()
    model = keras.applications.VGG19(weights=None)
    store = Store(folder / "store")
    with store.draft() as draft:
        keras_files.save(model, draft)
        artifact = store.add(draft, format="keras", **_fields("build"))
    return _record(folder, artifact)


def export(folder: Path, images: int) -> dict[str, Any]:
    """Export it to a float flatbuffer with `export-tflite`."""
    return _run("export-tflite", "keras", folder, images)


def quantize(folder: Path, images: int) -> dict[str, Any]:
    """Quantise the flatbuffer with `quantize-int8`."""
    return _run("quantize-int8", "tflite", folder, images)


def variants(folder: Path, images: int) -> dict[str, Any]:
    """Make all forms but int16x8 from one export, in one process.

    int16x8 only has reference kernels: the few validation images would take minutes.
    """
    forms = {name: _run(name, given, folder, images) for name, given in VARIANTS}
    seconds = sum(form["seconds"] for form in forms.values())
    size = sum(form["size_bytes"] for form in forms.values())
    return {"seconds": seconds, "size_bytes": size, "forms": forms}


def convert(folder: Path, images: int) -> dict[str, Any]:
    """Quantise with TensorFlow's converter, from a SavedModel."""
    import tensorflow as tf

    pixels = _dataset(folder).pixels(SIZE)[:images][:, np.newaxis]
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image.astype(np.float32)] for image in pixels)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return {"size_bytes": len(converter.convert())}


def save(folder: Path, images: int) -> dict[str, Any]:
    """Write the SavedModel that the converter reads."""
    del images
    keras = keras_files.import_keras()
    image = keras.InputSpec(shape=(1, *SIZE.shape), dtype="float32")
    model = keras_files.load(_recorded_artifact(folder, "keras"))
    model.export(folder / "saved", format="tf_saved_model", verbose=False, input_signature=[image])
    return {"size_bytes": 0}


STAGES: tuple[Callable[[Path, int], dict[str, Any]], ...] = (
    *(build, export, quantize, variants),
    *(save, convert),
)


def _run(plugin_name: str, given: str, folder: Path, images: int) -> dict[str, Any]:
    """Run a plugin's step on the recorded artifact of that format, and store its output."""
    plugin = installed().step(plugin_name)
    settings = {"calibration_images": images} if plugin.needs_data else {}
    artifact = _recorded_artifact(folder, given)
    store = Store(folder / "store")
    with store.draft() as output:
        step = step_for(
            plugin.config.model_validate(settings),
            [artifact],
            folder / plugin_name,
            output=output,
            dataset=_dataset(folder) if plugin.needs_data else None,
        )
        start = time.monotonic()
        result = plugin.load()(step)
        seconds = time.monotonic() - start
        stored = store.add(output, **_fields(plugin_name), format=result.format)
    if given == "keras":
        return _record(folder, stored) | {"seconds": seconds}
    return {"size_bytes": stored.size_bytes, "seconds": seconds}


def _fields(plugin: str) -> dict[str, Any]:
    return {
        "input": SIZE,
        "output": OutputSpec(kind="softmax", classes=CLASSES),
        "origin": Origin(plugin=plugin, distribution="benchmark", version="0"),
    }


def _record(folder: Path, artifact: Artifact) -> dict[str, Any]:
    (folder / artifact.format).write_text(artifact.digest)
    return {"size_bytes": artifact.size_bytes}


def _recorded_artifact(folder: Path, format: str) -> Artifact:
    return Store(folder / "store").open((folder / format).read_text())


def _dataset(folder: Path) -> Dataset:
    return read_images(folder / "images", folder / "cache")


def run_stage(name: str, folder: Path, images: int) -> None:
    """Run one stage in this process and print its measurements as JSON."""
    stages = {stage.__name__: stage for stage in STAGES}
    start = time.monotonic()
    measured = {"seconds": 0.0} | stages[name](folder, images)
    measured["seconds"] = measured["seconds"] or time.monotonic() - start
    measured["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
    print(json.dumps(measured))


def measure(stage: str, folder: Path, images: int) -> dict[str, Any]:
    """Run one stage in its own process and print its measurements."""
    command = [sys.executable, __file__, "--stage", stage]
    command += ["--folder", str(folder), "--images", str(images)]
    ended = subprocess.run(command, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{stage} ended with code {ended.returncode}:\n{ended.stderr[-2000:]}")
    measured = json.loads(ended.stdout.splitlines()[-1])
    print(
        f"{stage:<10} {measured['seconds']:7.1f} s  peak {measured['peak_bytes'] / _GB:5.2f} GB  "
        f"output {measured['size_bytes'] / 1e6:7.1f} MB",
        flush=True,
    )
    for name, form in measured.get("forms", {}).items():
        print(f"  {name:<17} {form['seconds']:6.1f} s  output {form['size_bytes'] / 1e6:7.1f} MB")
    return measured


def compare(folder: Path, images: int) -> None:
    """Run all stages and print the ratios of the converter and the technique."""
    _draw(folder / "images")
    measured = {stage.__name__: measure(stage.__name__, folder, images) for stage in STAGES}
    ours, theirs = measured["quantize"], measured["convert"]
    with_export = ours["seconds"] + measured["export"]["seconds"]
    with_saving = theirs["seconds"] + measured["save"]["seconds"]
    print(f"calibration images: {images}")
    print(f"TensorFlow's converter / quantize-int8: time {theirs['seconds'] / ours['seconds']:.1f}")
    print(f"  including export and saving: time {with_saving / with_export:.1f}")
    print(f"  peak memory {theirs['peak_bytes'] / ours['peak_bytes']:.1f}")
    print(f"  output size {theirs['size_bytes'] / ours['size_bytes']:.2f}")


def _draw(folder: Path) -> None:
    """Draw one training image of each class, and a few to compare the forms on."""
    draw_images(folder, classes=CLASSES, images=1)
    for split in ("validation", "test"):
        for label in sorted((folder / split).iterdir())[COMPARED:]:
            shutil.rmtree(label)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=4, help="calibration images")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder otherwise")
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        run_stage(arguments.stage, arguments.folder, arguments.images)
    elif arguments.folder:
        compare(arguments.folder, arguments.images)
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), arguments.images)


if __name__ == "__main__":
    main()
