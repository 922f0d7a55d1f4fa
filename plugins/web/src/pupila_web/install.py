"""Builds the pages that run models in a browser: `python -m pupila_web.install`.

The command downloads the JavaScript packages of `js/package-lock.json` and builds the pages with
Vite.
"""

from __future__ import annotations

import sys

from pupila.web import npm
from pupila_web import pages

if __name__ == "__main__":
    sys.exit(npm.main(pages.PAGES.build))
