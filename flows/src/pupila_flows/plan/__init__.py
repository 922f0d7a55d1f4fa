"""The recipe checked against plugins, files and teachers, and expanded into a graph."""
