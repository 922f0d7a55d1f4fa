"""Evaluates rules on each image, and facts about all images, with Great Expectations.

Great Expectations turns HTML escaping off for its templates, which end in `.j2`. So texts of the
data are escaped before the evaluation, and unescaped in its results.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape, unescape
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from pupila.data_checks import Fact
from pupila.errors import PupilaError
from pupila_flows.data.validation.dataset_checks import SHOWN_IMAGES
from pupila_flows.data.validation.image_checks import Limit, Rule
from pupila_flows.data.validation.plugin_checks import Expected

IMAGES_SUITE = "each_image"
FACTS_SUITE = "all_images_together"

_SEVERITIES = {"error": "critical", "warning": "warning"}


@dataclass
class Outcome:
    """The result of one rule or fact."""

    passed: bool = True
    unexpected: dict[str, int] = field(default_factory=dict[str, int])
    """Number of rows that break a rule, by column."""
    values: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    """The first values that break the rule, by column."""
    images: list[str] = field(default_factory=list[str])
    """Paths of the first images that break the rule."""
    observed: str = ""
    """What an expectation saw, in words."""


def evaluate(
    frame: pd.DataFrame,
    rules: Sequence[Rule],
    facts: Sequence[Fact],
    docs_folder: Path,
    expected: Sequence[Expected] = (),
) -> dict[str, Outcome]:
    """Return the outcome of each check by its name; write Data Docs into `docs_folder`.

    Raises:
        PupilaError: an expectation in `expected` cannot be evaluated.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    for earlier in ("expectations", "validations"):
        shutil.rmtree(docs_folder / earlier, ignore_errors=True)
    context = _context(docs_folder)
    columns = ["path", *dict.fromkeys(limit.column for rule in rules for limit in rule.limits)]
    columns = list(frame) if expected else columns
    results = [
        *_run(
            context,
            IMAGES_SUITE,
            _escape(frame[columns]),
            [*_of_rules(rules), *map(_of_expected, expected)],
        ),
        *_run(context, FACTS_SUITE, _facts_frame(facts), _of_facts(facts)),
    ]
    context.build_data_docs()
    outcomes = {check.name: Outcome() for check in (*rules, *facts, *expected)}
    for result in results:
        _add(outcomes[result.expectation_config.meta["check"]], result)
    return outcomes


def _escape(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with all its texts escaped for HTML."""
    safe = frame.copy()
    for column in frame.select_dtypes(exclude="number").columns:
        safe[column] = frame[column].astype(object).map(_escape_value)
    return safe


def _escape_value(value: Any) -> Any:
    return _escape_text(value) if isinstance(value, str) else value


def _escape_text(text: str) -> str:
    """Escape a text for HTML, and for templates that would replace `$name` in it."""
    return escape(text).replace("$", "&#36;")


def _unescape(values: Iterable[Any]) -> list[Any]:
    return [unescape(value) if isinstance(value, str) else value for value in values]


def _context(docs_folder: Path) -> Any:
    """Return a Great Expectations context that writes only Data Docs, and shows no progress."""
    gx: Any = import_module("great_expectations")
    types: Any = import_module("great_expectations.data_context.types.base")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = types.ProgressBarsConfig(globally=False)
    for name in list(context.config.data_docs_sites):
        context.delete_data_docs_site(name)
    store = {
        "class_name": "TupleFilesystemStoreBackend",
        "base_directory": str(docs_folder.absolute()),
    }
    index = {"class_name": "DefaultSiteIndexBuilder"}
    site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
    context.add_data_docs_site("data_docs", site)
    return context


def _run(context: Any, name: str, frame: pd.DataFrame, expectations: Iterable[Any]) -> list[Any]:
    gx: Any = import_module("great_expectations")
    asset = context.data_sources.add_pandas(name).add_dataframe_asset(name)
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(
            name=name,
            data=asset.add_batch_definition_whole_dataframe(name),
            suite=context.suites.add(
                gx.ExpectationSuite(name=name, expectations=list(expectations))
            ),
        )
    )
    shown: dict[str, Any] = {
        "result_format": "SUMMARY",
        "partial_unexpected_count": SHOWN_IMAGES,
    }
    if "path" in frame:
        shown["unexpected_index_column_names"] = ["path"]
    return definition.run(batch_parameters={"dataframe": frame}, result_format=shown).results


def _of_rules(rules: Sequence[Rule]) -> list[Any]:
    return [_of_limit(rule, limit) for rule in rules for limit in rule.limits]


def _of_limit(rule: Rule, limit: Limit) -> Any:
    gxe: Any = import_module("great_expectations.expectations")
    common: dict[str, Any] = {
        "column": limit.column,
        "description": _escape_text(f"{rule.name}: {limit.column} {limit.words}"),
        "severity": _SEVERITIES[rule.severity],
        "meta": {"check": rule.name},
    }
    if limit.allowed is not None:
        return gxe.ExpectColumnValuesToBeInSet(
            value_set=[_escape_text(value) for value in limit.allowed], **common
        )
    return gxe.ExpectColumnValuesToBeBetween(
        min_value=limit.minimum, max_value=limit.maximum, **common
    )


def _of_expected(expected: Expected) -> Any:
    return expected.expectation.copy(
        update={
            "description": _escape_text(expected.name),
            "meta": {"check": expected.name},
        }
    )


def _of_facts(facts: Sequence[Fact]) -> list[Any]:
    gxe: Any = import_module("great_expectations.expectations")
    return [
        gxe.ExpectColumnMaxToBeBetween(
            column=fact.column,
            min_value=fact.minimum,
            max_value=fact.maximum,
            description=_escape_text(f"{fact.name}: {fact.observed}"),
            severity=_SEVERITIES[fact.severity],
            meta={"check": fact.name},
        )
        for fact in facts
    ]


def _facts_frame(facts: Sequence[Fact]) -> pd.DataFrame:
    return pd.DataFrame({fact.column: [fact.value] for fact in facts})


def _add(outcome: Outcome, result: Any) -> None:
    """Add the result of one expectation to the outcome of its rule or fact."""
    details = result.result
    column = result.expectation_config.kwargs.get("column", "")
    if not details and not result.success:
        name = result.expectation_config.meta["check"]
        raise PupilaError(
            f"The data check {name!r} cannot be evaluated ({_reason(result.exception_info)}): "
            f"correct its plugin, or uninstall it."
        )
    outcome.observed = _observed(details)
    outcome.passed &= bool(result.success)
    outcome.unexpected[column] = details.get("unexpected_count", 0)
    outcome.values[column] = _unescape(details.get("partial_unexpected_list", []))
    images = details.get("partial_unexpected_index_list") or ()
    outcome.images += _unescape(image["path"] for image in images)


def _observed(details: dict[str, Any]) -> str:
    """Return what an expectation saw: its value, or how many images do not meet it."""
    if "unexpected_count" in details:
        return f"{details['unexpected_count']} of {details['element_count']} images do not meet it"
    value = details.get("observed_value")
    return f"the value is {value:.6g}" if isinstance(value, float) else f"the value is {value}"


def _reason(exception_info: dict[str, Any]) -> str:
    """Return the message of an exception as Great Expectations reports it, alone or by metric."""
    infos: list[Any] = [exception_info, *exception_info.values()]
    messages = [info.get("exception_message") for info in infos if isinstance(info, dict)]  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - untyped
    return next((str(message) for message in messages if message), "no reason is given")  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] - untyped
