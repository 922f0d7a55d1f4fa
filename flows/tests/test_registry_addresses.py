"""Where no registry can be is refused in one sentence, and no password of an address is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem  # pyright: ignore - has no types
from fsspec.registry import register_implementation  # pyright: ignore - has no types
from publishable_runs import publishable_run, release

from pupila.errors import PupilaError
from pupila_flows.plan.reading import read_plan
from pupila_flows.recipe.source import RecipeError
from pupila_flows.registry import open_registry
from pupila_flows.registry.addresses import (
    check_address,
    hide_passwords_in,
    without_password,
)
from pupila_flows.registry.publish_past import publish_past
from pupila_flows.registry.publishing import publish
from pupila_flows.workspace import Workspace


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("memory://x", "'memory', which keeps nothing after the command ends: give a folder"),
        ("simplecache::s3://b/x", "several file systems, one through another"),
        ("filecache::memory://x", "several file systems"),
        ("dir::file:///srv", "several file systems"),
        ("zip://x::/srv/y.zip", "several file systems"),
        ("::", "several file systems"),
        ("arrow_hdfs://host/x", "needs the package pyarrow"),
        ("asyncwrapper://x", "which only wraps another file system"),
        ("local://", "is not an absolute path: write local:///folder"),
        ("file://host/x", "is not an absolute path: write file:///folder"),
        ("file:///dev/null", "leads to '/dev/null', where the kernel keeps no files"),
        ("ftp:///", "has no bucket or host"),
        ("/dev/null", "leads to '/dev/null', where the kernel keeps no files"),
        ("/dev/null/x", "leads to '/dev/null/x', where the kernel keeps no files"),
        ("/proc/self/x", "where the kernel keeps no files"),
        ("/sys/x", "where the kernel keeps no files"),
        (f"{__file__}/x", "test_registry_addresses.py' is not a folder"),
        (__file__, "test_registry_addresses.py' is not a folder"),
        ("/" + "x" * 300, "File name too long"),
        ("simplecache://x", "which only wraps another file system"),
        ("dir://x", "which only wraps another file system"),
        ("reference://x", "which only wraps another file system"),
        ("zip:///srv/y.zip", "an archive, which two publishers cannot both write"),
        ("tar://x", "an archive"),
        ("https://example.org/x", "which is read-only"),
        ("data://x", "which is read-only"),
        ("://x", "the protocol '', which fsspec does not know"),
        ("a\0b", "has a null byte"),
    ],
)
def test_an_address_where_nothing_is_kept_is_refused(address: str, words: str):
    with pytest.raises(PupilaError, match=words) as refusal:
        open_registry(address)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("ftp://me:hush@host/x", "ftp://me:***@host/x"),
        ("s3://key:hu/sh@bucket/x", "s3://key:***@bucket/x"),
        ("ftp://me:hu@sh@host/x", "ftp://me:***@host/x"),
        ("ftp://:hush@host", "ftp://:***@host"),
        ("s3://bucket/x?token=hush&region=eu", "s3://bucket/x?token=***&region=eu"),
        ("s3://bucket/x?AWS_SECRET_ACCESS_KEY=hush", "s3://bucket/x?AWS_SECRET_ACCESS_KEY=***"),
        ("ftp://me@host/x", "ftp://me@host/x"),
        ("ftp://host:21/x", "ftp://host:21/x"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("/srv/eyes@home:x", "/srv/eyes@home:x"),
    ],
)
def test_a_password_is_not_shown(address: str, shown: str):
    assert without_password(address) == shown


def test_a_password_is_taken_out_of_what_others_say():
    address = "ftp://me:h%2Fush@host/x"
    message = f"login of me with h/ush at {address} failed (h%2Fush)"
    assert (
        hide_passwords_in(address, message)
        == "login of me with *** at ftp://me:***@host/x failed (***)"
    )


@pytest.mark.parametrize(
    "address",
    ["s4://me:hush@host/x", "memory://me:hush@x", "dir::ftp://me:hush@x", "lakefs://me:hush@x"],
)
def test_a_refused_address_shows_no_password(address: str):
    with pytest.raises(PupilaError) as refusal:
        check_address(address)
    assert "hush" not in str(refusal.value)


class _Guarded(MemoryFileSystem):
    """A server that tells the password in its refusals, or takes everything."""

    protocol = "guarded"
    refuses = True

    def pipe_file(self, *args: Any, **kwargs: Any) -> None:
        if type(self).refuses:
            raise FileNotFoundError("no bucket for me:hush")
        super().pipe_file(*args, **kwargs)  # pyright: ignore - has no types


def test_a_registry_with_a_password_shows_it_nowhere(tmp_path: Path):
    register: Any = register_implementation  # pyright: ignore - has no types
    register("guarded", _Guarded, clobber=True)
    address = f"guarded://me:hush@{uuid4().hex}"
    registry = open_registry(address)
    with pytest.raises(PupilaError, match=r"me:\*\*\*@.*no bucket for me:\*\*\*"):
        publish(registry, release(tmp_path))
    _Guarded.refuses = False
    run = publishable_run(tmp_path)
    published = publish_past(Workspace.at(tmp_path / ".pupila"), run, address, None)
    assert published.outcome == "published"
    assert "hush" not in published.model_dump_json()
    kept: dict[str, Any] = _Guarded.store  # pyright: ignore - has no types
    assert [file for file in kept if "clinic/current.json" in file]
    assert not [file for file in kept.values() if b"hush" in file.getvalue()]
    assert "hush" not in (run / "result.json").read_text()


RECIPE = """\
name: clinic
data: {path: images}
teachers:
  big: {path: model.tflite, classes: [ill, well]}
steps:
  small: {use: quantize-float16, from: big}
publish: {to: 'TO'}
"""


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("memory://x", "keeps nothing after the command ends"),
        ("local://", "is not an absolute path"),
        ("arrow_hdfs://host/x", "needs the package pyarrow"),
        ("data:,x", "'data:,x' is neither a folder nor a URL: write data:// for a URL"),
        ("s3:/bucket/x", "'s3:/bucket/x' is neither a folder nor a URL"),
        ("/dev/null", "where the kernel keeps no files"),
        ("~no-such-user/x", "the home of a user who is not on this machine"),
        ("recipe.yaml", "recipe.yaml' is not a folder"),
        ("recipe.yaml/x", "recipe.yaml' is not a folder"),
        ("pipe", "pipe' is not a folder"),
        ("simplecache::s3://bucket/x", "several file systems"),
        ("ftp://me:hush@host/x", r"'ftp://me:\*\*\*@host/x' contains a password"),
        ("ftp://host/x?token=hush", "contains a password"),
    ],
)
def test_a_recipe_with_such_an_address_is_refused(tmp_path: Path, to: str, words: str):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("TO", to))
    with pytest.raises(RecipeError, match=words) as refusal:
        read_plan(tmp_path / "recipe.yaml")
    assert "hush" not in str(refusal.value)


def test_an_open_file_of_this_process_is_no_registry(tmp_path: Path):
    """`/proc/self/fd/1` leads to what standard output goes to."""
    with (
        (tmp_path / "output").open("w") as stream,
        pytest.raises(PupilaError, match="is not a folder"),
    ):
        check_address(f"/proc/self/fd/{stream.fileno()}")


def test_a_registry_of_the_environment_is_checked_before_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PUPILA_REGISTRY", "memory://x")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("{to: 'TO'}", "{}"))
    with pytest.raises(RecipeError, match=r"PUPILA_REGISTRY is wrong.* 'memory://x'"):
        read_plan(tmp_path / "recipe.yaml")


def test_a_password_from_the_environment_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PASSWORD", "hush")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("TO", "s4://me:${PASSWORD}@host/x"))
    with pytest.raises(RecipeError, match="protocol 's4'") as refusal:
        read_plan(tmp_path / "recipe.yaml")
    assert "contains a password" not in str(refusal.value)
    assert "hush" not in str(refusal.value)
