"""Removes the files of a workspace that are not needed any more."""
