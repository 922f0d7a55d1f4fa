"""What a descriptor says wrongly is reported when it is loaded, and stops nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pupila.descriptors import descriptor_fault
from pupila.plugin_registry import installed
from pupila.testing import plugin_installed

MODULE = """
from pupila import Config, Exporter, ImageFormat, Loader, Runner, Shift, Student, Task, Technique
from pupila import hookimpl

COMMON = dict(name="mine", summary="Does it", implementation="json:loads")
STEP = COMMON | dict(accepts=frozenset({{"keras"}}), produces="keras")
TASK = COMMON | dict(training="json:loads", label_columns=("value",), output_kinds=("number",))


@hookimpl
def pupila_techniques():
    yield Technique(**STEP | dict(name="good"))


@hookimpl
def {hook}():
    yield {descriptor}
"""

WRONG = [
    ("Technique(**STEP | dict(name='a/b'))", "technique 'a/b' has name='a/b', where a name of at"),
    ("Technique(**STEP | dict(name=5))", "technique 5 has name=5, where str was expected"),
    ("Technique(**STEP | dict(summary=' '))", "summary=' ', where one line of text was expected"),
    ("Technique(**STEP | dict(implementation='json'))", "implementation='json', where 'module:att"),
    ("Technique(**STEP | dict(implementation='json:'))", "implementation='json:', where 'module:a"),
    ("Technique(**STEP | dict(accepts={'keras'}))", "{'keras'}, where frozenset[str] was expected"),
    ("Technique(**STEP | dict(accepts='keras'))", "accepts='keras', where frozenset[str] was exp"),
    ("Technique(**STEP | dict(accepts=frozenset({'a b'})))", "where names of formats, such as"),
    ("Technique(**STEP | dict(produces=None))", "produces=None, where str was expected"),
    ("Technique(**STEP | dict(config=dict))", "<class 'dict'>, where type[Config] was expected"),
    ("Technique(**STEP | dict(max_inputs='1'))", "max_inputs='1', where int | None was expected"),
    ("Technique(**STEP | dict(seeded=1))", "seeded=1, where bool was expected"),
    ("Technique(**STEP | dict(environment='x'))", "where Callable[[], str] | None was expected"),
    ("Exporter(**STEP | dict(shows_metrics='no'))", "shows_metrics='no', where bool was expected"),
    ("Student(**COMMON, size=(8, 8))", "size=(8, 8), where int was expected"),
    ("Loader(**COMMON, produces='', recognises='.h5')", "recognises='.h5', where Callable[[Path]"),
    ("Runner(**COMMON, format='')", "runner 'mine' has format='', where a name of at most 64"),
    ("Runner(**COMMON, format='f', check='m.c')", "check='m.c', where 'module:attribute' was ex"),
    ("ImageFormat(**COMMON, suffixes=frozenset({'dcm'}))", "where suffixes in small letters, such"),
    (
        "ImageFormat(**COMMON, suffixes=frozenset({'.DCM'}))",
        "where suffixes in small letters, such",
    ),
    (
        "ImageFormat(**COMMON, suffixes=frozenset({'.1'}))",
        "where suffixes in small letters, such as",
    ),
    ("Task(**TASK | dict(training='t'))", "training='t', where 'module:attribute' was expected"),
    ("Task(**TASK | dict(label_columns=['v']))", "where tuple[str, ...] was expected"),
    ("Shift(**COMMON | dict(summary='two\\nlines'))", "where one line of text was expected"),
]


@pytest.mark.parametrize(("descriptor", "message"), WRONG, ids=[text for text, _ in WRONG])
def test_a_wrong_field_is_named_with_what_was_received_and_expected(
    tmp_path: Path, descriptor: str, message: str
):
    kind = descriptor.partition("(")[0]
    hooks = {"Technique": "pupila_exporters", "ImageFormat": "pupila_images"}
    hook = hooks.get(kind, f"pupila_{kind.lower()}s")
    code = MODULE.format(hook=hook, descriptor=descriptor)
    with plugin_installed(tmp_path, "wrong-dist", "wrong_descriptor", code):
        registry = installed()
        assert registry.step("good").summary == "Does it"
        (broken,) = (broken for broken in registry.broken if broken.distribution == "wrong-dist")
    assert message in broken.error
    assert broken.error.endswith(" was expected")
    assert len(str(broken)) < 250


def test_every_descriptor_that_is_installed_is_right():
    registry = installed()
    assert registry.broken == ()
    assert [descriptor_fault(entry.plugin) for entry in registry.plugins].count(None) > 60
