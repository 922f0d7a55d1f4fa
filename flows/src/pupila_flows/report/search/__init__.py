"""The report on a search: Pareto front, family of the chosen model, history, architectures."""

from pupila_flows.report.search.page import searches

__all__ = ["searches"]
