"""The section of the report with the memory of each model keeps the contract of sections."""

from __future__ import annotations

from pupila.measured import MicrocontrollerMemory
from pupila.testing import SectionContract


class TestMicrocontrollerMemory(SectionContract):
    plugin = "microcontroller-memory"
    measured = MicrocontrollerMemory(
        operators={"CONV_2D": 4},
        flash_bytes=100_000,
        arena_bytes=60_000,
        activation_bytes=50_000,
        persistent_bytes=10_000,
    )
