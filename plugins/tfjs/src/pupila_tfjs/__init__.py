"""Exports to TensorFlow.js and runs it under Node."""
