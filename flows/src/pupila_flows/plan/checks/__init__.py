"""Checks that need the whole recipe; each module has one subject."""
