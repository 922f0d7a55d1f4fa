"""Reading, repacking and running LiteRT flatbuffers (`.tflite` files), for plugins.

`ai_edge_litert` is imported when a function is called. Core does not depend on it: a plugin that
uses this package lists `ai-edge-litert` in its own `pyproject.toml`, and `flatbuffers` if it uses
`packing`.
"""
