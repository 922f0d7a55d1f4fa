"""Our scripts for Node, and the JavaScript packages that they load."""

from __future__ import annotations

from pathlib import Path

from pupila.web.npm import Packages

SCRIPTS = Path(__file__).parent / "node"
PACKAGES = Packages(SCRIPTS, title="TF.js", command="python -m pupila_tfjs.install")
