"""Plots and SVG elements that several sections of the report use."""
