"""Checks that need the whole recipe. Each module checks one subject."""
