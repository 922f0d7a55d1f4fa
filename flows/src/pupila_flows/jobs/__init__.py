"""What a run does and remembers, piece by piece."""
