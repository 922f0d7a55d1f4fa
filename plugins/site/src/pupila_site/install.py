"""Builds the site's page: `python -m pupila_site.install`.

The command downloads the JavaScript packages of `app/package-lock.json` and builds the page with
Vite.
"""

from __future__ import annotations

import sys

from pupila.web import npm
from pupila_site import page

if __name__ == "__main__":
    sys.exit(npm.main(page.PAGES.build))
