"""Everything that the checks of a recipe may need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pupila_flows.plan.class_rules import bound
from pupila_flows.plan.facts import Fact, RecipeFacts, find_out
from pupila_flows.plan.plan import PlannedTeacher, screens, vertex
from pupila_flows.plan.steps import PlannedSteps, order_steps, plan_steps
from pupila_flows.plan.teachers import plan_teachers
from pupila_flows.recipe.graph import Graph
from pupila_flows.recipe.schema import ScreenSection
from pupila_flows.recipe.source import Location


@dataclass(frozen=True)
class Context(RecipeFacts):
    """A recipe, and what is known of its data, teachers and steps."""

    @cached_property
    def teachers(self) -> Fact[tuple[PlannedTeacher, ...]]:
        """The teachers that can be read."""
        return find_out(plan_teachers(self))

    @cached_property
    def steps(self) -> Fact[PlannedSteps]:
        """The steps whose plugin and settings are known."""
        return find_out(plan_steps(self))

    @cached_property
    def order(self) -> Fact[tuple[str, ...]]:
        """Names of the steps, each after its inputs; empty if the steps form a cycle."""
        return find_out(order_steps(self.view))

    @cached_property
    def graph(self) -> Graph:
        """Graph of all valid steps; the plugin is None if a step could not be planned."""
        planned = self.steps.value.by_name
        return Graph(
            {
                name: vertex(valid.section, planned[name].plugin if name in planned else None)
                for name, valid in self.view.steps.items()
            }
        )

    @cached_property
    def formats(self) -> Mapping[str, str]:
        """Format of each teacher and of each step, as far as it can be determined."""
        formats = {teacher.name: teacher.format for teacher in self.teachers.value}
        for name in self.order.value:
            step = self.steps.value.by_name.get(name)
            if step:
                given = [formats.get(parent, "") for parent in step.section.inputs]
                formats[name] = step.plugin.output_format(given)
        return formats

    @property
    def screen(self) -> ScreenSection | None:
        """The recipe's section `data.screen`; None if it has none."""
        return self.view.data.section.screen if self.view.data else None

    @cached_property
    def teacher_classes(self) -> Mapping[str, tuple[str, ...]]:
        """Classes of each teacher: those in the recipe, or else those in the teacher's record."""
        recorded = {teacher.name: teacher.spec.classes for teacher in self.teachers.value}
        written = {name: valid.section.classes for name, valid in self.view.teachers.items()}
        classes = {name: written[name] or recorded.get(name) for name in written}
        return {name: names for name, names in classes.items() if names}

    @cached_property
    def bound_teachers(self) -> Mapping[str, str]:
        """Map each teacher that must have the classes of the data to the reason why.

        Teachers whose classes are unknown are left out.
        """
        reasons = {
            name: bound(name, self.graph, screens=screens(self.screen, name))
            for name in self.teacher_classes
        }
        return {name: reason for name, reason in reasons.items() if reason}

    @cached_property
    def named_classes(self) -> tuple[Location, tuple[str, ...]] | None:
        """Location and names of the first classes in the recipe; None if the recipe names none.

        The classes are `data.classes` if the recipe has this field. Otherwise, they are the classes
        of the first teacher in `bound_teachers`.
        """
        data = self.view.data.section.classes if self.view.data else None
        if data:
            return ("data", "classes"), data
        for name in self.bound_teachers:
            return ("teachers", name, "classes"), self.teacher_classes[name]
        return None
