"""Runs models with LiteRT.js and TF.js in a headless Chromium, each model in its own page."""

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
"""Bytes of images that the page fetches at a time, to limit its memory.

Progress is reported after each such chunk.
"""

_OPEN_SECONDS = 600
_ANSWER_SECONDS = 900
_MODEL = "/model"

_ADVICE = {
    "Element type": "LiteRT.js takes only float32 at the two ends of a model: quantise it with "
    "`io_type: float`.",
    "input has shape": "Export the model again, for one image at a time.",
    "is not available": "Name another runtime, or run on a machine that has it.",
}
_OTHER_ADVICE = "Export the model again, or name another runtime."


@dataclass(frozen=True)
class BrowserRuntime:
    """A JavaScript library that runs models in a page, and the backend on which it computes."""

    library: Literal["litert", "tfjs"]
    backend: Literal["wasm", "webgl", "webgpu", "cpu"]

    @property
    def title(self) -> str:
        """Name for messages, such as `"LiteRT.js on webgpu"`."""
        return f"{'LiteRT.js' if self.library == 'litert' else 'TF.js'} on {self.backend}"

    @property
    def on_gpu(self) -> bool:
        """Whether the model runs in Chromium's GPU process instead of the page's own process.

        Without a graphics card, the GPU process emulates one in software.
        """
        return self.backend in ("webgl", "webgpu")


def _open(
    library: Literal["litert", "tfjs"],
    backend: Literal["wasm", "webgl", "webgpu", "cpu"],
    artifact: Artifact,
    threads: int,
) -> BrowserModel:
    """Open an artifact of the library's format; only WebAssembly uses `threads`.

    TF.js uses at most half of the logical cores, whatever `threads` is.

    Raises:
        PupilaError: Chromium is not installed or lacks the backend, or the model does not run on
            the backend; the message gives the reason.
    """
    return BrowserModel(artifact, BrowserRuntime(library, backend), threads)


open_litertjs_wasm = partial(_open, "litert", "wasm")
open_litertjs_webgpu = partial(_open, "litert", "webgpu")
open_tfjs_wasm = partial(_open, "tfjs", "wasm")
open_tfjs_webgl = partial(_open, "tfjs", "webgl")
open_tfjs_webgpu = partial(_open, "tfjs", "webgpu")
open_tfjs_cpu = partial(_open, "tfjs", "cpu")


class BrowserModel:
    """A model in its own page, in its own Chromium, run on one image at a time."""

    def __init__(
        self,
        artifact: Artifact,
        target: BrowserRuntime,
        threads: int,
        *,
        isolated: bool = True,
    ) -> None:
        """Serve the artifact, and open a page that loads it in the runtime `target`.

        Only an `isolated` page (see `pupila_web.server`) may use more than one of the `threads`.

        Raises:
            PupilaError: Chromium does not start, or the model does not run in the page.
        """
        self._target = target
        self._threads_wanted = threads
        self._image_bytes = math.prod(artifact.record.input.shape)
        files = files_below(pages.PAGES.find(), "") | _model_files(artifact)
        with ExitStack() as owned:
            self._server = Server(files, isolated=isolated)
            owned.callback(self._server.close)
            url = f"{self._server.origin}/probe/index.html?{_query(target, threads, artifact)}"
            self._page = OpenedPage(url)
            owned.callback(self._page.close)
            self._opened = self._wait_until_open(artifact.path)
            self._owned = owned.pop_all()

    @property
    def process_id(self) -> int | None:
        """Id of Chromium's main process."""
        return self._page.process_id

    @property
    def threads(self) -> int:
        return self._opened["threads"]

    @property
    def runtime(self) -> str:
        """Name and version, such as `"LiteRT.js 2.5.3, wasm, 2 threads, Chromium 156.0.8078.79"`.

        If software emulates the graphics card, the text says so: `"webgl on software (…)"`.
        """
        backend, adapter = self._opened["backend"], self._opened["adapter"]
        parts = [
            self._opened["version"],
            f"{backend} on {adapter}" if adapter else backend,
            *([self._thread_count()] if self._target.backend == "wasm" else []),
            f"Chromium {self._page.version}",
        ]
        return ", ".join(parts)

    def startup(self) -> Startup:
        """Return how long the page took to open, and the sizes of the files that it downloaded.

        The page measures the time. All files are served by this machine, so no network time is
        included.
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
            RuntimeError: the runtime threw an error, or Chromium crashed; the message gives the
                reason.
            PupilaError: a chunk of images took too long.
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
        """Return the milliseconds of each of `repeats` runs, after three untimed runs.

        `image` is uint8 `(height, width, 3)`. The page measures a run: the inference, and reading
        its output. The page makes a tensor of the image before the clock starts, but the time of
        copying the tensor to a graphics card is included.
        """
        return self._ask(image, "([url, repeats]) => probe.time(url, repeats)", repeats)

    def peak_memory_bytes(self) -> int | None:
        """Return the peak resident memory of the page's process in bytes; None if unknown.

        With WebGL and WebGPU, the memory of Chromium's GPU process is included.
        """
        return self._page.peak_memory_bytes(with_gpu=self._target.on_gpu)

    def close(self) -> None:
        """Stop Chromium and the server."""
        self._owned.close()

    def _wait_until_open(self, folder: Path) -> dict[str, Any]:
        try:
            return self._page.call("() => probe.opened", seconds=_OPEN_SECONDS)
        except TimeoutError:
            reason = f"it was not ready after {_OPEN_SECONDS} seconds"
        except RuntimeError as error:
            reason = str(error)
        advice = next((text for sign, text in _ADVICE.items() if sign in reason), _OTHER_ADVICE)
        raise PupilaError(
            f"{str(folder)!r} does not run in {self._target.title}: {reason.rstrip('.')}. {advice}"
        )

    def _ask(self, images: NDArray[np.uint8], function: str, *arguments: Any) -> Any:
        self._server.images = images.tobytes()
        url = f"{self._server.origin}/images.bin"
        try:
            return self._page.call(function, url, *arguments, seconds=_ANSWER_SECONDS)
        except TimeoutError:
            raise PupilaError(
                f"{self._target.title} did not process {len(images)} images within "
                f"{_ANSWER_SECONDS} seconds: name another runtime."
            ) from None

    def _thread_count(self) -> str:
        count = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        if self._threads_wanted > self.threads and not self._opened["isolated"]:
            return f"{count} (the page is not isolated)"
        return count


def _model_files(artifact: Artifact) -> dict[str, Path]:
    """Return the artifact's files under the paths that the page requests."""
    if artifact.format == "tflite":
        return {f"{_MODEL}/model.tflite": artifact.file(".tflite")}
    return {f"{_MODEL}/{name}": artifact.path / name for name in artifact.record.files}


def _query(target: BrowserRuntime, threads: int, artifact: Artifact) -> str:
    size: InputSpec = artifact.record.input
    return (
        f"runtime={target.library}&backend={target.backend}&threads={threads}"
        f"&height={size.height}&width={size.width}"
    )
