"""In which process, and on which machine, a job is done."""
