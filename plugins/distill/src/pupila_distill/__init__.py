"""Knowledge distillation into small students, and the same training without a teacher.

This module only describes techniques and students: Keras is imported in the process that trains.
"""

from __future__ import annotations

from collections.abc import Iterator

from pupila import ANY_FORMAT, ANY_TASK, Student, Technique, hookimpl
from pupila_distill.config import (
    AttentionDistillation,
    ConsistentDistillation,
    Distillation,
    EmbeddingDistillation,
    EvolutionaryDistillation,
    FineTuning,
    OracleDistillation,
    Training,
)


@hookimpl
def pupila_techniques() -> Iterator[Technique]:
    """Yield the techniques that learn from teachers, and the control, `train`."""
    yield Technique(
        name="distill",
        summary="Train a small student to answer as teachers do (Hinton et al. 2015)",
        tasks=ANY_TASK,
        implementation="pupila_distill.techniques:distill",
        config=Distillation,
        accepts=ANY_FORMAT,
        produces="keras",
        max_inputs=None,
        needs_data=True,
        seeded=True,
        control="train",
    )
    yield Technique(
        name="distill-consistent",
        summary="Distil by hard views, mixtures and patience, without labels (Beyer et al. 2022)",
        implementation="pupila_distill.techniques:distill",
        config=ConsistentDistillation,
        accepts=ANY_FORMAT,
        produces="keras",
        max_inputs=None,
        needs_data=True,
        seeded=True,
        control="train",
    )
    yield Technique(
        name="distill-oracle",
        summary="Learn from the teachers that are right about each picture (Kang et al. 2020)",
        implementation="pupila_distill.techniques:distill_oracle",
        config=OracleDistillation,
        accepts=ANY_FORMAT,
        produces="keras",
        max_inputs=None,
        needs_data=True,
        seeded=True,
        control="train",
    )
    yield Technique(
        name="distill-attention",
        summary="Learn what a teacher answers, and where it looks (Zagoruyko and Komodakis 2017)",
        implementation="pupila_distill.attention:distill_attention",
        config=AttentionDistillation,
        accepts=frozenset({"keras"}),
        produces="keras",
        needs_data=True,
        seeded=True,
        control="train",
    )
    yield Technique(
        name="distill-embedding",
        summary="Learn a teacher's features too, not only its answers (Loo 2024, Park et al. 2019)",
        implementation="pupila_distill.embedding:distill_embedding",
        config=EmbeddingDistillation,
        accepts=frozenset({"keras"}),
        produces="keras",
        max_inputs=None,
        needs_data=True,
        seeded=True,
        control="train",
    )
    yield Technique(
        name="distill-evolutionary",
        summary="Learn beside a larger teacher that is trained with it (Zhang et al. 2021)",
        implementation="pupila_distill.evolutionary:distill_evolutionary",
        config=EvolutionaryDistillation,
        accepts=frozenset(),
        produces="keras",
        min_inputs=0,
        max_inputs=0,
        needs_data=True,
        seeded=True,
        control="train",
    )
    yield Technique(
        name="train",
        summary="Train a small student from the labels alone: the control of distill",
        tasks=ANY_TASK,
        implementation="pupila_distill.techniques:train",
        config=Training,
        accepts=frozenset(),
        produces="keras",
        min_inputs=0,
        max_inputs=0,
        needs_data=True,
        seeded=True,
    )
    yield Technique(
        name="fine-tune",
        summary="Train the beginning of a model on the labels alone, whatever it had learned",
        tasks=ANY_TASK,
        implementation="pupila_distill.techniques:train",
        config=FineTuning,
        accepts=frozenset({"keras"}),
        produces="keras",
        needs_data=True,
        features_only=True,
        seeded=True,
    )


@hookimpl
def pupila_students() -> Iterator[Student]:
    """Yield the students' architectures, smallest first."""
    yield Student(
        name="mobile-xs",
        summary="0.13 M parameters: depthwise separable convolutions",
        implementation="pupila_distill.students:mobile_xs",
        size=128,
    )
    yield Student(
        name="mobile-s",
        summary="0.39 M parameters: inverted residuals",
        implementation="pupila_distill.students:mobile_s",
        size=128,
    )
    yield Student(
        name="hybrid-s",
        summary="0.39 M parameters: inverted residuals, then attention between positions",
        implementation="pupila_distill.students:hybrid_s",
        size=128,
    )
    yield Student(
        name="conv-32-64-8",
        summary="0.48 M parameters at 128 px: two convolutions and a dense layer of 8 units",
        implementation="pupila_distill.students:conv_32_64_8",
        size=128,
    )
    yield Student(
        name="conv-64-64-128",
        summary="0.92 M parameters at 224 px: three convolutions, the study's filter",
        implementation="pupila_distill.students:conv_64_64_128",
        size=224,
    )
    yield Student(
        name="residual-m",
        summary="2.8 M parameters: 3x3 convolutions with shortcuts",
        implementation="pupila_distill.students:residual_m",
        size=128,
    )
