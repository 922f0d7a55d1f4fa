"""`pupila new`: files to begin with."""
