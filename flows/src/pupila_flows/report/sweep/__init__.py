"""The page of a sweep: what each setting makes of validation and test accuracy."""

from pupila_flows.report.sweep.page import sweep_headline, write_sweep

__all__ = ["sweep_headline", "write_sweep"]
