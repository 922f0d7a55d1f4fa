"""Checks that need the whole recipe, one subject a module."""
