"""The registry: published versions of artifacts, each with its metrics and provenance."""

from pupila_flows.registry.versions import Registry, Version, open_registry

__all__ = ["Registry", "Version", "open_registry"]
