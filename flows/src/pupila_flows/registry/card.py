"""The model card of a version (Mitchell et al. 2019, "Model Cards for Model Reporting")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import PurePath

from pupila.digest import short_digest
from pupila.evaluation import Cost
from pupila_flows.gate.conditions import title_of
from pupila_flows.gate.messages import notes
from pupila_flows.markdown import code, plain, stated, table
from pupila_flows.printable import printable
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry.card_external import external_lines
from pupila_flows.registry.card_metrics import group_lines, metrics_lines
from pupila_flows.registry.card_shift import shift_lines
from pupila_flows.registry.manifest import Link, Override
from pupila_flows.report import formatting
from pupila_flows.report.stages import stage_rows
from pupila_flows.results import ArtifactVerdict, Check, Entry, GateResult, RunResult

_NOT_STATED = "Not stated by the publisher."
_NOT_CLINICAL = "Not for clinical use."
_SMALL_DATA = (
    "Good results on a small data set from one source show that the software works, not that a "
    "model can diagnose."
)


def write_card(
    name: str,
    version: int | None,
    result: RunResult,
    section: PublishSection,
    chain: Mapping[str, Link],
    artifacts: Mapping[str, str],
    overrides: Sequence[Override] = (),
) -> str:
    """Return the model card of a version, or of models that were not published, as Markdown.

    `artifacts` has the digest of each published artifact, by the name of its entry. `chain` has the
    published artifacts and all artifacts that they were made from, by digest. `overrides` has the
    overrides with which this version and earlier versions were published.
    """
    entries = [entry for entry in result.entries if entry.name in artifacts]
    parts = [
        _head(name, version, result, overrides),
        _use(section),
        _models(entries),
        metrics_lines(entries, result.specificity, result.data.methods),
        group_lines(entries, result.data.methods),
        shift_lines(entries, result.data.methods),
        external_lines(entries, result),
        _stages(entries),
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
    """Return a card, given as Markdown, as a self-contained HTML page."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    body = reader.render(card)
    body = body.replace("<table>", '<div class="wide" tabindex="0"><table>')
    body = body.replace("</table>", "</table></div>")
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
.wide {{ overflow-x: auto }}
table {{ border-collapse: collapse; font-size: 0.9rem }}
th, td {{ border: 1px solid #d5dde5; padding: 0.3rem 0.6rem; text-align: left }}
th {{ background: #f3f6f9 }}
blockquote {{ margin: 1rem 0; padding: 0.1rem 1rem; border-left: 4px solid #b3261e;
  background: #fdf3f2 }}
code {{ overflow-wrap: anywhere }}
td:nth-child(-n+2) code {{ overflow-wrap: normal }}
</style>
<body>
<main>
{body}</main>
</body>
</html>
"""


def _head(
    name: str, version: int | None, result: RunResult, overrides: Sequence[Override]
) -> list[str]:
    which = ", not published" if version is None else f", version {version}"
    lines = [f"# {plain(name)}{which}", ""]
    own = next((override for override in overrides if override.version == version), None)
    if own:
        lines += [
            f"> **Published by an override of {plain(own.by)}, although the gate said "
            f"“{plain(own.gate)}”.** Reason: {plain(own.reason)}",
            "",
        ]
    for sentence in result.unproven:
        lines += [f"> **{plain(sentence)}** The recipe sets `unproven: true` for it.", ""]
    if result.synthetic:
        lines += ["> **The images are synthetic**: these results say nothing about patients.", ""]
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
    measured = entry.evaluation or entry.measurement
    return measured.cost if measured else None


def _latency(entry: Entry) -> str:
    measured = entry.evaluation or entry.measurement
    if measured is None:
        return formatting.NONE
    latency = measured.cost.latency
    return (
        f"{formatting.milliseconds(latency.median_ms)} (95 %: "
        f"{formatting.milliseconds(latency.p95_ms)}), "
        f"{formatting.plural(latency.threads, 'thread')}, {plain(measured.runtime)}, "
        f"{plain(measured.cpu)}"
    )


def _stages(entries: Sequence[Entry]) -> list[str]:
    rows = [row.texts for row in stage_rows(entries)]
    if not rows:
        return []
    introduction = "What a stage turns away gets no answer; what is recognised skips the next one."
    cells = [list(map(plain, row.values())) for row in rows]
    return ["## Stages of chains", "", introduction, "", *table(list(rows[0]), cells)]


def _gate(gate: GateResult | None) -> list[str]:
    if gate is None:
        return ["## Gate", "", "The recipe had no gate: nothing here was compared with a margin."]
    rows = [row for artifact in gate.artifacts for row in _findings(artifact, gate.task)]
    before = f" Previous version: {plain(gate.published)}." if gate.published else ""
    anchor = f" Anchor: {plain(gate.anchor)}." if gate.anchor else ""
    remarks = [line for note in notes(gate) for line in (plain(note), "")]
    head = ["model", "condition", "margin or limit", "verdict", "finding"]
    verdict = f"Verdict: **{gate.verdict}**.{before}{anchor}"
    return ["## Gate", "", verdict, "", *remarks, *table(head, rows)]


def _findings(verdict: ArtifactVerdict, task: str) -> Iterator[list[str]]:
    for finding in verdict.findings:
        title = title_of(finding.condition, task)
        against = f" against {finding.against}" if finding.against else ""
        where = f" ({finding.where})" if finding.where else ""
        yield [
            code(verdict.entry),
            plain(f"{title}{against}{where}"),
            f"{finding.limit:g}",
            finding.verdict,
            plain(finding.text),
        ]


def _overrides(overrides: Sequence[Override]) -> list[str]:
    if not overrides:
        return []
    rows = [
        [
            str(override.version),
            plain(override.by),
            plain(override.gate),
            plain(override.reason),
            plain(override.at),
        ]
        for override in overrides
    ]
    head = ["version", "by", "gate verdict", "reason", "when"]
    introduction = (
        "Versions of this name, up to this one, that were published although the gate did not pass:"
    )
    return ["## Overrides", "", introduction, "", *table(head, rows)]


def _data(result: RunResult) -> list[str]:
    data = result.data
    positive = f", positive class: {plain(data.positive)}" if data.positive else ""
    head = ["split", *(plain(name) for name in data.classes)]
    rows = [
        [plain(split), *(str(counts.get(name, 0)) for name in data.classes)]
        for split, counts in data.counts.items()
    ]
    failed = [check for check in data.checks if not check.passed]
    checks = [_check(check) for check in failed] or ["* Every check passed."]
    return [
        *("## Data", ""),
        f"{code(PurePath(data.path).name)}{positive}. Fingerprint of all images, labels and "
        f"splits: {code(data.fingerprint)}.",
        *("", *table(head, rows), ""),
        *("Findings of data validation:", "", *checks),
    ]


def _check(check: Check) -> str:
    shortcut = " (a possible shortcut)" if check.shortcut else ""
    advice = f" {plain(check.advice)}" if check.advice else ""
    return f"* {check.severity}{shortcut}: {plain(check.name)}: {_finding_text(check)}.{advice}"


def _finding_text(check: Check) -> str:
    return plain(check.observed).removesuffix(".")


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
    lines = table(head, rows) if rows else ["None: the models were trained on the images alone."]
    return ["## Teachers", "", *lines]


def _limits(result: RunResult, section: PublishSection) -> list[str]:
    shortcuts = [
        f"* A possible shortcut: {_finding_text(check)}."
        for check in result.data.checks
        if check.shortcut and not check.passed
    ]
    stated_limits = [f"* {plain(section.limits)}"] if section.limits else []
    return ["## Limits", "", *stated_limits, *shortcuts, f"* {_SMALL_DATA} {_NOT_CLINICAL}"]


def _origin(
    name: str, version: int | None, result: RunResult, artifacts: Mapping[str, str]
) -> list[str]:
    digests = [f"* {code(entry)}: {code(digest)}" for entry, digest in artifacts.items()]
    if version is None:
        run = f"Run on {plain(result.machine)}, seed {result.seed}. Digests of the artifacts:"
        return ["## Provenance", "", run, "", *digests]
    return [
        *("## Provenance, and how to verify it", ""),
        f"Run on {plain(result.machine)}, seed {result.seed}. The recipe is next to this card as "
        f"`recipe.yaml`, all metrics are in `result.json`, the provenance in `manifest.json`.",
        "",
        f"`pupila verify {name} --version {version}`, or `pupila verify` with the path of this "
        f"folder, checks offline that every file is as published, and that the chain from the "
        f"teachers to these artifacts is complete:",
        *("", *digests),
    ]
