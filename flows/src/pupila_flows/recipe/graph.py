"""The graph of steps: which steps learned from a teacher, exclude images or end a branch.

The class `Graph` describes the steps of a recipe, the nodes of a run and the entries of a result.
So the checks before a run, the gate and the registry follow the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import chain

from pupila.plugin import StepPlugin, Technique
from pupila.plugin_registry import PluginRegistry
from pupila_flows.results import Entry

_Neighbours = Callable[[str], tuple[str, ...]]
"""Maps the name of a step to the names of its neighbours."""


@dataclass(frozen=True)
class Vertex:
    """A step in a graph: its inputs, its plugin and its control."""

    inputs: tuple[str, ...]
    """Names of the teachers and steps that the step is made from."""
    plugin: StepPlugin | None
    """The step's plugin; None if it is not installed, or if the step's settings are wrong."""
    excludes: bool = False
    """Whether images are excluded from the step."""
    control: str | None = None
    """Name of the step that is made in the same way, but without a teacher."""
    against: str | None = None
    """Name of the teacher or step that the step is compared with, instead of its own teachers."""
    own_classes: bool = False
    """Whether the step's model has other classes than the data, as a filter has."""

    @property
    def answering(self) -> tuple[str, ...]:
        """The inputs whose answers the step works on; see `StepPlugin.answering`."""
        return tuple(self.plugin.answering(self.inputs)) if self.plugin else self.inputs


@dataclass(frozen=True)
class Graph:
    """Steps by name, linked by their inputs. An input that is not a step is a teacher.

    The graph may have cycles, because an unchecked recipe may.
    """

    steps: Mapping[str, Vertex]

    @classmethod
    def of_entries(cls, entries: Iterable[Entry], plugins: PluginRegistry) -> Graph:
        """Return the graph of the steps among the entries of a result."""
        return cls(
            {
                entry.name: Vertex(
                    entry.inputs,
                    plugins.get(StepPlugin, entry.uses),
                    bool(entry.excluded),
                    entry.control,
                    entry.against,
                    own_classes=entry.own_classes or entry.not_evaluated is not None,
                )
                for entry in entries
                if entry.kind == "step"
            }
        )

    @property
    def is_complete(self) -> bool:
        """Whether the plugin of every step is known."""
        return all(step.plugin for step in self.steps.values())

    def behind(self, name: str) -> tuple[str, ...]:
        """Return all steps and teachers that a step is made from, directly or not, depth first."""
        return tuple(other for other in _reachable([name], self._inputs) if other != name)

    def working_on(self, name: str) -> tuple[str, ...]:
        """Return the steps that use a teacher, or a model made from that teacher, nearest first.

        A step that does not use its answers, but only its features or as an earlier model of a
        chain, is left out, and so are the steps after it.
        """
        position = {step: number for number, step in enumerate(self.steps)}
        reached, nearest = dict[str, None](), [name]
        while nearest:
            followers = {
                step
                for parent in nearest
                for step in self._followers.get(parent, ())
                if parent in self.steps[step].answering
            }
            nearest = sorted(followers - reached.keys(), key=position.__getitem__)
            reached |= dict.fromkeys(nearest)
        return tuple(reached)

    def is_evaluated(self, name: str) -> bool:
        """Whether `name` is a step with a known plugin, and makes a model that is evaluated."""
        plugin = self._plugin(name)
        return plugin is not None and plugin.evaluated and not self.has_own_classes(name)

    def has_own_classes(self, name: str) -> bool:
        """Whether a step gives answers of other classes than the data's, as a filter does."""
        return name in self._with_own_classes

    def uses_features_only(self, name: str) -> bool:
        """Whether a step uses only the features of its inputs, not their predictions."""
        plugin = self._plugin(name)
        return plugin is not None and plugin.features_only

    def is_taught(self, name: str) -> bool:
        """Whether a step, or a step that it is made from, was made with a teacher."""
        return name in self._taught

    def is_partial(self, name: str) -> bool:
        """Whether images were excluded from a step, or from a step that it is made from."""
        return name in self._partial

    def is_control(self, name: str) -> bool:
        """Whether a step is the control of another step."""
        return name in self._pupils

    def is_last(self, name: str) -> bool:
        """Whether a step is evaluated, and no evaluated step is made from it."""
        return self.is_evaluated(name) and name not in self._parents_of_evaluated

    def ends(self) -> tuple[str, ...]:
        """Return the steps that are not the input of any step; controls are left out."""
        used = {parent for step in self.steps.values() for parent in step.inputs}
        return tuple(name for name in self.steps if name not in used and not self.is_control(name))

    def default_gate_steps(self) -> tuple[str, ...]:
        """Return the steps that a gate checks if its section names none.

        Such a step is taught, is the last of its branch and is made with all images. Controls are
        left out, and so are steps that others are compared with.
        """
        compared = {step.against for step in self.steps.values()}
        return tuple(
            name
            for name in self.steps
            if self.is_last(name)
            and self.is_taught(name)
            and not self.is_control(name)
            and not self.is_partial(name)
            and name not in compared
        )

    def teachers(self, name: str) -> tuple[str, ...]:
        """Return the teachers that a step is compared with.

        These are its `against`, or else the nearest teachers that it is made from. A control, or a
        step made from a control, is made from no teacher: the teachers of its pupil are returned. A
        step that uses only a teacher's features is compared with none: it is itself the teacher of
        the steps after it.
        """
        of_pupils = self._teachers_of_pupils.get(name, ())
        return () if self.teaches(name) else self._nearest_teachers(name) or of_pupils

    def makes_model(self, name: str) -> bool:
        """Whether `name` is a teacher, or a step whose plugin makes a model or is unknown."""
        plugin = self._plugin(name)
        return plugin is None or plugin.evaluated

    def _plugin(self, name: str) -> StepPlugin | None:
        return self.steps[name].plugin if name in self.steps else None

    def _inputs(self, name: str) -> tuple[str, ...]:
        return self.steps[name].inputs if name in self.steps else ()

    def _answering(self, name: str) -> tuple[str, ...]:
        return self.steps[name].answering if name in self.steps else ()

    def _has_own_control(self, name: str) -> bool:
        plugin = self._plugin(name)
        return isinstance(plugin, Technique) and plugin.control is not None

    def teaches(self, name: str) -> bool:
        """Whether other steps are compared with this teacher or step."""
        return name not in self.steps or self.uses_features_only(name)

    def _nearest_teachers(self, name: str) -> tuple[str, ...]:
        return (name,) if self.teaches(name) else self._teachers_of_inputs.get(name, ())

    def _inputs_or_pupils_teachers(self, name: str) -> tuple[str, ...]:
        pupils = (self._nearest_teachers(pupil) for pupil in self._pupils.get(name, ()))
        return next(filter(None, pupils), self._answering(name))

    @cached_property
    def _teachers_of_inputs(self) -> dict[str, tuple[str, ...]]:
        return _gather_teachers(self, self._answering)

    @cached_property
    def _teachers_of_pupils(self) -> dict[str, tuple[str, ...]]:
        return _gather_teachers(self, self._inputs_or_pupils_teachers)

    @cached_property
    def _followers(self) -> dict[str, list[str]]:
        """Names of the steps that take an input, by the name of the input."""
        followers: dict[str, list[str]] = {}
        for name, step in self.steps.items():
            for parent in step.inputs:
                followers.setdefault(parent, []).append(name)
        return followers

    def _made_from(self, names: Iterable[str]) -> frozenset[str]:
        """Return the named steps and all steps that are made from them."""
        reached = _reachable(names, lambda name: tuple(self._followers.get(name, ())))
        return frozenset(name for name in reached if name in self.steps)

    @cached_property
    def _with_own_classes(self) -> frozenset[str]:
        """The steps that say so, and those that work on their answers."""
        own = [name for name, step in self.steps.items() if step.own_classes]
        after = chain.from_iterable(self.working_on(name) for name in own)
        return frozenset((*own, *after))

    @cached_property
    def _taught(self) -> frozenset[str]:
        own = (name for name in self.steps if self._has_own_control(name))
        teachers = (parent for parent in self._followers if parent not in self.steps)
        return self._made_from((*own, *teachers))

    @cached_property
    def _partial(self) -> frozenset[str]:
        return self._made_from(name for name, step in self.steps.items() if step.excludes)

    @cached_property
    def _pupils(self) -> dict[str, list[str]]:
        """Names of the steps that have a control, by the name of the control."""
        pupils: dict[str, list[str]] = {}
        for name, step in self.steps.items():
            if step.control:
                pupils.setdefault(step.control, []).append(name)
        return pupils

    @cached_property
    def _parents_of_evaluated(self) -> frozenset[str]:
        """Names of the direct inputs of all evaluated steps."""
        evaluated = (step for name, step in self.steps.items() if self.is_evaluated(name))
        return frozenset(parent for step in evaluated for parent in step.inputs)


def unproven(graph: Graph, name: str, proven: Collection[str]) -> Iterator[str]:
    """Yield the models that must still pass the gate before a step can be published.

    If the step makes a model, that model must pass. If not, as for a site, the models that the step
    is made from must pass, but not those with classes of their own, such as the site's filter.
    Names in `proven` have passed and are left out.
    """

    def made_from(step: str) -> tuple[str, ...]:
        if step in proven or graph.makes_model(step):
            return ()
        inputs = graph.steps[step].inputs
        return tuple(parent for parent in inputs if not graph.has_own_classes(parent))

    for step in _reachable([name], made_from):
        if step not in proven and not made_from(step):
            yield step


def _gather_teachers(graph: Graph, before: _Neighbours) -> dict[str, tuple[str, ...]]:
    """Return for each step the teachers that `before` leads to, depth first.

    A step with `against` has that one instead. Steps are visited after their inputs; in a cycle,
    some teachers are missing.
    """
    teachers: dict[str, tuple[str, ...]] = {}
    for name in _in_order(graph.steps):
        against = graph.steps[name].against
        ways = ((b,) if graph.teaches(b) else teachers.get(b, ()) for b in before(name))
        own = tuple(dict.fromkeys(chain.from_iterable(ways)))
        teachers[name] = (against,) if against else own
    return teachers


def _in_order(steps: Mapping[str, Vertex]) -> tuple[str, ...]:
    """Return the names of steps, each after its inputs; in the given order if they form a cycle."""
    try:
        order = TopologicalSorter({name: step.inputs for name, step in steps.items()})
        return tuple(name for name in order.static_order() if name in steps)
    except CycleError:
        return tuple(steps)


def _reachable(starts: Iterable[str], following: _Neighbours) -> Iterator[str]:
    """Yield the starts and all that can be reached from them, depth first, each once."""
    seen, waiting = set[str](), [*starts]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting.extend(reversed(following(name)))
