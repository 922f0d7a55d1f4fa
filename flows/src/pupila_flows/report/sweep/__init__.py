"""The page of a sweep: how its settings affect accuracy on validation and test images."""

from pupila_flows.report.sweep.page import sweep_headline, write_sweep

__all__ = ["sweep_headline", "write_sweep"]
