"""What is published names no folder of the machine that published it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from publishable_runs import gate_of, publishable_run, published_text, read_run

from pupila.external import ExternalEvaluation, ExternalMetrics, ImageDisagreement
from pupila_flows.recipe.publish import PublishSection
from pupila_flows.registry import Registry, open_registry
from pupila_flows.registry.manifest import CARD, CARD_PAGE, MANIFEST, REPORT, RESULT
from pupila_flows.registry.publishing import Release, publish
from pupila_flows.registry.release import release_of
from pupila_flows.registry.verify import verify_folder
from pupila_flows.report.page import write_report
from pupila_flows.results import (
    Check,
    Entry,
    ExternalResult,
    ExternalSet,
    RunResult,
    SkippedImage,
)
from pupila_flows.workspace import Workspace


@pytest.fixture
def folder(tmp_path: Path) -> Registry:
    return open_registry(str(tmp_path / "registry"))


def test_no_path_of_this_machine_is_published(folder: Registry, tmp_path: Path):
    here = tmp_path / "Dr. O'Hara & Söhne"
    given = _well_travelled(here)
    publish(folder, given)
    version = Path(folder.location("clinic", 1))
    texts = {
        name: published_text(folder, 1, name)
        for name in (RESULT, CARD, CARD_PAGE, MANIFEST, REPORT)
    }
    hidden = (str(tmp_path), "Hara", "S%C3%B6hne", "elsewhere")
    assert [(name, path) for name, text in texts.items() for path in hidden if path in text] == []
    assert verify_folder(version).problems == ()
    result = RunResult.model_validate_json(texts[RESULT])
    assert (result.data.path, result.recipe_path) == ("images", "recipe.yaml")
    assert result.test_images[0] == "test/eye & lid 000.jpg"
    assert result.data.checks[-1].images == ("far.jpg", "test/eye & lid 000.jpg")
    assert result.data.checks[-1].observed == "far.jpg, near 'other.jpg' (see s3://eyes/a/b)."
    assert result.gate and result.gate.artifacts[0].findings[0].images[0].path == (
        "test/eye & lid 001.jpg"
    )
    assert (result.external[0].path, result.external[0].skipped[0].path) == ("b.csv", "bad one.jpg")
    evaluation = result.entries[0].external[0].evaluation
    assert evaluation and evaluation.disagreements[0].path == "disagreements.jpg"
    assert result.entries[-1].record == given.result.entries[-1].record
    assert "pupila run &#39;recipe.yaml&#39;" in texts[REPORT]
    assert 'title="test/eye &amp; lid' in texts[REPORT]
    assert "Data Docs of the validation" in texts[REPORT]
    assert not re.search('href="[^#]', texts[REPORT]), "it links to what is not published"


def _well_travelled(here: Path) -> Release:
    """Return a release whose run names images here and elsewhere, and its own folders."""
    run = publishable_run(here)
    result = read_run(run)
    images = [here / "images" / "test" / f"eye & lid {row:03d}.jpg" for row in range(107)]
    for image in images:
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(image)
    near = Check(
        name="No image nearly repeats one of another split",
        severity="warning",
        passed=False,
        observed="/srv/elsewhere/far.jpg, near '/srv/elsewhere/more/other.jpg' (see s3://eyes/a/b).",
        images=("/srv/elsewhere/far and wide/far.jpg", str(images[0])),
    )
    changes = {
        "path": str(here / "images"),
        "checks": (*result.data.checks, near),
        "data_docs": str(here / "docs" / "index.html"),
    }
    result = result.model_copy(
        update={
            "data": result.data.model_copy(update=changes),
            "test_images": tuple(map(str, images)),
            "gate": gate_of("pass", images=(str(images[1]),)),
            "entries": (_failing(result.entries[0], here), *result.entries[1:]),
            "external": (_external(),),
        }
    )
    (run / "result.json").write_text(result.model_dump_json())
    for entry in result.entries:
        assert entry.evaluation
        kept = Path(entry.evaluation.probabilities)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, np.eye(2)[np.arange(107) % 2])
    write_report(result, run)
    store = Workspace.at(here / ".pupila").store
    return release_of(result, run, PublishSection(artifacts=("int8",)), store)


def _external() -> ExternalSet:
    bad = SkippedImage(path="/srv/elsewhere/clinic b/bad one.jpg", reason="it is not an image")
    return ExternalSet(
        name="b",
        path="/srv/elsewhere/clinic b/b.csv",
        fingerprint="-",
        images=9,
        patients=None,
        counts=None,
        skipped=(bad,),
    )


def _failing(entry: Entry, here: Path) -> Entry:
    image = ImageDisagreement(
        path="/srv/elsewhere/clinic b/far off/disagreements.jpg",
        truth=None,
        answer="normal",
        other="glaucoma",
        probability=0.1,
        other_probability=0.9,
    )
    evaluation = ExternalEvaluation(
        figures=ExternalMetrics(images=9),
        disagreements=(image,),
        probabilities=f"{here / '.pupila' / 'b.npy'!s}",
    )
    changes = {
        "error": f"{here / 'logs' / 'evaluate.log'!s} tells more",
        "external": (ExternalResult(name="b", evaluation=evaluation),),
    }
    return entry.model_copy(update=changes)
