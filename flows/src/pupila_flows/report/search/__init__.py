"""What a search found: its front, the family of the chosen model, its history, and the forms."""

from pupila_flows.report.search.page import searches

__all__ = ["searches"]
