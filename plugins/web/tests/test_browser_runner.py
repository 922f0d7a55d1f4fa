from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import threading
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest

from pupila import Artifact, OpenModel, PupilaError
from pupila.predictions import open_model
from pupila.runtime import OpenPage
from pupila.testing import RunnerContract, flatbuffer_with_lacking_operator, ignore_progress
from pupila_web import browser as browser_module
from pupila_web import runner
from pupila_web.runner import BrowserModel, BrowserRuntime

TFLITE, TFJS = ("export-tflite",), ("export-tfjs",)
INT8 = ("export-tflite", "quantize-int8")
WASM = BrowserRuntime("litert", "wasm")


@pytest.mark.slow
@pytest.mark.usefixtures("browser")
class TestLitertJsKeepsTheContract(RunnerContract):
    plugin = "litertjs-wasm"


@pytest.mark.slow
@pytest.mark.usefixtures("browser")
class TestTfjsKeepsTheContract(RunnerContract):
    plugin = "tfjs-wasm"


@pytest.fixture(scope="module")
def expected(run_steps, images):
    """The outputs of LiteRT outside a browser."""
    with closing(open_model(run_steps(*TFLITE))) as native:
        return native.predict(images, ignore_progress)


@pytest.mark.parametrize(
    ("name", "threads", "runtime"),
    [
        ("litertjs-wasm", 1, r"LiteRT\.js 2\.5\.\d, wasm, 1 thread, Chromium \d+\.[\d.]+"),
        ("litertjs-wasm", 2, r"LiteRT\.js 2\.5\.\d, wasm, 2 threads, Chromium \d+\.[\d.]+"),
        ("litertjs-webgpu", 1, r"LiteRT\.js 2\.5\.\d, webgpu on .+, Chromium \d+\.[\d.]+"),
        ("tfjs-wasm", 1, r"TF\.js 4\.22\.0, wasm \(SIMD\), 1 thread, Chromium \d+\.[\d.]+"),
        ("tfjs-webgl", 1, r"TF\.js 4\.22\.0, webgl on .+, Chromium \d+\.[\d.]+"),
        ("tfjs-cpu", 1, r"TF\.js 4\.22\.0, cpu \(plain JavaScript\), Chromium \d+\.[\d.]+"),
        pytest.param(
            *("tfjs-webgpu", 1, r"TF\.js 4\.22\.0, webgpu on .+, Chromium \d+\.[\d.]+"),
            marks=pytest.mark.slow,  # may compile its shaders in software
        ),
    ],
)
def test_a_browser_gives_the_outputs_of_the_primary_runtime(
    outputs, expected, name, threads, runtime
):
    in_browser = outputs(name, threads)
    assert re.fullmatch(runtime, in_browser.runtime)
    assert in_browser.threads == threads
    assert in_browser.answers.dtype == np.float32
    np.testing.assert_allclose(in_browser.answers, expected, atol=1e-4)
    assert np.ptp(expected[:, 0]) > 0.01  # the images differ for this network


@pytest.mark.parametrize("name", ["litertjs-webgpu", "tfjs-webgl"])
def test_software_that_emulates_a_graphics_card_is_named(outputs, name):
    runtime = outputs(name, 1).runtime
    emulated = re.search("swiftshader|llvmpipe", runtime, re.IGNORECASE)
    assert bool(emulated) == (" on software (" in runtime)


@pytest.mark.parametrize(
    ("name", "threads", "code"),
    [
        ("litertjs-wasm", 1, ["litert_wasm_internal.wasm"]),
        ("litertjs-wasm", 2, ["litert_wasm_threaded_internal.wasm"]),
        ("litertjs-webgpu", 1, ["litert_wasm_jspi_internal.wasm"]),
        ("tfjs-wasm", 1, ["tfjs-backend-wasm-simd-….wasm"]),
        ("tfjs-wasm", 2, ["tfjs-backend-wasm-threaded-simd-….wasm"]),
        ("tfjs-webgl", 1, []),
        ("tfjs-cpu", 1, []),
    ],
)
def test_only_what_a_runtime_needs_is_fetched(outputs, name, threads, code):
    wasm = [file for file in outputs(name, threads).downloaded if file.endswith(".wasm")]
    assert [re.sub(r"-[\w-]{8}\.wasm$", "-….wasm", file) for file in wasm] == code


def test_tfjs_reports_the_threads_that_it_uses(outputs, expected):
    in_browser = outputs("tfjs-wasm", 2)
    assert in_browser.threads == min(2, max(1, (os.cpu_count() or 1) // 2))  # half of the cores
    assert f"{in_browser.threads} thread" in in_browser.runtime
    np.testing.assert_allclose(in_browser.answers, expected, atol=1e-4)


def test_int8_with_float_input_and_output_gives_the_same_labels(open_in_browser, run_steps, images):
    artifact = run_steps(*INT8)
    with closing(open_model(artifact)) as own:
        expected = own.predict(images, ignore_progress)
    with open_in_browser("litertjs-wasm", artifact, 2) as model:
        answers = model.predict(images, ignore_progress)
    np.testing.assert_array_equal(answers.argmax(axis=1), expected.argmax(axis=1))
    np.testing.assert_allclose(answers, expected, atol=0.05)


def test_integer_input_and_output_is_refused_with_the_reason_and_advice(open_in_browser, run_steps):
    artifact = run_steps(*INT8, io_type="int8")
    with (
        pytest.raises(
            PupilaError,
            match=r"does not run in LiteRT\.js on wasm: Element type INT8 is not supported\. "
            r"LiteRT\.js takes only float32 .* `io_type: float`",
        ),
        open_in_browser("litertjs-wasm", artifact),
    ):
        pass


@pytest.mark.parametrize(
    ("steps", "name", "reason"),
    [
        (TFLITE, "litertjs-wasm", "Failed to load model"),
        (TFJS, "tfjs-wasm", "Failed to parse model JSON"),
    ],
)
def test_a_damaged_model_is_refused_by_name(
    open_in_browser, run_steps, tmp_path, steps, name, reason
):
    whole = run_steps(*steps)
    damaged = Artifact(tmp_path / "damaged", whole.digest, whole.record)
    shutil.copytree(whole.path, damaged.path)
    main = damaged.path / ("model.json" if steps == TFJS else "model.tflite")
    main.write_bytes(main.read_bytes()[: main.stat().st_size // 2])
    with (
        pytest.raises(PupilaError, match=rf"damaged' does not run in .*{reason}.*Export the model"),
        open_in_browser(name, damaged),
    ):
        pass


def test_an_operator_that_litertjs_lacks_is_named(open_in_browser, run_steps, tmp_path):
    record = run_steps(*TFLITE).record
    content = flatbuffer_with_lacking_operator(record.input, record.output.columns)
    (tmp_path / "model.tflite").write_bytes(content)
    artifact = Artifact(tmp_path, "", record)
    with (
        pytest.raises(PupilaError, match=r"FlexMatrixDeterminant.*name another runtime"),
        open_in_browser("litertjs-wasm", artifact),
    ):
        pass


def test_a_model_in_more_files_than_a_browser_has_connections_is_read(
    open_in_browser, run_steps, tmp_path
):
    files = 10
    whole = run_steps(*TFJS)
    shutil.copytree(whole.path, tmp_path / "model")
    model_json = tmp_path / "model" / "model.json"
    model = json.loads(model_json.read_text())
    (group,) = model["weightsManifest"]
    ballast = 4_000_000 * files  # too much for any buffer between server and browser
    group["weights"].append({"name": "ballast", "shape": [ballast // 4], "dtype": "float32"})
    content = b"".join((tmp_path / "model" / name).read_bytes() for name in group["paths"])
    content += bytes(ballast)
    group["paths"] = [f"part{number}.bin" for number in range(files)]
    step = math.ceil(len(content) / files)
    for number, name in enumerate(group["paths"]):
        part = content[number * step : (number + 1) * step]
        (tmp_path / "model" / name).write_bytes(part)
    model_json.write_text(json.dumps(model))
    names = dict.fromkeys(["model.json", *group["paths"]], "")
    record = whole.record.model_copy(update={"files": names})
    with open_in_browser("tfjs-cpu", Artifact(tmp_path / "model", "", record)) as split:
        assert len([path for path in split._server.downloaded if "part" in path]) == files


def test_another_input_than_the_record_says_is_refused(open_in_browser, run_steps):
    artifact = run_steps(*TFLITE)
    other = artifact.record.input.model_copy(update={"width": 99})
    wrong = Artifact(
        artifact.path, artifact.digest, artifact.record.model_copy(update={"input": other})
    )
    with (
        pytest.raises(PupilaError, match=r"has shape \[1,32,32,3\], but \[1,32,99,3\] is expected"),
        open_in_browser("litertjs-wasm", wrong),
    ):
        pass


def test_a_page_that_is_not_isolated_has_no_threads_and_says_so(browser, run_steps, images):
    artifact = run_steps(*TFLITE)
    with closing(BrowserModel(artifact, WASM, 2, isolated=False)) as model:
        assert model.threads == 1
        assert "wasm, 1 thread (the page is not isolated), Chromium" in model.runtime
        assert model.predict(images, ignore_progress).shape == (len(images), 2)


@pytest.mark.parametrize(
    ("name", "steps", "backend"),
    [("tfjs-webgl", TFJS, "WebGL 2"), ("litertjs-webgpu", TFLITE, "WebGPU")],
)
def test_a_missing_backend_is_named(open_in_browser, run_steps, monkeypatch, name, steps, backend):
    without = ("--disable-3d-apis", "--disable-gpu", "--disable-software-rasterizer")
    kept = [argument for argument in browser_module._ARGUMENTS if "webgpu" not in argument]
    monkeypatch.setattr(browser_module, "_ARGUMENTS", (*kept, *without))
    with (
        pytest.raises(PupilaError, match=rf"{backend} is not available .*Name another runtime"),
        open_in_browser(name, run_steps(*steps)),
    ):
        pass


def test_startup_is_measured(open_in_browser, run_steps):
    artifact = run_steps(*TFJS)
    with open_in_browser("tfjs-cpu", artifact) as model:
        assert isinstance(model, OpenPage)
        startup = model.startup()
    assert 50 < startup.cold_start_ms < 60_000
    assert 0 < startup.first_inference_ms < 60_000
    assert startup.model.size_bytes == artifact.size_bytes
    runtime = startup.runtime
    assert 100_000 < runtime.brotli_bytes < runtime.gzip_bytes < runtime.size_bytes < 2_000_000


def test_latency_has_one_positive_time_for_each_repeat(open_in_browser, run_steps, images):
    with open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as model:
        times = model.latency_ms(images[0], 7)
    assert len(times) == 7
    assert all(0 < time < 1000 for time in times)


def test_progress_is_reported_for_each_chunk(open_in_browser, run_steps, images, monkeypatch):
    monkeypatch.setattr(runner, "_CHUNK_BYTES", images[0].size * 4)
    reports: list[tuple[int, int, str]] = []
    with open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as model:
        answers = model.predict(images, lambda *report: reports.append(report))
        whole = model.predict(images[4:], ignore_progress)
    assert reports == [(4, 6, "images"), (6, 6, "images")]
    np.testing.assert_array_equal(answers[4:], whole)


def test_memory_is_that_of_the_page(open_in_browser, run_steps):
    with open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as model:
        assert 50e6 < model.peak_memory_bytes() < 1e9


def test_two_models_are_open_at_once(open_in_browser, run_steps, images):
    with (
        open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as one,
        open_in_browser("tfjs-cpu", run_steps(*TFJS)) as other,
    ):
        open_models: list[OpenModel] = [one, other]
        answers = [model.predict(images, ignore_progress) for model in open_models]
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-4)


def test_closing_ends_chromium_and_the_server(open_in_browser, run_steps):
    with open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as model:
        process_id, address = model.process_id, urlsplit(model._server.origin)
    with pytest.raises(ProcessLookupError):
        os.kill(process_id, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port)).close()


def test_a_killed_chromium_is_reported(open_in_browser, run_steps, images):
    with open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as model:
        os.kill(model.process_id, signal.SIGKILL)
        with pytest.raises(RuntimeError, match=r"(closed|crashed)"):
            model.predict(images, ignore_progress)


def test_a_page_that_crashes_while_it_computes_is_reported(open_in_browser, run_steps, images):
    with open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as model:
        for process in model._page.processes("renderer"):
            threading.Timer(2, os.kill, (process, signal.SIGKILL)).start()
        with pytest.raises(RuntimeError, match="page crashed"):
            model.latency_ms(images[0], 1_000_000)


def test_a_page_that_hangs_is_killed(open_in_browser, run_steps, monkeypatch):
    monkeypatch.setattr(runner, "_OPEN_SECONDS", 0.01)
    monkeypatch.setattr(browser_module, "_STOP_SECONDS", 0.01)
    with (
        pytest.raises(PupilaError, match=r"was not ready after 0\.01 seconds"),
        open_in_browser("tfjs-webgl", run_steps(*TFJS)),
    ):
        pass


def test_no_request_leaves_this_machine(open_in_browser, run_steps):
    with open_in_browser("tfjs-cpu", run_steps(*TFJS)) as model:
        call = model._page.call
        assert call("([url]) => fetch(url).then((answer) => answer.status)", "./index.html") == 200
        with pytest.raises(RuntimeError, match="Failed to fetch"):
            call("() => fetch('http://example.com/', {mode: 'no-cors'})")


def test_an_exception_in_the_page_is_reported_and_the_model_stays_usable(
    open_in_browser, run_steps, images
):
    with open_in_browser("litertjs-wasm", run_steps(*TFLITE)) as model:
        with pytest.raises(RuntimeError, match="Number of elements"):
            model.predict(images[:1, :3], ignore_progress)
        assert model.predict(images, ignore_progress).shape == (len(images), 2)
