"""One graph answers who is taught, partial, last of its branch, and compared with which teachers.

The steps of a recipe, the nodes of a run and the entries of a result are the same graph, so the
check before a run, the gate after it and the registry get the same answers.
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

_Leading = Callable[[str], tuple[str, ...]]
"""From a step to others."""


@dataclass(frozen=True)
class Vertex:
    """What a graph knows about a step."""

    inputs: tuple[str, ...]
    """Names of teachers and other steps."""
    plugin: StepPlugin | None
    """None where it is not installed, or where the step's settings are wrong."""
    excludes: bool = False
    """Whether some images are kept from it."""
    control: str | None = None
    """Name of the step that was made alike, but without a teacher."""


@dataclass(frozen=True)
class Graph:
    """Steps by name. An input that is not one of them is a teacher.

    Cycles do no harm: a graph is asked about recipes that may have them.
    """

    steps: Mapping[str, Vertex]

    @classmethod
    def of_entries(cls, entries: Iterable[Entry], plugins: PluginRegistry) -> Graph:
        """Return the graph of the steps among the entries of a result."""
        known = {plugin.name: plugin for plugin in plugins.all(StepPlugin)}
        return cls(
            {
                each.name: Vertex(
                    each.inputs, known.get(each.uses), bool(each.without), each.control
                )
                for each in entries
                if each.kind == "step"
            }
        )

    @property
    def is_complete(self) -> bool:
        """Whether the plugin of every step is known."""
        return all(step.plugin for step in self.steps.values())

    def behind(self, name: str) -> tuple[str, ...]:
        """Return all steps and teachers that a step is made from, depth first."""
        return tuple(each for each in _reached([name], self._inputs) if each != name)

    def working_on(self, name: str) -> tuple[str, ...]:
        """Return the steps that work on a teacher, or on what was made from it, nearest first.

        A step that only uses features works on nobody's answers, and what follows it works on its
        own.
        """
        position = {each: number for number, each in enumerate(self.steps)}
        found, nearest = dict[str, None](), [name]
        while nearest:
            following = {each for one in nearest for each in self._following.get(one, ())}
            new = (each for each in following - found.keys() if not self.uses_features_only(each))
            nearest = sorted(new, key=position.__getitem__)
            found |= dict.fromkeys(nearest)
        return tuple(found)

    def is_evaluated(self, name: str) -> bool:
        """Whether it makes a model that answers; not for teachers or unknown plugins."""
        plugin = self._plugin(name)
        return plugin is not None and plugin.evaluated

    def uses_features_only(self, name: str) -> bool:
        """Whether it is a step that uses the features of its inputs, and not their answers."""
        plugin = self._plugin(name)
        return plugin is not None and plugin.features_only

    def is_taught(self, name: str) -> bool:
        """Whether a teacher took part in making a step, or something behind it."""
        return name in self._taught

    def is_partial(self, name: str) -> bool:
        """Whether some images were kept from a step, or from something behind it."""
        return name in self._partial

    def is_control(self, name: str) -> bool:
        """Whether it stands beside a step as the same without a teacher."""
        return name in self._pupils

    def is_last(self, name: str) -> bool:
        """Whether it is judged, and nothing judged is made from it: a site changes nothing."""
        return self.is_evaluated(name) and name not in self._within

    def ends(self) -> tuple[str, ...]:
        """Return the steps that nothing at all is made from, without the controls."""
        used = {each for step in self.steps.values() for each in step.inputs}
        return tuple(name for name in self.steps if name not in used and not self.is_control(name))

    def default_gate_steps(self) -> tuple[str, ...]:
        """Return the steps that a gate judges where its section names none.

        They are taught, last of their branch, and were shown all images.
        """
        return tuple(
            name
            for name in self.steps
            if self.is_last(name)
            and self.is_taught(name)
            and not self.is_control(name)
            and not self.is_partial(name)
        )

    def teachers(self, name: str) -> tuple[str, ...]:
        """Return the teachers that a step is compared with.

        They are the nearest behind it; for a step without any, those of the pupil whose control
        it is, or is made from. A step that took only features from a teacher is compared with
        nobody: it is itself the teacher of what comes after it.
        """
        if self._teaches(name):
            return ()
        return self._nearest_teachers(name) or self._teachers_of_pupils.get(name, ())

    def unproven(self, name: str, proven: Collection[str]) -> Iterator[str]:
        """Yield what still has to be proven before a step can be published.

        That is a judged step itself, unless it is among `proven`. A step that makes no model, like
        a site, is as good as all that it is made from; a teacher is never proven, and neither is a
        step whose plugin is unknown.
        """

        def made_from(each: str) -> tuple[str, ...]:
            plugin = self._plugin(each)
            answers_itself = plugin is None or plugin.evaluated
            return () if each in proven or answers_itself else self._inputs(each)

        for each in _reached([name], made_from):
            if each not in proven and not made_from(each):
                yield each

    def _plugin(self, name: str) -> StepPlugin | None:
        return self.steps[name].plugin if name in self.steps else None

    def _inputs(self, name: str) -> tuple[str, ...]:
        return self.steps[name].inputs if name in self.steps else ()

    def _has_own_control(self, name: str) -> bool:
        plugin = self._plugin(name)
        return isinstance(plugin, Technique) and plugin.control is not None

    def _teaches(self, name: str) -> bool:
        """Whether others are compared with it."""
        return name not in self.steps or self.uses_features_only(name)

    def _nearest_teachers(self, name: str) -> tuple[str, ...]:
        return (name,) if self._teaches(name) else self._teachers_of_inputs.get(name, ())

    def _inputs_or_pupils_teachers(self, name: str) -> tuple[str, ...]:
        pupils = (self._nearest_teachers(pupil) for pupil in self._pupils.get(name, ()))
        return next(filter(None, pupils), self._inputs(name))

    @cached_property
    def _teachers_of_inputs(self) -> dict[str, tuple[str, ...]]:
        return self._gather_teachers(self._inputs)

    @cached_property
    def _teachers_of_pupils(self) -> dict[str, tuple[str, ...]]:
        return self._gather_teachers(self._inputs_or_pupils_teachers)

    def _gather_teachers(self, before: _Leading) -> dict[str, tuple[str, ...]]:
        """Return for each step those that teach among what `before` leads to, depth first.

        A step asks what it is made from, which was asked already; in a circle some are missing.
        """
        found: dict[str, tuple[str, ...]] = {}
        for name in _in_order(self.steps):
            ways = ((e,) if self._teaches(e) else found.get(e, ()) for e in before(name))
            found[name] = tuple(dict.fromkeys(chain.from_iterable(ways)))
        return found

    @cached_property
    def _following(self) -> dict[str, list[str]]:
        """Steps by the names of their inputs."""
        found: dict[str, list[str]] = {}
        for name, step in self.steps.items():
            for each in step.inputs:
                found.setdefault(each, []).append(name)
        return found

    def _made_from(self, names: Iterable[str]) -> frozenset[str]:
        """Return these steps and all that are made from them."""
        found = _reached(names, lambda each: tuple(self._following.get(each, ())))
        return frozenset(each for each in found if each in self.steps)

    @cached_property
    def _taught(self) -> frozenset[str]:
        own = (name for name in self.steps if self._has_own_control(name))
        teachers = (each for each in self._following if each not in self.steps)
        return self._made_from((*own, *teachers))

    @cached_property
    def _partial(self) -> frozenset[str]:
        return self._made_from(name for name, step in self.steps.items() if step.excludes)

    @cached_property
    def _pupils(self) -> dict[str, list[str]]:
        """Steps by the name of their control."""
        found: dict[str, list[str]] = {}
        for name, step in self.steps.items():
            if step.control:
                found.setdefault(step.control, []).append(name)
        return found

    @cached_property
    def _within(self) -> frozenset[str]:
        """What a judged step is made from."""
        judged = (step for name, step in self.steps.items() if self.is_evaluated(name))
        return frozenset(each for step in judged for each in step.inputs)


def _in_order(steps: Mapping[str, Vertex]) -> tuple[str, ...]:
    """Return steps, each after its inputs; as they are written where they go in a circle."""
    try:
        order = TopologicalSorter({name: step.inputs for name, step in steps.items()})
        return tuple(name for name in order.static_order() if name in steps)
    except CycleError:
        return tuple(steps)


def _reached(starts: Iterable[str], following: _Leading) -> Iterator[str]:
    """Yield the starts and all that can be reached from them, depth first, each once."""
    seen, waiting = set[str](), [*starts]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield name
            waiting.extend(reversed(following(name)))
