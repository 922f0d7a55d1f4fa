"""The page of a sweep: what each setting makes of validation and test accuracy."""

from pupila_flows.report.sweep.page import write_sweep

__all__ = ["write_sweep"]
