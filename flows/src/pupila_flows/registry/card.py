"""The model card of a version (Mitchell et al. 2019, "Model Cards for Model Reporting")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import PurePath

from pupila.digest import short_digest
from pupila.evaluation import Cost, Estimate, Evaluation, Metrics
from pupila_flows.gate.conditions import condition_of
from pupila_flows.gate.messages import notes
from pupila_flows.markdown import code, plain, stated, table
from pupila_flows.printable import printable
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.card_external import external_lines
from pupila_flows.registry.card_shift import shift_lines
from pupila_flows.registry.manifest import Link, Override
from pupila_flows.report import formatting
from pupila_flows.results import ArtifactVerdict, Check, Entry, GateResult, RunResult

_NOT_STATED = "Not stated by the publisher."
_NOT_CLINICAL = "Not for clinical use."
_SMALL_DATA = (
    "Good figures on a small data set of one source prove that the machinery works, not that a "
    "model diagnoses."
)
_POINT = ("sensitivity", "specificity", "at threshold")
"""Columns of a table that stand together: neither of the first two says anything alone."""

"""Of a digest, where it only helps to tell one artifact from another."""


def write_card(
    name: str,
    version: int,
    result: RunResult,
    section: PublishSection,
    chain: Mapping[str, Link],
    artifacts: Mapping[str, str],
    overrides: Sequence[Override],
) -> str:
    """Return the card as Markdown."""
    entries = [entry for entry in result.entries if entry.name in artifacts]
    parts = [
        _head(name, version, result, overrides),
        _use(section),
        _models(entries),
        _figures(entries, result.specificity),
        _groups(entries),
        shift_lines(entries),
        external_lines(entries, result),
        _gate(result.gate),
        _overrides(overrides),
        _data(result),
        _teachers(chain),
        _limits(result, section),
        ["## Licence", "", stated(section.licence) or _NOT_STATED],
        _origin(name, version, result, artifacts),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def card_page(card: str, title: str) -> str:
    """Return a card as an HTML page that needs nothing else."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    body = reader.render(card)
    return printable(_PAGE.format(title=escape(title), body=body))


_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2733; background: #fff }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; font-size: 0.9rem }}
th, td {{ border: 1px solid #d5dde5; padding: 0.3rem 0.6rem; text-align: left }}
th {{ background: #f3f6f9 }}
blockquote {{ margin: 1rem 0; padding: 0.1rem 1rem; border-left: 4px solid #b3261e;
  background: #fdf3f2 }}
code {{ overflow-wrap: anywhere }}
td:nth-child(-n+2) code {{ overflow-wrap: normal }}
</style>
<body>
{body}</body>
</html>
"""


def _head(name: str, version: int, result: RunResult, overrides: Sequence[Override]) -> list[str]:
    lines = [f"# {plain(name)}, version {version}", ""]
    own = next((each for each in overrides if each.version == version), None)
    if own:
        lines += [
            f"> **Published by an override of {plain(own.by)}, though the gate said "
            f"“{plain(own.gate)}”.** Reason: {plain(own.reason)}",
            "",
        ]
    for sentence in result.unproven:
        lines += [f"> **{plain(sentence)}** The recipe says that it is unproven.", ""]
    if result.synthetic:
        lines += ["> **The images are synthetic**: these figures say nothing of medicine.", ""]
    models = formatting.plural(len([e for e in result.entries if e.kind == "teacher"]), "teacher")
    when = formatting.moment(result.started)
    return [*lines, f"Made by Pupila from {models} in the run of {when}. {_NOT_CLINICAL}"]


def _use(section: PublishSection) -> list[str]:
    beyond = stated(section.out_of_scope) or f"{_NOT_STATED} {_NOT_CLINICAL}"
    return [
        *("## Intended use", "", stated(section.intended_use) or _NOT_STATED, ""),
        *("## Out of scope", "", beyond),
    ]


def _models(entries: Sequence[Entry]) -> list[str]:
    rows: list[list[str]] = []
    for entry in entries:
        cost = _cost(entry)
        record = entry.record
        rows.append(
            [
                code(entry.name),
                code(entry.uses),
                plain(record.format) if record else "",
                formatting.size(cost.size_bytes if cost else None),
                formatting.size(cost.gzip_bytes if cost else None),
                formatting.count(record.parameters if record else None),
                _latency(entry),
                code(f"{short_digest(entry.artifact or '')}…"),
            ]
        )
    head = ["model", "made by", "format", "size", "gzipped", "weights", "latency", "digest"]
    return ["## Models", "", *table(head, rows)]


def _cost(entry: Entry) -> Cost | None:
    judged = entry.evaluation or entry.measurement
    return judged.cost if judged else None


def _latency(entry: Entry) -> str:
    judged = entry.evaluation or entry.measurement
    if judged is None:
        return formatting.NONE
    latency = judged.cost.latency
    return (
        f"{formatting.milliseconds(latency.median_ms)} (95 %: "
        f"{formatting.milliseconds(latency.p95_ms)}), "
        f"{formatting.plural(latency.threads, 'thread')}, {plain(judged.runtime)}, "
        f"{plain(judged.cpu)}"
    )


def _figures(entries: Sequence[Entry], specificity: float) -> list[str]:
    judged = [(entry, entry.evaluation) for entry in entries if entry.evaluation]
    if not judged:
        return ["## Figures", "", "None of the published artifacts answers by itself."]
    rows = [[code(entry.name), *_answers(evaluation)] for entry, evaluation in judged]
    head = ["model", "images", "accuracy", "AUC"]
    head += [*_POINT, "ECE", "Brier", "agrees with the teacher"]
    split = judged[0][1].split
    told = (
        f"On the {split} images, each artifact in its own runtime; 95 % intervals in brackets. "
        f"Sensitivity and specificity {_thresholds(judged, specificity)}. "
        f"{formatting.independence(judged[0][1].metrics)} "
        f"The intervals of ECE and Brier score are rough."
    )
    return ["## Figures", "", told, "", *table(head, rows)]


def _thresholds(judged: Sequence[tuple[Entry, Evaluation]], specificity: float) -> str:
    """Say at which threshold the figures of each model are."""
    shipped = [
        f"{code(entry.name)} at the one that it ships, {formatting.score(point.threshold)} "
        f"({plain(point.chosen_on)})"
        for entry, each in judged
        if (point := each.metrics.shipped)
    ]
    others = [each.metrics.point for _, each in judged if not each.metrics.shipped]
    chosen = {
        point.chosen_on: f"{point.images or 'the'} {point.chosen_on}" for point in others if point
    }
    if chosen:
        images = formatting.listed(list(chosen.values()))
        wanted = formatting.percent(specificity, 0)
        shipped.append(
            f"{'others ' if shipped else ''}at that chosen on {images} images for a "
            f"specificity of {wanted} there"
            + (", which are these very images: optimistic" if "test" in chosen else "")
        )
    return f"belong to a threshold: {'; '.join(shipped)}" if shipped else "have no threshold"


def _answers(evaluation: Evaluation) -> list[str]:
    metrics, agreement = evaluation.metrics, evaluation.agreement
    return [
        *_quality(metrics),
        _score(metrics.ece),
        _score(metrics.brier),
        _percent(agreement.labels) if agreement else formatting.NONE,
    ]


def _quality(metrics: Metrics) -> list[str]:
    point = metrics.point
    return [
        str(metrics.images),
        _percent(metrics.accuracy),
        _score(metrics.auc) if metrics.auc else formatting.NONE,
        _percent(point.sensitivity) if point else formatting.NONE,
        _percent(point.specificity) if point else formatting.NONE,
        formatting.threshold(metrics),
    ]


def _groups(entries: Sequence[Entry]) -> list[str]:
    """Return the same figures by site and source, where the data tells them."""
    lines: list[str] = []
    columns = {
        column: None for entry in entries if entry.evaluation for column in entry.evaluation.groups
    }
    for column in columns:
        rows = [
            [code(entry.name), plain(value), *_quality(metrics)]
            for entry in entries
            if entry.evaluation
            for value, metrics in entry.evaluation.groups.get(column, {}).items()
        ]
        head = ["model", plain(column), "images", "accuracy", "AUC", *_POINT]
        lines += [f"### By {plain(column)}", "", *table(head, rows), ""]
    return lines[:-1]


def _gate(gate: GateResult | None) -> list[str]:
    if gate is None:
        return ["## Gate", "", "The recipe had no gate: nothing here was held to a margin."]
    rows = [row for each in gate.artifacts for row in _findings(each)]
    before = f" What was current before: {plain(gate.published)}." if gate.published else ""
    anchor = f" The anchor: {plain(gate.anchor)}." if gate.anchor else ""
    said = [line for note in notes(gate) for line in (plain(note), "")]
    head = ["model", "condition", "margin or limit", "verdict", "found"]
    verdict = f"Verdict: **{gate.verdict}**.{before}{anchor}"
    return ["## Gate", "", verdict, "", *said, *table(head, rows)]


def _findings(verdict: ArtifactVerdict) -> Iterator[list[str]]:
    for each in verdict.findings:
        against = f" against {each.against}" if each.against else ""
        where = f" ({each.where})" if each.where else ""
        yield [
            code(verdict.entry),
            plain(f"{condition_of(each.condition).title}{against}{where}"),
            f"{each.limit:g}",
            each.verdict,
            plain(each.text),
        ]


def _overrides(overrides: Sequence[Override]) -> list[str]:
    if not overrides:
        return []
    rows = [
        [str(each.version), plain(each.by), plain(each.gate), plain(each.reason), plain(each.at)]
        for each in overrides
    ]
    head = ["version", "by", "the gate had said", "reason", "when"]
    told = (
        "Versions of this name, up to this one, that were published though the gate did not pass:"
    )
    return ["## Overrides", "", told, "", *table(head, rows)]


def _data(result: RunResult) -> list[str]:
    data = result.data
    head = ["split", *(plain(name) for name in data.classes)]
    rows = [
        [plain(split), *(str(counts.get(name, 0)) for name in data.classes)]
        for split, counts in data.counts.items()
    ]
    failed = [check for check in data.checks if not check.passed]
    checks = [_check(check) for check in failed] or ["* Every check passed."]
    return [
        *("## Data", ""),
        f"{code(PurePath(data.path).name)}, positive class: {plain(data.positive)}. Fingerprint of "
        f"all images, labels and splits: {code(data.fingerprint)}.",
        *("", *table(head, rows), ""),
        *("What validation said of it:", "", *checks),
    ]


def _check(check: Check) -> str:
    shortcut = " (a possible short cut)" if check.shortcut else ""
    advice = f" {plain(check.advice)}" if check.advice else ""
    return f"* {check.severity}{shortcut}: {plain(check.name)}: {_found(check)}.{advice}"


def _found(check: Check) -> str:
    return plain(check.found).removesuffix(".")


def _teachers(chain: Mapping[str, Link]) -> list[str]:
    rows = [
        [
            code(link.entry),
            code(link.uses),
            code(link.record.origin.source or "an artifact of another run"),
            code(f"{short_digest(digest)}…"),
        ]
        for digest, link in chain.items()
        if link.kind == "teacher"
    ]
    head = ["teacher", "file", "SHA-256 of the file", "digest of its artifact"]
    told = table(head, rows) if rows else ["None: the models learned from the images alone."]
    return ["## Teachers", "", *told]


def _limits(result: RunResult, section: PublishSection) -> list[str]:
    shortcuts = [
        f"* A possible short cut: {_found(check)}."
        for check in result.data.checks
        if check.shortcut and not check.passed
    ]
    said = [f"* {plain(section.limits)}"] if section.limits else []
    return ["## Limits", "", *said, *shortcuts, f"* {_SMALL_DATA} {_NOT_CLINICAL}"]


def _origin(name: str, version: int, result: RunResult, artifacts: Mapping[str, str]) -> list[str]:
    digests = [f"* {code(entry)}: {code(digest)}" for entry, digest in artifacts.items()]
    return [
        *("## Where it comes from, and how to check that", ""),
        f"Run on {plain(result.machine)}, seed {result.seed}. The recipe lies beside this card as "
        f"`recipe.yaml`, every figure in `result.json`, the provenance in `manifest.json`.",
        "",
        f"`pupila verify {name} --version {version}`, or `pupila verify` with the path of this "
        f"folder, checks offline that every file is what was published, and that the chain from "
        f"the teachers to these artifacts is whole:",
        *("", *digests),
    ]


def _percent(estimate: Estimate) -> str:
    return f"{formatting.percent(estimate.value)} ({formatting.percent_interval(estimate)})"


def _score(estimate: Estimate) -> str:
    return f"{formatting.score(estimate.value)} ({formatting.score_interval(estimate)})"
