"""Each check of the data fires on what it is for, and on nothing else."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from pydantic import ValidationError

from pupila import PupilaError, manifest
from pupila_flows.data.reading import read_data
from pupila_flows.data.validation import Bounds, validate
from pupila_flows.data.validation.duplicates import near_duplicates
from pupila_flows.data.validation.shortcuts import colour_auc, size_auc
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
    """Return a smooth random picture: recompressed, it is still the same to the eye."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 215, (8, 8, 3), dtype=np.uint8)
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


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


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
    """Add many, larger and redder than the others: nothing that a class could be told by."""
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


@pytest.mark.parametrize(
    ("spoil", "failing", "found"),
    [
        (leave, set[str](), ""),
        (give_each_a_patient, set[str](), ""),
        (truncate, {DECODES}, "1 of 40 images: error 'image file is truncated'"),
        (empty, {DECODES}, "1 of 40 images: error 'the file is empty'"),
        (write_text, {DECODES}, "1 of 40 images: error 'its format is not known'"),
        (misspell_label, {KNOWN}, "1 of 41 images: label 'il'"),
        (
            shrink,
            {SIZE},
            "1 of 41 images have a height that is not 32 or more; it goes from 20 to 40",
        ),
        (blacken, {EXPOSED}, "1 of 40 images have a brightness that is not from 15 to 240"),
        (bleach, {EXPOSED}, "1 of 40 images have a brightness that is not from 15 to 240"),
        (blur, {SHARP}, "1 of 40 images have a sharpness that is not 1 or more"),
        (empty_class_in_test, {PRESENT}, "test: ill 4, well 0"),
        (drop_split, {PRESENT}, "validation: ill 0, well 0"),
        (unbalance, {BALANCED}, r"3.50 times in train \(ill 42, well 12\)"),
        (copy_to_test, {COPIES}, "2 of 41 files"),
        (recompress_to_test, {NEAR}, "2 of 41 images differ by 4 bits"),
        (brighten_to_test, {NEAR}, "2 of 41 images differ by 4 bits"),
        (repeat_patient, {PATIENTS}, "1 of 20 patients, with 3 images.*: patient 0"),
        (tint, {COLOUR_SHORTCUT}, r"AUC of mean red, green and blue alone (0.9\d|1.00)"),
        (enlarge, {SIZE_SHORTCUT}, "AUC of width alone 1.00, AUC of height alone 0.50"),
        (add_unlabelled, set[str](), ""),
        (leave_labels_out_of_train, {PRESENT}, "train: ill 0, well 0; .*; unlabelled: 24"),
        (repeat_train_in_unlabelled, set[str](), ""),
        (copy_validation_to_unlabelled, {COPIES}, "2 of 41 files"),
        (copy_test_to_unlabelled, {COPIES}, "2 of 41 files"),
        (recompress_test_to_unlabelled, {NEAR}, "2 of 41 images differ by 4 bits"),
        (repeat_patient_in_unlabelled, {PATIENTS}, "1 of 68 patients.*: patient 39"),
    ],
)
def test_each_check_fires_on_its_fault_alone(
    clinic: Clinic, spoil: Callable[[Clinic], None], failing: set[str], found: str
) -> None:
    spoil(clinic)
    checks = clinic.validate()
    assert {name for name, check in checks.items() if not check.passed} == failing
    for name in failing:
        assert re.search(found, checks[name].found)
        assert checks[name].advice
    assert all(not check.advice for check in checks.values() if check.passed)


def test_checks_say_how_many_images_have_a_label(clinic: Clinic) -> None:
    add_unlabelled(clinic)
    misspell_label(clinic)
    checks = clinic.validate()
    assert checks[KNOWN].found == "1 of 41 images: label 'il'"
    assert checks[DECODES].found == "all 71 images"
    assert checks[PRESENT].found.endswith("test: ill 4, well 4; unlabelled: 30")


def test_classes_are_never_taken_from_unlabelled_images(clinic: Clinic) -> None:
    add_unlabelled(clinic)
    clinic.scan()
    listing, cache = clinic.folder / "clinic.csv", clinic.folder / "cache"
    assert read_data(listing, None, cache).classes == CLASSES
    clinic.rows = [row for row in clinic.rows if row["split"] == "unlabelled"]
    clinic.scan()
    with pytest.raises(
        PupilaError, match=r"The 30 images of .*clinic\.csv' are all unlabelled: add"
    ):
        read_data(listing, None, cache)


def test_errors_stop_a_run_and_warnings_do_not(clinic: Clinic) -> None:
    repeat_patient(clinic)
    severities = {name: check.severity for name, check in clinic.validate().items()}
    assert {name for name, severity in severities.items() if severity == "error"} == {
        *(DECODES, KNOWN, SIZE, PRESENT, COPIES, PATIENTS)
    }
    assert {name for name, severity in severities.items() if severity == "warning"} == {
        *(EXPOSED, SHARP, BALANCED, NEAR, SIZE_SHORTCUT, COLOUR_SHORTCUT)
    }


def test_offending_images_are_named(clinic: Clinic) -> None:
    truncate(clinic)
    copy = clinic.add(picture(1), "well", "validation")
    shutil.copy(clinic.path(1), copy)
    checks = clinic.validate()
    assert checks[DECODES].images == (str(clinic.path(0)),)
    assert set(checks[COPIES].images) == {str(clinic.path(1)), str(copy)}


def test_bounds_move_what_is_accepted(clinic: Clinic) -> None:
    strict = Bounds(minimum_images=5, minimum_width=64, maximum_class_ratio=1)
    checks = clinic.validate(strict)
    failing = {name for name, check in checks.items() if not check.passed}
    assert failing == {
        "Every class has 5 images or more in every split",
        "Every image has 64 × 32 pixels or more",
    }


def test_a_frame_that_was_stored_as_text_is_judged_the_same(clinic: Clinic) -> None:
    truncate(clinic)
    add_unlabelled(clinic)
    frame = clinic.scan()
    stored = clinic.folder / "stored.csv"
    frame.to_csv(stored, index=False)
    back = pd.read_csv(stored, dtype="str", keep_default_na=False)
    docs = clinic.folder / "docs"
    first, _ = validate(frame, CLASSES, "ill", BOUNDS, docs, "clinic.csv")
    second, _ = validate(back, CLASSES, "ill", BOUNDS, docs, "clinic.csv")
    assert first == second


def test_a_positive_class_that_is_no_class_is_refused(clinic: Clinic) -> None:
    with pytest.raises(PupilaError, match=r"'wel', which is none of .*Did you mean 'well'\?"):
        validate(clinic.scan(), CLASSES, "wel", BOUNDS, clinic.folder / "docs", "clinic.csv")


def test_a_brightness_range_that_is_empty_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"minimum_brightness 90.* must be below"):
        Bounds(minimum_brightness=90, maximum_brightness=80)


# Near-duplicates -------------------------------------------------------------------------------


@pytest.mark.parametrize("distance", [0, 1, 4, 8])
def test_near_duplicates_are_those_that_comparing_all_pairs_finds(distance: int) -> None:
    random = np.random.default_rng(distance)
    codes = random.integers(0, 2**63, 60, dtype=np.uint64)
    flips = random.random((60, 64)) < random.random((60, 1)) * 0.15
    noise = np.packbits(flips, axis=1).view(np.uint64)[:, 0]
    codes = np.concatenate([codes, codes ^ noise])
    splits = random.integers(0, 3, len(codes))
    near = np.bitwise_count(codes[:, None] ^ codes) <= distance
    expected = (near & (splits[:, None] != splits)).any(axis=1)
    twins = near_duplicates([f"{code:016x}" for code in codes], splits, distance)
    np.testing.assert_array_equal(twins >= 0, expected)
    assert all(near[row, twins[row]] for row in np.flatnonzero(expected))


def test_every_row_of_equal_hashes_has_its_near_duplicate() -> None:
    splits = np.array([0, 0, 0, 1])
    twins = near_duplicates(["00000000000000ff"] * 3 + ["00000000000000fe"], splits, 4)
    assert twins.tolist() == [3, 3, 3, 0]


def test_near_duplicates_among_100_000_images_are_found_in_seconds() -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 2**63, 100_000, dtype=np.uint64)
    codes[-1] = codes[0] ^ np.uint64(0b1011)
    splits = np.zeros(len(codes), np.int64)
    splits[len(codes) // 2 :] = 1
    start = time.process_time()
    twins = near_duplicates([f"{code:016x}" for code in codes], splits, 4)
    assert time.process_time() - start < 30
    assert np.flatnonzero(twins >= 0).tolist() == [0, 99_999]


# Shortcuts -------------------------------------------------------------------------------------


def test_a_shortcut_counts_in_either_direction() -> None:
    frame = pd.DataFrame({"width": [9, 8, 2, 1], "height": [1, 2, 8, 9], "bytes": [1, 4, 4, 1]})
    aucs = size_auc(frame, np.array([False, False, True, True]))
    assert aucs == {"width": 1.0, "height": 1.0, "bytes": 0.5}


def test_colour_that_says_nothing_scores_about_one_half() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.random((400, 3)), columns=["mean_red", "mean_green", "mean_blue"])
    truth = np.arange(400) % 2 == 0
    assert 0.4 < colour_auc(frame, truth) < 0.6
    frame["mean_blue"] += np.where(truth, 0.9, 0)
    assert colour_auc(frame, truth) > 0.9


# Data Docs -------------------------------------------------------------------------------------


class Requests(HTMLParser):
    """What a browser would fetch for a page, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name == "src" or (name == "href" and tag != "a"):
                self.fetched.append(value or "")
            elif name == "href":
                self.links.append(value or "")


def requests(page: Path) -> Requests:
    parser = Requests()
    parser.feed(page.read_text())
    return parser


def test_data_docs_ask_the_network_for_nothing(clinic: Clinic) -> None:
    truncate(clinic)
    clinic.validate()
    pages = list((clinic.folder / "docs").rglob("*.html"))
    assert len(pages) == 5
    for page in pages:
        found = requests(page)
        assert found.scripts == 0
        assert [url for url in found.fetched if re.match(r"(https?:)?//", url)] == []
        assert "url(http" not in page.read_text()
        assert "@import" not in page.read_text()


def test_every_link_of_data_docs_leads_to_a_page_or_a_place(clinic: Clinic) -> None:
    clinic.validate()
    for page in (clinic.folder / "docs").rglob("*.html"):
        for link in requests(page).links:
            target, _, place = link.partition("#")
            aim = (page.parent / target).resolve() if target else page
            assert aim.is_file(), f"{page.name} links to {link}"
            assert not place or re.search(rf'id="?{re.escape(place)}\b', aim.read_text())


def test_the_index_page_tells_what_was_found(clinic: Clinic) -> None:
    truncate(clinic)
    checks, index = validate(
        clinic.scan(), CLASSES, "ill", BOUNDS, clinic.folder / "docs", "<eyes>.csv"
    )
    html = index.read_text()
    assert "&lt;eyes&gt;.csv" in html
    assert "Stopped" in html
    assert clinic.path(0).name in html
    assert all(check.name in html for check in checks)


def test_validation_is_quiet_and_replaces_its_earlier_pages(
    clinic: Clinic, capfd: pytest.CaptureFixture[str]
) -> None:
    clinic.validate()
    clinic.validate()
    assert len(list((clinic.folder / "docs").rglob("*.html"))) == 5
    written = capfd.readouterr()
    assert (written.out, written.err) == ("", "")


def test_acrima_passes_with_a_warning_that_colour_tells_the_class(
    shared_data: Path, tmp_path: Path
) -> None:
    listing = manifest.read(shared_data / "glaucoma.csv")
    frame = manifest.scan(listing, tmp_path / "cache", ignore)
    classes = ("normal", "glaucoma")
    checks, _ = validate(frame, classes, "glaucoma", Bounds(), tmp_path / "docs", "ACRIMA")
    assert [check.name for check in checks if not check.passed] == [COLOUR_SHORTCUT]
    (colour,) = (check for check in checks if check.name == COLOUR_SHORTCUT)
    assert re.search(r"alone 0\.(8[89]|9[01]) ", colour.found)
