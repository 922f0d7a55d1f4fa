"""Exports to TFLite and runs it with LiteRT."""
