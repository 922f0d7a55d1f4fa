"""`pupila plugins`: what is installed, and whether it keeps what Pupila relies on."""

from __future__ import annotations

import json
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pupila_flows.cli.console import print_table, say, warn_of_broken_plugins, working
from pupila_flows.cli.options import AsJson

if TYPE_CHECKING:
    from pupila.plugin_registry import PluginRegistry
    from pupila.runtime import Progress


def plugins(
    check: Annotated[
        bool,
        typer.Option("--check", help="Check everything installed, as far as it needs no images."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is installed, or check that it keeps what Pupila relies on (--check)."""
    from pupila.plugin_registry import installed
    from pupila_flows.report.terminal import plugin_rows

    registry = installed()
    if check:
        _check(registry, as_json)
        return
    rows = plugin_rows(registry)
    if as_json:
        print(json.dumps({"plugins": rows} | _skipped(registry)))
        return
    print_table(rows)
    _warn_of(registry)


def _check(registry: PluginRegistry, as_json: bool) -> None:
    """Check every plugin in a child process, print the faults, and exit with code 1 if any."""
    from pupila_flows.execution.child import call, name_of
    from pupila_flows.progress import current_display
    from pupila_flows.report.formatting import plural

    with NamedTemporaryFile(prefix="pupila-", suffix=".log", delete=False) as log, working(as_json):
        display = current_display.get()
        progress = partial(display.update, "plugins")
        answer = call(name_of(check_plugins), {}, Path(log.name), progress)
        display.finish("plugins", f"{len(registry.plugins)} plugins")
    Path(log.name).unlink()
    skipped = _skipped(registry)
    if as_json:
        print(json.dumps(answer | skipped))
    else:
        for fault in answer["faults"]:
            say(f"{fault['plugin']}. Expected: {fault['expected']}. But: {fault['fault']}")
        _warn_of(registry)
        packages = len({entry.distribution for entry in registry.plugins})
        left_out = len(skipped["broken"]) + len(skipped["clashes"])
        also = f"; {plural(left_out, 'plugin')} skipped or ambiguous" if left_out else ""
        say(
            f"{answer['checks']} checks of {len(registry.plugins)} plugins in {packages} packages: "
            f"{plural(len(answer['faults']), 'fault') if answer['faults'] else 'no faults'}{also}."
        )
        say(_not_checked(registry))
    sys.exit(1 if answer["faults"] or any(skipped.values()) else 0)


def check_plugins(progress: Progress) -> dict[str, Any]:
    """Check every installed plugin; return the number of checks, and all faults."""
    from pupila.plugin_checks import checks_of, fault_of
    from pupila.plugin_registry import installed

    entries = installed().plugins
    checks, faults = 0, list[dict[str, str]]()
    for done, entry in enumerate(entries, start=1):
        for check in checks_of(type(entry.plugin)):
            checks += 1
            if fault := fault_of(check, entry.plugin):
                faults.append({"plugin": entry.title, "expected": check.sentence, "fault": fault})
        progress(done, len(entries), "plugins checked")
    return {"checks": checks, "faults": faults}


def _not_checked(registry: PluginRegistry) -> str:
    """Return which kinds need images or models to be tested further, and how many there are."""
    counts = Counter(entry.plugin.kind for entry in registry.plugins)
    listed = ", ".join(f"{count} × {kind}" for kind, count in sorted(counts.items()))
    return (
        f"Nothing was trained, converted or run on images: that is tested by the contracts of "
        f"`pupila.testing`, in each package ({listed})."
    )


def _skipped(registry: PluginRegistry) -> dict[str, list[str]]:
    return {
        "clashes": list(map(str, registry.clashes)),
        "broken": list(map(str, registry.broken)),
    }


def _warn_of(registry: PluginRegistry) -> None:
    for clash in registry.clashes:
        say(f"warning: {clash}", file=sys.stderr)
    warn_of_broken_plugins()
