"""Downloads the JavaScript packages of the TF.js runner: `python -m pupila_tfjs.install`.

Versions and checksums come from `node/package-lock.json`. npm's own settings determine from which
registry the packages are downloaded.
"""

from __future__ import annotations

import sys

from pupila.web import npm
from pupila_tfjs.nodejs import PACKAGES

if __name__ == "__main__":
    sys.exit(npm.main(PACKAGES.install))
