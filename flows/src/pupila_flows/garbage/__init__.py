"""Removes what nothing in a workspace needs any more."""
