"""The recipe: the YAML file that describes a run."""
