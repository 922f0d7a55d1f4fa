"""Removes files of a workspace that nothing needs any more."""
