"""The Python API, for notebooks and programs: `pupila_flows` has its names."""
