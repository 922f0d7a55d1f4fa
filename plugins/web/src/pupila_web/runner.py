"""LiteRT.js and TF.js in a headless Chromium: a page that loads one model and answers."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, InputSpec, Progress, PupilaError
from pupila.evaluation import Startup
from pupila_web import pages
from pupila_web.browser import OpenedPage
from pupila_web.server import Server, files_below
from pupila_web.sizes import download

_CHUNK_BYTES = 2_000_000
"""Of images that the page fetches at a time: bounds its memory, and lets progress be told."""

_OPEN_SECONDS = 600
_ANSWER_SECONDS = 900
_MODEL = "/model"

_ADVICE = {
    "Element type": "LiteRT.js takes only float32 at the two ends of a model: quantise it with "
    "`io_type: float`.",
    "input has shape": "Export the model again, for one image at a time.",
    "is not to be had": "Name another runtime, or try it where there is one.",
}
_OTHER_ADVICE = "Export the model again, or name another runtime."


@dataclass(frozen=True)
class Browsing:
    """What computes in the page."""

    runtime: Literal["litert", "tfjs"]
    backend: Literal["wasm", "webgl", "webgpu", "cpu"]

    @property
    def title(self) -> str:
        """For messages: `"LiteRT.js on webgpu"`."""
        return f"{'LiteRT.js' if self.runtime == 'litert' else 'TF.js'} on {self.backend}"

    @property
    def on_gpu(self) -> bool:
        """Whether Chromium's GPU process computes, with a graphics card or without."""
        return self.backend in ("webgl", "webgpu")


def _open(
    runtime: Literal["litert", "tfjs"],
    backend: Literal["wasm", "webgl", "webgpu", "cpu"],
    artifact: Artifact,
    threads: int,
) -> BrowserModel:
    """Open an artifact of the runtime's format; but for WebAssembly, `threads` is not heeded.

    TF.js takes as many threads as half of the logical cores at most, whatever `threads` is.

    Raises:
        PupilaError: there is no Chromium, or it lacks the backend, or the model does not run there;
            with the reason.
    """
    return BrowserModel(artifact, Browsing(runtime, backend), threads)


open_litertjs_wasm = partial(_open, "litert", "wasm")
open_litertjs_webgpu = partial(_open, "litert", "webgpu")
open_tfjs_wasm = partial(_open, "tfjs", "wasm")
open_tfjs_webgl = partial(_open, "tfjs", "webgl")
open_tfjs_webgpu = partial(_open, "tfjs", "webgpu")
open_tfjs_cpu = partial(_open, "tfjs", "cpu")


class BrowserModel:
    """A model in a page of its own, in a Chromium of its own; one image at a time."""

    def __init__(
        self, artifact: Artifact, browsing: Browsing, threads: int, *, isolated: bool = True
    ) -> None:
        """Serve the artifact and open the page on it; only an isolated one may have threads."""
        self._browsing = browsing
        self._threads_wanted = threads
        self._image_bytes = math.prod(artifact.record.input.shape)
        files = files_below(pages.PAGES.built(), "") | _model_files(artifact)
        with ExitStack() as owned:
            self._server = Server(files, isolated=isolated)
            owned.callback(self._server.close)
            url = f"{self._server.origin}/probe/index.html?{_query(browsing, threads, artifact)}"
            self._page = OpenedPage(url)
            owned.callback(self._page.close)
            self._opened = self._first_answer(artifact.path)
            self._owned = owned.pop_all()

    @property
    def process_id(self) -> int | None:
        """Of Chromium's main process."""
        return self._page.process_id

    @property
    def threads(self) -> int:
        return self._opened["threads"]

    @property
    def runtime(self) -> str:
        """Such as `"LiteRT.js 2.5.3, wasm, 2 threads, Chromium 156.0.8078.79"`.

        What plays a graphics card without being one is named: `"webgl on software (…)"`.
        """
        backend, adapter = self._opened["backend"], self._opened["adapter"]
        parts = [
            self._opened["version"],
            f"{backend} on {adapter}" if adapter else backend,
            *([self._told_threads()] if self._browsing.backend == "wasm" else []),
            f"Chromium {self._page.version}",
        ]
        return ", ".join(parts)

    def startup(self) -> Startup:
        """Return what opening took, as measured in the page, and what it downloaded.

        It all comes from this machine: a network's time is not in it.
        """
        served = self._server.downloaded
        model = [path for path in served if path.startswith(f"{_MODEL}/")]
        runtime = [path for path in served if path not in model]
        return Startup(
            cold_start_ms=self._opened["coldStartMs"],
            first_inference_ms=self._opened["firstInferenceMs"],
            model=download(self._server.files[path] for path in model),
            runtime=download(self._server.files[path] for path in runtime),
        )

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`.

        Raises:
            RuntimeError: the runtime threw, or Chromium died; the message is theirs.
        """
        outputs = np.empty((len(images), self._opened["columns"]), np.float32)
        step = max(1, _CHUNK_BYTES // self._image_bytes)
        for start in range(0, len(images), step):
            chunk = images[start : start + step]
            rows = self._ask(chunk, "([url]) => probe.predict(url)")
            outputs[start : start + step] = np.reshape(rows, (len(chunk), -1))
            progress(start + len(chunk), len(images), "images")
        return outputs

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Time inference and the read-back of its output, in the page, after three runs untimed.

        The image is a tensor of the runtime by then; bringing it to a graphics card is timed.
        """
        return self._ask(image, "([url, repeats]) => probe.time(url, repeats)", repeats)

    def peak_memory_bytes(self) -> int | None:
        """Return the largest resident memory of the page's process, None where it is not told.

        On WebGL and WebGPU that of Chromium's GPU process is added.
        """
        return self._page.peak_memory_bytes(with_gpu=self._browsing.on_gpu)

    def close(self) -> None:
        """Stop Chromium and the server."""
        self._owned.close()

    def _first_answer(self, folder: Path) -> dict[str, Any]:
        try:
            return self._page.call("() => probe.opened", seconds=_OPEN_SECONDS)
        except TimeoutError:
            reason = f"it was not ready after {_OPEN_SECONDS} seconds"
        except RuntimeError as error:
            reason = str(error)
        advice = next((text for sign, text in _ADVICE.items() if sign in reason), _OTHER_ADVICE)
        raise PupilaError(
            f"{str(folder)!r} does not run in {self._browsing.title}: {reason.rstrip('.')}. "
            f"{advice}"
        )

    def _ask(self, images: NDArray[np.uint8], function: str, *arguments: Any) -> Any:
        self._server.images = images.tobytes()
        url = f"{self._server.origin}/images.bin"
        try:
            return self._page.call(function, url, *arguments, seconds=_ANSWER_SECONDS)
        except TimeoutError:
            raise PupilaError(
                f"{self._browsing.title} did not answer to {len(images)} images within "
                f"{_ANSWER_SECONDS} seconds: name another runtime."
            ) from None

    def _told_threads(self) -> str:
        count = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        if self._threads_wanted > self.threads and not self._opened["isolated"]:
            return f"{count} (the page is not isolated)"
        return count


def _model_files(artifact: Artifact) -> dict[str, Path]:
    """Return the artifact's files under the names that the page asks for."""
    if artifact.format == "tflite":
        return {f"{_MODEL}/model.tflite": artifact.file(".tflite")}
    return {f"{_MODEL}/{name}": artifact.path / name for name in artifact.record.files}


def _query(browsing: Browsing, threads: int, artifact: Artifact) -> str:
    size: InputSpec = artifact.record.input
    return (
        f"runtime={browsing.runtime}&backend={browsing.backend}&threads={threads}"
        f"&height={size.height}&width={size.width}"
    )
