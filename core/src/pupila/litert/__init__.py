"""What plugins share that read LiteRT flatbuffers (`.tflite` files), write or run them.

`ai_edge_litert` is imported when a function is called. Core does not depend on it: a plugin that
uses this package lists `ai-edge-litert` in its own `pyproject.toml`, and `flatbuffers` where it
uses `packing`.
"""
