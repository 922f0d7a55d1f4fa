"""Installs a plugin module with its entry point for the duration of a test."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import invalidate_caches
from pathlib import Path

from pupila import image_formats, requirements
from pupila.plugin_registry import installed
from pupila.task import methods_of


@contextmanager
def plugin_installed(
    folder: Path,
    distribution: str,
    module: str,
    code: str,
    version: str = "1.0",
    requires: Sequence[str] = (),
) -> Generator[None]:
    """Install a distribution of one plugin module into `folder`, inside the `with` block.

    `code` is the source of the module; `requires` are the distribution's requirements. The plugin
    is found by its entry point, as if pip had installed it. Use this to test a plugin that has no
    package of its own.
    """
    write_distribution(folder, distribution, module, code, version, requires)
    sys.path.insert(0, str(folder))
    invalidate_caches()
    _forget()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(module, None)
        _forget()


def _forget() -> None:
    """Forget what is known of installed plugins, so that it is found out again."""
    installed.cache_clear()
    image_formats.forget()
    methods_of.cache_clear()
    requirements.forget()


def write_distribution(
    folder: Path,
    distribution: str,
    module: str,
    code: str,
    version: str = "1.0",
    requires: Sequence[str] = (),
) -> None:
    """Write a plugin's module and metadata into `folder`, as pip does when it installs a plugin."""
    metadata = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    )
    (metadata / "entry_points.txt").write_text(f"[pupila]\n{module} = {module}\n")
    (folder / f"{module}.py").write_text(code)
