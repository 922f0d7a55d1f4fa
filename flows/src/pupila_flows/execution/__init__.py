"""The process, and the machine, that a job runs in."""
