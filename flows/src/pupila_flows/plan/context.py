"""Everything that the checks of a recipe may need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pupila.plugin import CLASSIFICATION, GivenModel
from pupila_flows.plan.class_rules import bound
from pupila_flows.plan.facts import Fact, RecipeFacts, find_out
from pupila_flows.plan.plan import PlannedStep, PlannedTeacher, screens, vertex
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
                name: vertex(valid.section, planned[name].plugin, planned[name].config)
                if name in planned
                else vertex(valid.section, None, None)
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

    @cached_property
    def tasks(self) -> Mapping[str, str]:
        """Task of each teacher and of each step, as far as it is known.

        A step that uses the data has the data's task, or is a classifier if it has classes of its
        own; any other step has the task of the first input whose answers it works on.
        """
        data = self.task.value
        if data is None:
            return {}
        tasks = {teacher.name: teacher.spec.task for teacher in self.teachers.value}
        for name in self.order.value:
            step = self.steps.value.by_name.get(name)
            if step and step.config.own_classes:
                tasks[name] = CLASSIFICATION
            elif step:
                given = () if step.plugin.needs_data else step.plugin.answering(step.section.inputs)
                tasks[name] = next(
                    (tasks[parent] for parent in given if parent in tasks), data.name
                )
        return tasks

    def given_models(self, step: PlannedStep) -> list[GivenModel]:
        """Return what is known of the inputs of a step."""
        return [self.given_model(name) for name in step.section.inputs]

    def given_model(self, name: str) -> GivenModel:
        """Return what is known of a teacher or of what a step makes."""
        return GivenModel(
            name,
            self.formats.get(name) or None,
            self.tasks.get(name),
            self.classes.get(name),
            self._sizes.get(name),
        )

    @cached_property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """Classes of each teacher and of each step, as far as they are known.

        A step that uses the data has the classes of the data, or its own; any other step has those
        of the first input whose answers it works on.
        """
        data = self.labels.value
        classes = dict(self.teacher_classes)
        for name in self.order.value:
            step = self.steps.value.by_name.get(name)
            if step and step.plugin.needs_data:
                own = step.config.own_classes or data
                classes |= {name: own} if own else {}
            elif step:
                given = step.plugin.answering(step.section.inputs)
                known = next((classes[parent] for parent in given if parent in classes), None)
                classes |= {name: known} if known else {}
        return classes

    @property
    def _sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of the input of each teacher that is an artifact."""
        inputs = {
            teacher.name: teacher.artifact.record.input
            for teacher in self.teachers.value
            if teacher.artifact
        }
        return {name: (spec.height, spec.width) for name, spec in inputs.items()}

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
