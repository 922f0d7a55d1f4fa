"""Checks a recipe against plugins, files and teachers, and expands it into a graph."""
