"""Expands a plan into the graph that runs: a node for each seed, control and point of a sweep.

A step that does not depend on the seed, directly or through its inputs, is one node for all seeds.
In the same way, a step that does not depend on a setting is one node for all values of the setting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from pupila.digest import digest_json
from pupila.errors import PupilaError
from pupila.plugin import Config, Exporter, StepPlugin, Technique
from pupila_flows.data.exclude import Exclude
from pupila_flows.plan.plan import Plan, PlannedStep, configure
from pupila_flows.recipe.graph import Graph, Vertex

Settings = Mapping[str, Any]
"""One point of a sweep: values by `step.setting`."""

_CONTROL = " (control)"
"""Suffix of a control's name, after that of the step; no step can have such a name."""


@dataclass(frozen=True)
class Node:
    """A step of the recipe with one seed at one point of a sweep, or the control of such a node."""

    name: str
    step: str
    """Name of the step in the recipe whose settings the node has."""
    plugin: StepPlugin
    config: Config
    inputs: tuple[str, ...]
    """Names of teachers and other nodes."""
    exclude: Exclude
    """Images that are excluded from the node."""
    seed: int
    timeout_minutes: float
    retries: int
    settings: Settings
    """Swept settings of the node, and of the nodes that it is made from."""
    seeded: bool
    """Whether the node, or one that it is made from, depends on the seed."""
    taught: bool = False
    """Whether a teacher contributed to the node."""
    repeats: str | None = None
    """Name of the node that this one repeats with another seed; None for the first seed."""
    control: str | None = None
    """Name of the node that is made in the same way, but without a teacher."""
    against: str | None = None
    """Name of the teacher or node that the node is compared with, if the recipe names one."""
    teachers: tuple[str, ...] = ()
    """Teachers of the node; for a control, of its pupil. The node is compared with one of them."""

    @property
    def shows_metrics(self) -> bool:
        """Whether the node shows metrics of its inputs and so needs their evaluations first."""
        return isinstance(self.plugin, Exporter) and self.plugin.shows_metrics

    @property
    def made_by(self) -> str:
        """Digest of plugin, settings, excluded images and seed, without name and inputs."""
        config, exclude = self.config.model_dump(mode="json"), dict(self.exclude)
        return digest_json([self.plugin.name, config, exclude, self.seed])


def expand(plan: Plan, points: Sequence[Settings] | None = None) -> tuple[Node, ...]:
    """Return the nodes of a run or, with `points`, of a sweep. Each node comes after its inputs.

    A sweep evaluates only the last step of each branch. So in a sweep, a control goes through the
    same later steps as its pupil.
    """
    nodes: dict[str, Node] = {}
    for seed in range(plan.recipe.seed, plan.recipe.seed + plan.recipe.repeat):
        for settings in points or ({},):
            made: dict[str, Node] = {}
            for step in plan.steps:
                node = _node(step, made, settings, seed, plan)
                made[step.name] = nodes.setdefault(node.name, node)
    with_controls = _with_controls(nodes.values(), plan)
    return _with_teachers(_link_followers(with_controls, plan, add_missing=points is not None))


def nodes_of(plan: Plan, *, swept: bool = False) -> tuple[Node, ...]:
    """Return the graph of a run or, if `swept`, of a sweep.

    Raises:
        PupilaError: a sweep is asked for, but the recipe names no values.
    """
    if swept and not plan.recipe.sweep:
        example = "sweep: {pupil.alpha: [0, 0.1, 0.5]}"
        raise PupilaError(
            f"{str(plan.file)!r} names no values to try: give it a section like `{example}`, "
            "or use `pupila run`."
        )
    return expand(plan, points(plan) if swept else None)


def points(plan: Plan) -> list[dict[str, Any]]:
    """Return every combination of the values that the recipe's `sweep` names."""
    axes = plan.recipe.sweep
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def _node(
    step: PlannedStep, made: Mapping[str, Node], settings: Settings, seed: int, plan: Plan
) -> Node:
    """Return a step's node, made from the nodes of its inputs."""
    parents = [made[name] for name in step.section.inputs if name in made]
    of_parents = set[str]().union(*(parent.settings for parent in parents))
    own = plan.swept(step.name)
    touching = {key: settings[key] for key in settings if key in own or key in of_parents}
    changes = {own[key]: value for key, value in settings.items() if key in own}
    technique = step.plugin if isinstance(step.plugin, Technique) else None
    seeded = (technique and technique.seeded) or any(parent.seeded for parent in parents)
    first = plan.recipe.seed
    seed = seed if seeded else first
    return Node(
        name=_name(step.name, touching, seed, first),
        step=step.name,
        plugin=step.plugin,
        config=configure(step, changes) if changes else step.config,
        inputs=tuple(_made(name, made) for name in step.section.inputs),
        against=step.section.against and _made(step.section.against, made),
        exclude=step.section.exclude,
        seed=seed,
        timeout_minutes=step.section.timeout_minutes,
        retries=step.section.retries,
        settings=touching,
        seeded=bool(seeded),
        repeats=_name(step.name, touching, first, first) if seed != first else None,
    )


def _made(name: str, made: Mapping[str, Node]) -> str:
    """Return the name of the node of a step; a teacher keeps its name."""
    return made[name].name if name in made else name


def _name(step: str, settings: Settings, seed: int, first: int) -> str:
    """Return a unique name for a node: names of steps have no `[…]` and no `#`."""
    shown = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in settings.items())
    return step + (f"[{shown}]" if shown else "") + (f"#{seed}" if seed != first else "")


def _with_controls(nodes: Iterable[Node], plan: Plan) -> list[Node]:
    """Add the control that each node's technique names; equal controls become a single node."""
    nodes, steps = list(nodes), {step.name: step for step in plan.steps}
    alone = {node.made_by: node for node in nodes if not node.inputs}
    complete: list[Node] = []
    for node in nodes:
        complete.append(node)
        control = _control(node, steps[node.step], plan)
        if control is not None:
            kept = alone.setdefault(control.made_by, control)
            complete[-1] = replace(node, control=kept.name)
            complete += [control] if kept is control else []
    return complete


def _control(node: Node, step: PlannedStep, plan: Plan) -> Node | None:
    """Return the control of a node: the same training without a teacher.

    None if the technique has no control, none is wanted, or the settings need a teacher.
    """
    plugin = step.control
    if plugin is None:
        return None
    known = plugin.config.model_fields
    config = plugin.config.model_validate(
        {k: v for k, v in node.config.model_dump().items() if k in known}
    )
    try:
        config.check_inputs(0)
    except PupilaError:
        return None
    alone = replace(node, plugin=plugin, config=config)
    return _counterpart(alone, (), _control_settings(node, plugin, plan), plan)


def _control_settings(node: Node, control: StepPlugin, plan: Plan) -> Settings:
    """Return those swept settings of a node that its control has too."""
    paths, known = plan.swept(node.step), control.config.model_fields
    return {k: v for k, v in node.settings.items() if k in paths and paths[k][0] in known}


def _counterpart(node: Node, inputs: tuple[str, ...], settings: Settings, plan: Plan) -> Node:
    """Return the counterpart of a node without a teacher, made from other inputs."""
    name, first = node.step + _CONTROL, plan.recipe.seed
    return replace(
        node,
        name=_name(name, settings, node.seed, first),
        inputs=inputs,
        settings=settings,
        repeats=_name(name, settings, first, first) if node.repeats else None,
        control=None,
    )


def _link_followers(nodes: list[Node], plan: Plan, *, add_missing: bool) -> list[Node]:
    """Set the control of each node made from a pupil: the same step, made from the pupil's control.

    With `add_missing`, controls that are missing are added.
    """
    names = {(node.made_by, node.inputs): node.name for node in nodes}
    known = {node.name: node for node in nodes}
    controls = {step.name: step.control for step in plan.steps}
    shared: dict[str, Settings] = {}
    added: list[Node] = []
    for node in nodes:
        plugin = controls[node.step]
        if node.control and plugin:
            shared[node.name] = _control_settings(node, plugin, plan)
        if _has_own_control(node) or not node.inputs or not shared.keys() >= set(node.inputs):
            continue
        inputs = tuple(known[name].control or name for name in node.inputs)
        touched = set(plan.swept(node.step)).union(*(shared[name] for name in node.inputs))
        settings = {key: node.settings[key] for key in node.settings if key in touched}
        if add_missing and (node.made_by, inputs) not in names:
            control = _counterpart(node, inputs, settings, plan)
            names[node.made_by, inputs] = control.name
            added.append(control)
        name = names.get((node.made_by, inputs))
        known[node.name] = replace(node, control=name)
        if name:
            shared[node.name] = settings
    return [*(known[node.name] for node in nodes), *added]


def _has_own_control(node: Node) -> bool:
    return isinstance(node.plugin, Technique) and node.plugin.control is not None


def _with_teachers(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Set in each node whether it is taught, and with which teachers it is compared."""
    graph = Graph(
        {
            node.name: Vertex(
                node.inputs, node.plugin, bool(node.exclude), node.control, node.against
            )
            for node in nodes
        }
    )
    return tuple(
        replace(node, taught=graph.is_taught(node.name), teachers=graph.teachers(node.name))
        for node in nodes
    )
