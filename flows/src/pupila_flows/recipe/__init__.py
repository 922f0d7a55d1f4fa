"""The recipe: what a run is asked to do, as it is written."""
