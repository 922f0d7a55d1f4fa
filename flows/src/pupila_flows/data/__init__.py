"""Reads, checks, excludes and generates images."""
