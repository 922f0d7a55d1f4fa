"""A site whose models, classes and title have hostile names, in Chromium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pupila import Artifact

skimage = pytest.importorskip("skimage")
PHOTOGRAPH = Path(skimage.__file__).parent / "data" / "chelsea.png"
ANSWERED = ".verdict"

HOSTILE = (
    '</title><script>window.ran=1</script>"><img src=http://pictures.invalid/x.png onerror='
    "'window.ran=2'><svg onload=window.ran=3>[go](javascript:window.ran=4)<base href=//x.invalid>"
)


@pytest.mark.long
@pytest.mark.parametrize("unprotected", [False, True])
def test_names_of_models_classes_and_files_are_shown_and_not_executed(
    opened: Callable[..., Any],
    serve: Callable[[Path], Any],
    site: Artifact,
    tmp_path: Path,
    unprotected: bool,
):
    copy = shutil.copytree(site.path, tmp_path / "site")
    content = json.loads((copy / "site.json").read_text())
    content |= {"title": HOSTILE, "verdicts": [HOSTILE, HOSTILE]}
    for entry in (*content["models"], content["filter"]):
        entry["name"] += HOSTILE
        entry["classes"] = [f"{name}{HOSTILE}" for name in entry["classes"]]
        for key in entry.keys() & {"positive", "accepts"}:
            entry[key] += HOSTILE
    (copy / "site.json").write_text(json.dumps(content))
    image = tmp_path / f"{HOSTILE.replace('/', '')[:200]}.png"
    shutil.copy(PHOTOGRAPH, image)
    with serve(copy) as served:
        page = opened("about:blank", bypass_csp=unprotected)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.goto(served.url)
        page.wait_for_selector("#model option", state="attached")
        page.set_input_files("#file", image)
        page.wait_for_selector(ANSWERED)
        assert page.title() == HOSTILE and HOSTILE in page.inner_text("body")
        assert page.evaluate("window.ran") is None
        assert not page.query_selector("[onerror], [onload], base, img[src*=invalid]")
        assert [url for url in requests if "invalid" in url] == []
