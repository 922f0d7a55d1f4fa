"""Reads Keras models, old and new, and runs them."""
