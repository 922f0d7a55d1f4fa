"""The report of a run: one self-contained HTML file; and rows for the terminal."""
