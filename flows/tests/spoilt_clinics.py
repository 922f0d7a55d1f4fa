"""The images and rows of a small clinic, and everything that can be wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from pupila import manifest
from pupila_flows.data.validation import Bounds, validate
from pupila_flows.results import Check

CLASSES = ("ill", "well")
BOUNDS = Bounds(minimum_images=4)
PER_SPLIT = {"train": 12, "validation": 4, "test": 4}

DECODES = "Every file decodes"
KNOWN = "Every label is a known class"
SIZE = "Every image has 32 × 32 pixels or more"
EXPOSED = "No image is nearly black or white"
SHARP = "No image is blurred"
PRESENT = "Every class has 4 images or more in every split"
BALANCED = "The largest class is at most 3 times the smallest"
COPIES = "No image is in two splits"
NEAR = "No image nearly repeats one of another split"
PATIENTS = "No patient is in two splits"
SIZE_SHORTCUT = "The size of an image does not tell its class"
COLOUR_SHORTCUT = "The mean colour of an image does not tell its class"


def ignore(done: int, total: int, what: str) -> None:
    del done, total, what


def picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Return a random picture without edges: recompressed, it is still the same to the eye."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 215, (16, 16, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


class Clinic:
    """Images and rows of a manifest, good ones until a test spoils them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, str]] = []
        for split, count in PER_SPLIT.items():
            for label in CLASSES:
                for _ in range(count):
                    self.add(picture(len(self.rows)), label, split)

    def add(self, image: Image.Image, label: str, split: str, suffix: str = "png") -> Path:
        path = self.folder / f"{len(self.rows):03}.{suffix}"
        image.save(path)
        self.rows.append({"path": path.name, "label": label, "split": split})
        return path

    def path(self, row: int) -> Path:
        return self.folder / self.rows[row]["path"]

    def scan(self) -> pd.DataFrame:
        listing = self.folder / "clinic.csv"
        pd.DataFrame(self.rows).to_csv(listing, index=False)
        return manifest.scan(manifest.read(listing), self.folder / "cache", ignore)

    def validate(self, bounds: Bounds = BOUNDS) -> dict[str, Check]:
        docs = self.folder / "docs"
        checks, _ = validate(self.scan(), CLASSES, "ill", bounds, docs, "clinic.csv")
        return {check.name: check for check in checks}


def truncate(clinic: Clinic) -> None:
    content = clinic.path(0).read_bytes()
    clinic.path(0).write_bytes(content[: len(content) // 2])


def empty(clinic: Clinic) -> None:
    clinic.path(0).write_bytes(b"")


def write_text(clinic: Clinic) -> None:
    clinic.path(0).write_text("no image")


def misspell_label(clinic: Clinic) -> None:
    clinic.add(picture(900), "il", "train")


def shrink(clinic: Clinic) -> None:
    clinic.add(picture(900, (48, 20)), "ill", "train")


def blacken(clinic: Clinic) -> None:
    noise = np.random.default_rng(0).integers(0, 16, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(clinic.path(0))


def bleach(clinic: Clinic) -> None:
    noise = np.random.default_rng(0).integers(240, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(clinic.path(0))


def blur(clinic: Clinic) -> None:
    ramp = np.linspace(20, 220, 64).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (64, 1))).convert("RGB").save(clinic.path(0))


def empty_class_in_test(clinic: Clinic) -> None:
    clinic.rows = [row for row in clinic.rows if (row["label"], row["split"]) != ("well", "test")]


def drop_split(clinic: Clinic) -> None:
    clinic.rows = [row for row in clinic.rows if row["split"] != "validation"]


def unbalance(clinic: Clinic) -> None:
    for seed in range(900, 930):
        clinic.add(picture(seed), "ill", "train")


def copy_to_test(clinic: Clinic) -> None:
    copy = clinic.add(picture(0), "ill", "test")
    shutil.copy(clinic.path(0), copy)


def recompress_to_test(clinic: Clinic) -> None:
    clinic.add(picture(0).resize((60, 50)), "ill", "test", "jpg")


def brighten_to_test(clinic: Clinic) -> None:
    clinic.add(ImageEnhance.Brightness(picture(0)).enhance(1.15), "ill", "test")


def repeat_patient(clinic: Clinic) -> None:
    for number, row in enumerate(clinic.rows):
        row["patient"] = f"patient {number // 2}"
    clinic.rows[-1]["patient"] = "patient 0"


def tint(clinic: Clinic) -> None:
    for number, row in enumerate(clinic.rows):
        if row["label"] == "ill":
            red, green, blue = picture(number).split()
            red = red.point([max(value - 40, 0) for value in range(256)])
            Image.merge("RGB", (red, green, blue)).save(clinic.path(number))


def enlarge(clinic: Clinic) -> None:
    for number, row in enumerate(clinic.rows):
        if row["label"] == "ill":
            picture(number, (52, 40)).save(clinic.path(number))


def add_unlabelled(clinic: Clinic) -> None:
    """Add many, larger and redder than the others: nothing that could reveal a class."""
    for seed in range(900, 930):
        red, green, blue = picture(seed, (70, 60)).split()
        clinic.add(Image.merge("RGB", (red.point([255] * 256), green, blue)), "", "unlabelled")


def leave_labels_out_of_train(clinic: Clinic) -> None:
    for row in clinic.rows:
        if row["split"] == "train":
            row |= {"split": "unlabelled", "label": ""}


def copy_to_unlabelled(clinic: Clinic, row: int) -> None:
    shutil.copy(clinic.path(row), clinic.add(picture(row), "", "unlabelled"))


def repeat_train_in_unlabelled(clinic: Clinic) -> None:
    copy_to_unlabelled(clinic, 0)
    clinic.add(picture(1).resize((60, 50)), "", "unlabelled", "jpg")


def copy_validation_to_unlabelled(clinic: Clinic) -> None:
    copy_to_unlabelled(clinic, 24)


def copy_test_to_unlabelled(clinic: Clinic) -> None:
    copy_to_unlabelled(clinic, 39)


def recompress_test_to_unlabelled(clinic: Clinic) -> None:
    clinic.add(picture(39).resize((60, 50)), "", "unlabelled", "jpg")


def repeat_patient_in_unlabelled(clinic: Clinic) -> None:
    add_unlabelled(clinic)
    for number, row in enumerate(clinic.rows):
        row["patient"] = f"patient {number}"
    clinic.rows[-1]["patient"] = "patient 39"  # of the test split
    clinic.rows[-2]["patient"] = "patient 0"  # of the training split


def leave(clinic: Clinic) -> None:
    del clinic


def give_each_a_patient(clinic: Clinic) -> None:
    for number, row in enumerate(clinic.rows):
        row["patient"] = "" if number % 3 == 0 else f"patient {number}"
