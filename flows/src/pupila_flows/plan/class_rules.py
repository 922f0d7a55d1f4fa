"""Teachers that tell other classes apart than the data: gates, which say what kind an image is of.

Nothing may learn from one's answers on these images, and nothing that is made from one is judged on
them. Techniques that use features alone may take any teacher.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pupila.plugin import StepPlugin, Technique


def bound(
    teacher: str,
    inputs: Mapping[str, Sequence[str]],
    plugins: Mapping[str, StepPlugin],
    *,
    screens: bool,
) -> str | None:
    """Say why a teacher must tell the classes of the data apart; None where it need not.

    `inputs` are those of each step. Where the plugin of a step is not among `plugins`, it is not
    known, and nothing is said because of it.
    """
    featured = [name for name, plugin in plugins.items() if plugin.features_only]
    looked_at = any(teacher in inputs[name] for name in featured)
    after = _after(teacher, {name: inputs[name] for name in inputs if name not in featured})
    for name in after:
        plugin = plugins.get(name)
        if isinstance(plugin, Technique) and plugin.needs_data:
            return f"{name!r} ({plugin.name}) works on it with these images"
    if len(plugins) < len(inputs):
        return None
    within = {each for name in after for each in inputs[name]}
    for name in after:
        if name not in within and plugins[name].judged:
            return f"what {name!r} ({plugins[name].name}) makes of it is judged on these images"
    if after or screens or looked_at:
        return None
    return "it is judged on these images, as no step works on it"


def _after(teacher: str, inputs: Mapping[str, Sequence[str]]) -> list[str]:
    """List the steps that work on a teacher, or on what was made from it."""
    found: list[str] = []
    reached = {teacher}
    while new := [name for name in inputs if name not in found and reached & {*inputs[name]}]:
        found += new
        reached |= {*new}
    return found
