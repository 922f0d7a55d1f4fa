"""The registry: versions of published artifacts, with their evidence."""

from pupila_flows.registry.versions import Registry, Version, open_registry

__all__ = ["Registry", "Version", "open_registry"]
