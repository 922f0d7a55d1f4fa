from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pupila import PupilaError
from pupila.runtime import ignore_progress
from pupila.testing import RunnerContract
from pupila.web import npm
from pupila.web.npm import Packages
from pupila_tfjs import nodejs, runner
from pupila_tfjs.graph import flatten_biases
from pupila_tfjs.runner import TfjsModel

MEGABYTE = 1_000_000

pytestmark = pytest.mark.usefixtures("javascript")


class TestTfjsKeepsTheContract(RunnerContract):
    plugin = "tfjs-node"


@contextmanager
def opened(folder: Path) -> Generator[TfjsModel]:
    model = TfjsModel(folder)
    try:
        yield model
    finally:
        model.close()


def convolved(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the outputs of `wide_bias_model` in NumPy."""
    red, green, blue = np.moveaxis(images.astype(np.float32), -1, 0)
    maps = np.stack([red + 0.5, np.maximum(green - blue + 100, 0)], axis=-1)
    return maps.mean(axis=(1, 2))


def test_pixels_arrive_as_0_to_255_and_in_order(mean_colour_model: Path, images: NDArray[np.uint8]):
    with opened(mean_colour_model) as model:
        answers = model.predict(images, ignore_progress)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, images.mean(axis=(1, 2)), rtol=1e-6)


def test_progress_counts_every_image(mean_colour_model: Path, images: NDArray[np.uint8]):
    reports: list[tuple[int, int, str]] = []
    with opened(mean_colour_model) as model:
        model.predict(images, lambda done, total, what: reports.append((done, total, what)))
    assert reports == [(1, 3, "images"), (2, 3, "images"), (3, 3, "images")]


def test_a_bias_of_rank_4_is_refused_by_wasm_and_the_runtime_says_so(
    wide_bias_model: Path, images: NDArray[np.uint8]
):
    with opened(wide_bias_model) as model:
        assert "cpu backend" in model.runtime
        assert "wasm refused: FusedConv2D only supports rank-1 bias but got rank 4" in model.runtime
        np.testing.assert_allclose(
            model.predict(images, ignore_progress), convolved(images), rtol=1e-5
        )


def test_a_flattened_bias_runs_on_wasm(wide_bias_model: Path, images: NDArray[np.uint8]):
    flatten_biases(wide_bias_model / "model.json")
    with opened(wide_bias_model) as model:
        assert model.runtime == "TF.js 4.22.0, wasm backend (SIMD)"
        np.testing.assert_allclose(
            model.predict(images, ignore_progress), convolved(images), rtol=1e-5
        )


def test_peak_memory_is_the_childs_own_even_if_its_parent_is_larger(mean_colour_model: Path):
    ballast = np.ones(600 * MEGABYTE, np.uint8)
    with opened(mean_colour_model) as model:
        assert 30 * MEGABYTE < model.peak_memory_bytes() < 400 * MEGABYTE
    assert ballast.all()


def test_a_javascript_exception_is_reported_and_the_model_stays_usable(
    mean_colour_model: Path, images: NDArray[np.uint8]
):
    with opened(mean_colour_model) as model:
        with pytest.raises(RuntimeError, match="should have 48 values but has 27"):
            model.predict(images[:, :3, :3], ignore_progress)
        assert model.predict(images, ignore_progress).shape == (3, 3)


def test_a_killed_child_is_reported_with_its_exit_code(
    mean_colour_model: Path, images: NDArray[np.uint8]
):
    with opened(mean_colour_model) as model:
        os.kill(model.process_id, signal.SIGKILL)
        with pytest.raises(RuntimeError, match="Node ended with exit code -9"):
            model.predict(images, ignore_progress)


def test_closing_ends_the_child(mean_colour_model: Path):
    with opened(mean_colour_model) as model:
        process_id = model.process_id
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("model.json", '{"modelTopology": {"no', "JSON"),
        ("model.json", "{}", "not a graph model"),
        ("shard.bin", "", "axes|length|values"),
    ],
)
def test_a_damaged_model_is_refused_by_name(
    mean_colour_model: Path, file: str, content: str, reason: str
):
    (mean_colour_model / file).write_text(content)
    with pytest.raises(PupilaError, match=rf"colour' does not run in TF\.js: .*({reason})"):
        TfjsModel(mean_colour_model)


def test_an_unknown_operation_is_named(wide_bias_model: Path):
    model_json = wide_bias_model / "model.json"
    model_json.write_text(model_json.read_text().replace('"Mean"', '"Erfc"'))
    with pytest.raises(PupilaError, match="Erfc"):
        TfjsModel(wide_bias_model)


@pytest.fixture
def temporary_files(monkeypatch: pytest.MonkeyPatch) -> list[IO[bytes]]:
    """Collect the temporary files that are opened from now on."""
    files: list[IO[bytes]] = []
    really_open = tempfile.TemporaryFile

    def open_and_note() -> IO[bytes]:
        files.append(really_open())
        return files[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", open_and_note)
    return files


@pytest.fixture
def other_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let Node run another script, which writes its process id into the model's file `pid`."""
    packages = nodejs.PACKAGES.find()

    def use(body: str) -> None:
        (tmp_path / "runner.mjs").write_text(
            "import { closeSync, writeFileSync, writeSync } from 'node:fs';\n"
            "writeFileSync(process.argv[3] + '/pid', String(process.pid));\n" + body
        )
        monkeypatch.setattr(nodejs, "SCRIPTS", tmp_path)
        monkeypatch.setattr(Packages, "find", lambda _: packages)

    return use


def assert_nothing_is_left(folder: Path, temporary_files: list[IO[bytes]]) -> None:
    process_id = int((folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
    assert [file.closed for file in temporary_files] == [True]


def test_a_node_that_does_not_start_is_reported_and_leaves_no_file_open(
    mean_colour_model: Path,
    temporary_files: list[IO[bytes]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(npm, "node", lambda: tmp_path / "no_node")
    with pytest.raises(PupilaError, match=r"Node does not start: .*no_node"):
        TfjsModel(mean_colour_model)
    assert [file.closed for file in temporary_files] == [True]


@pytest.mark.parametrize(
    ("header", "error"), [("nope", (PupilaError, "does not run")), ("{}", (KeyError, "bytes"))]
)
def test_a_bad_first_answer_leaves_nothing_behind(
    mean_colour_model: Path,
    temporary_files: list[IO[bytes]],
    other_script: Any,
    header: str,
    error: tuple[type[Exception], str],
):
    frame = f"Buffer.concat([Buffer.from([{len(header)}, 0, 0, 0]), Buffer.from('{header}')])"
    other_script(f"writeSync(1, {frame}); process.stdin.resume();")
    expected, message = error
    with pytest.raises(expected, match=message):
        TfjsModel(mean_colour_model)
    assert_nothing_is_left(mean_colour_model, temporary_files)


def test_an_interrupt_before_the_first_answer_leaves_nothing_behind(
    mean_colour_model: Path, temporary_files: list[IO[bytes]], other_script: Any
):
    other_script("process.stdin.resume();")
    reader = threading.get_ident()
    # a shell that started the tests in the background had interrupts ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(2, lambda: signal.pthread_kill(reader, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            TfjsModel(mean_colour_model)
    finally:
        signal.signal(signal.SIGINT, before)
    assert_nothing_is_left(mean_colour_model, temporary_files)


def test_a_child_that_stops_answering_but_does_not_end_is_killed(
    mean_colour_model: Path,
    temporary_files: list[IO[bytes]],
    other_script: Any,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(runner, "_STOP_SECONDS", 0.5)
    other_script("closeSync(1); setInterval(() => {}, 1000);")
    with pytest.raises(PupilaError, match="Node ended with exit code -9"):
        TfjsModel(mean_colour_model)
    assert_nothing_is_left(mean_colour_model, temporary_files)
