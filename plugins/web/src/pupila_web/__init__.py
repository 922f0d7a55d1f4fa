"""Runs models in a real browser, with LiteRT.js and TensorFlow.js."""

from __future__ import annotations

from collections.abc import Iterable

from pupila import Runner, hookimpl


@hookimpl
def pupila_runners() -> Iterable[Runner]:
    """Yield the runners of browser runtimes.

    These runners are used only for runtime checks that a recipe names. None of them is the primary
    runner of its format.
    """
    yield _runner("litertjs-wasm", "tflite", "LiteRT.js in Chromium, on WebAssembly", threaded=True)
    yield _runner("litertjs-webgpu", "tflite", "LiteRT.js in Chromium, on WebGPU")
    yield _runner("tfjs-wasm", "tfjs", "TF.js in Chromium, on WebAssembly", threaded=True)
    yield _runner("tfjs-webgl", "tfjs", "TF.js in Chromium, on WebGL")
    yield _runner("tfjs-webgpu", "tfjs", "TF.js in Chromium, on WebGPU")
    yield _runner("tfjs-cpu", "tfjs", "TF.js in Chromium, in plain JavaScript")


def _runner(name: str, format: str, summary: str, *, threaded: bool = False) -> Runner:
    return Runner(
        name=name,
        summary=summary,
        format=format,
        implementation=f"pupila_web.runner:open_{name.replace('-', '_')}",
        primary=False,
        threaded=threaded,
        environment=_browser,
    )


def _browser() -> str:
    from pupila_web.browser import browser_version
    from pupila_web.pages import PAGES

    return f"{browser_version()}, {PAGES.version}"
