"""Checks a scanned manifest, and writes a page that shows the results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pupila.data_checks import Fact
from pupila.dataset import UNLABELLED, Dataset
from pupila.errors import check_class
from pupila.plugin import CLASSIFICATION
from pupila.scanning import NUMBERS
from pupila.task import LabelRule, methods_of
from pupila_flows.data.validation.data_docs import make_offline, write_index
from pupila_flows.data.validation.dataset_checks import SHOWN_IMAGES, facts
from pupila_flows.data.validation.great_expectations import Outcome, evaluate
from pupila_flows.data.validation.histograms import histograms
from pupila_flows.data.validation.image_checks import Limit, Rule, of_labels, rules
from pupila_flows.data.validation.pictures import found_images
from pupila_flows.data.validation.plugin_checks import Expected, plugin_checks
from pupila_flows.recipe.expectations import Bounds
from pupila_flows.results import Check


def check_images(
    frame: pd.DataFrame,
    classes: Sequence[str],
    positive: str,
    bounds: Bounds,
    docs_folder: Path,
    source: str,
    task: str = CLASSIFICATION,
) -> tuple[tuple[Check, ...], Path]:
    """Check a scanned manifest, as `pupila_flows.data.validation.validate` describes."""
    plain = _plain(frame)
    if task == CLASSIFICATION:
        check_class("positive", positive, classes)
        names, label_rules = classes, ()
    else:
        names, label_rules = (), _label_rules(plain, classes, docs_folder, task)
        plain = _with_faults(plain, label_rules)
    image_rules = (*rules(names, bounds), *map(of_labels, label_rules))
    theirs = tuple(plugin_checks(plain, bounds, task))
    dataset_facts = (
        *facts(plain, names, positive, bounds),
        *(answer for answer in theirs if isinstance(answer, Fact)),
    )
    expected = tuple(answer for answer in theirs if isinstance(answer, Expected))
    outcomes = evaluate(plain, image_rules, dataset_facts, docs_folder, expected)
    checks = (
        *(_check_of_rule(rule, outcomes[rule.name], plain) for rule in image_rules),
        *(_check_of_fact(fact, outcomes[fact.name]) for fact in dataset_facts),
        *(_check_of_expected(check, outcomes[check.name]) for check in expected),
    )
    make_offline(docs_folder)
    by_name = {rule.name: rule for rule in image_rules}
    pictures = {check.name: found_images(check, by_name.get(check.name), plain) for check in checks}
    return checks, write_index(docs_folder, source, checks, pictures, histograms(plain, bounds))


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the column types that a new scan gives: text or float.

    A frame that was read from CSV has empty text in place of unknown numbers. Labels of unlabelled
    images are set to missing, so that the rule on labels skips them.
    """
    numbers = {name: frame[name].replace("", None).astype("float64") for name in NUMBERS}
    texts = {name: frame[name].astype("str") for name in frame if name not in NUMBERS}
    plain = pd.DataFrame(texts | numbers)
    plain.loc[plain["split"] == UNLABELLED, "label"] = None
    return plain


def _label_rules(
    frame: pd.DataFrame, classes: Sequence[str], cache: Path, task: str
) -> tuple[LabelRule, ...]:
    """Return a task's rules on the labels of all images that have one and decode."""
    labelled = frame[_is_labelled(frame)].reset_index(drop=True)
    return tuple(methods_of(task).label_rules(Dataset(labelled, tuple(classes), cache, task)))


def _with_faults(frame: pd.DataFrame, label_rules: Sequence[LabelRule]) -> pd.DataFrame:
    """Return the frame with a column for each rule, which is empty where labels are not checked."""
    rows = np.flatnonzero(_is_labelled(frame))
    checked = frame.copy()
    for rule in label_rules:
        faults: list[str | None] = [None] * len(frame)
        for row, fault in zip(rows.tolist(), rule.faults, strict=True):
            faults[row] = fault
        checked[rule.column] = faults
    return checked


def _is_labelled(frame: pd.DataFrame) -> pd.Series[bool]:
    return (frame["split"] != UNLABELLED) & (frame["error"] == "")


def _check_of_rule(rule: Rule, outcome: Outcome, frame: pd.DataFrame) -> Check:
    return Check(
        name=rule.name,
        severity=rule.severity,
        passed=outcome.passed,
        observed="; ".join(_describe(limit, outcome, frame) for limit in rule.limits),
        advice="" if outcome.passed else rule.advice,
        images=tuple(dict.fromkeys(outcome.images))[:SHOWN_IMAGES],
    )


def _describe(limit: Limit, outcome: Outcome, frame: pd.DataFrame) -> str:
    """Return a text that says how many images break a limit, and with which values."""
    broken, values = outcome.unexpected[limit.column], frame[limit.column]
    if limit.allowed is None:
        images = f"{broken} of {len(frame)} images"
        extent = f"it goes from {values.min():.4g} to {values.max():.4g}"
        return f"{images} have a {limit.column} that is not {limit.words}; {extent}"
    if not broken:
        return f"all {values.count()} images"
    others = ", ".join(map(repr, dict.fromkeys(outcome.values[limit.column])))
    return f"{broken} of {values.count()} images: {limit.column} {others}"


def _check_of_expected(expected: Expected, outcome: Outcome) -> Check:
    return Check(
        name=expected.name,
        severity=expected.severity,
        passed=outcome.passed,
        observed=outcome.observed,
        images=tuple(dict.fromkeys(outcome.images))[:SHOWN_IMAGES],
    )


def _check_of_fact(fact: Fact, outcome: Outcome) -> Check:
    return Check(
        name=fact.name,
        severity=fact.severity,
        passed=outcome.passed,
        observed=fact.observed,
        advice="" if outcome.passed else fact.advice,
        images=fact.images,
        shortcut=fact.shortcut,
    )
