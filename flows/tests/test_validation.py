"""Each check of the data fires on what it is for, and on nothing else."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError
from spoilt_clinics import (
    BALANCED,
    BOUNDS,
    CLASSES,
    COLOUR_SHORTCUT,
    COPIES,
    DECODES,
    EXPOSED,
    KNOWN,
    NEAR,
    PATIENTS,
    PRESENT,
    SHARP,
    SIZE,
    SIZE_SHORTCUT,
    Clinic,
    add_unlabelled,
    blacken,
    bleach,
    blur,
    brighten_to_test,
    copy_test_to_unlabelled,
    copy_to_test,
    copy_validation_to_unlabelled,
    drop_split,
    empty,
    empty_class_in_test,
    enlarge,
    give_each_a_patient,
    ignore,
    leave,
    leave_labels_out_of_train,
    misspell_label,
    picture,
    recompress_test_to_unlabelled,
    recompress_to_test,
    repeat_patient,
    repeat_patient_in_unlabelled,
    repeat_train_in_unlabelled,
    shrink,
    tint,
    truncate,
    unbalance,
    write_text,
)

from pupila import PupilaError, manifest
from pupila_flows.data.reading import read_data
from pupila_flows.data.validation import Bounds, validate


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path)


@pytest.mark.parametrize(
    ("spoil", "failing", "text"),
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
        (recompress_to_test, {NEAR}, "2 of 41 images differ by 16 bits"),
        (brighten_to_test, {NEAR}, "2 of 41 images differ by 16 bits"),
        (repeat_patient, {PATIENTS}, "1 of 20 patients, with 3 images.*: patient 0"),
        (tint, {COLOUR_SHORTCUT}, r"AUC of mean red, green and blue alone (0.9\d|1.00)"),
        (enlarge, {SIZE_SHORTCUT}, "AUC of width alone 1.00, AUC of height alone 0.50"),
        (add_unlabelled, set[str](), ""),
        (leave_labels_out_of_train, {PRESENT}, "train: ill 0, well 0; .*; unlabelled: 24"),
        (repeat_train_in_unlabelled, set[str](), ""),
        (copy_validation_to_unlabelled, {COPIES}, "2 of 41 files"),
        (copy_test_to_unlabelled, {COPIES}, "2 of 41 files"),
        (recompress_test_to_unlabelled, {NEAR}, "2 of 41 images differ by 16 bits"),
        (repeat_patient_in_unlabelled, {PATIENTS}, "1 of 68 patients.*: patient 39"),
    ],
)
def test_each_check_fires_on_its_fault_alone(
    clinic: Clinic, spoil: Callable[[Clinic], None], failing: set[str], text: str
) -> None:
    spoil(clinic)
    checks = clinic.validate()
    assert {name for name, check in checks.items() if not check.passed} == failing
    for name in failing:
        assert re.search(text, checks[name].observed)
        assert checks[name].advice
    assert all(not check.advice for check in checks.values() if check.passed)


def test_checks_say_how_many_images_have_a_label(clinic: Clinic) -> None:
    add_unlabelled(clinic)
    misspell_label(clinic)
    checks = clinic.validate()
    assert checks[KNOWN].observed == "1 of 41 images: label 'il'"
    assert checks[DECODES].observed == "all 71 images"
    assert checks[PRESENT].observed.endswith("test: ill 4, well 4; unlabelled: 30")


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


def test_a_frame_that_was_stored_as_text_is_checked_the_same(clinic: Clinic) -> None:
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


def test_a_positive_class_that_is_not_a_class_is_refused(clinic: Clinic) -> None:
    with pytest.raises(PupilaError, match=r"'wel', which is not one of .*Did you mean 'well'\?"):
        validate(clinic.scan(), CLASSES, "wel", BOUNDS, clinic.folder / "docs", "clinic.csv")


def test_a_brightness_range_that_is_empty_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"minimum_brightness 90.* must be below"):
        Bounds(minimum_brightness=90, maximum_brightness=80)


def test_acrima_passes_with_a_warning_that_colour_tells_the_class(
    shared_data: Path, tmp_path: Path
) -> None:
    listing = manifest.read(shared_data / "glaucoma.csv")
    frame = manifest.scan(listing, tmp_path / "cache", ignore)
    classes = ("normal", "glaucoma")
    checks, _ = validate(frame, classes, "glaucoma", Bounds(), tmp_path / "docs", "ACRIMA")
    assert [check.name for check in checks if not check.passed] == [COLOUR_SHORTCUT]
    (colour,) = (check for check in checks if check.name == COLOUR_SHORTCUT)
    assert re.search(r"alone 0\.(8[89]|9[01]) ", colour.observed)
