"""The jobs: one class for each kind of work whose result a run remembers."""
