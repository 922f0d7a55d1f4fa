"""HTML and SVG of packages: what is written again, and what is refused."""

from __future__ import annotations

import pytest

from pupila.errors import PupilaError
from pupila.fragments import checked


@pytest.mark.parametrize(
    "fragment",
    [
        "<script>1</script>",
        "<style>p{}</style>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<iframe srcdoc='x'></iframe>",
        "<p style='color:red'>x</p>",
        "<p id='results'>x</p>",
        "<svg onload=alert(1)></svg>",
        "<svg><script>1</script></svg>",
        "<svg><foreignObject><p>x</p></foreignObject></svg>",
        "<svg><use href='#x'/></svg>",
        "<svg><image href='https://example.org/x.png'/></svg>",
        "<svg><animate attributeName='x'/></svg>",
        "<svg><rect fill='url(https://example.org/x.svg#a)'/></svg>",
        "<svg><rect fill='url (#a)'/></svg>",
        "<p>",
        "</p>",
        "<b><i></b></i>",
        "<form action='/x'><input></form>",
        "<meta http-equiv='refresh' content='0'>",
        "<base href='//example.org'>",
        "<!doctype html><p>x</p>",
        "<![CDATA[<script>1</script>]]>",
        "<?xml version='1.0'?><p>x</p>",
        "<math><mi>x</mi></math>",
        "<textarea></textarea>",
        "<noscript></noscript>",
    ],
)
def test_what_could_run_load_or_restyle_is_refused(fragment: str):
    with pytest.raises(PupilaError):
        checked(fragment)


@pytest.mark.parametrize(
    ("fragment", "written"),
    [
        ("a < b & c", "a &lt; b &amp; c"),
        ("<P CLASS='small'>é &amp; &lt;script&gt;</P>", None),
        ('<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>', None),
        ("x<!-- a comment with <script> -->y", "xy"),
        ("<td title='\"><script>'>1</td>", '<td title="&quot;&gt;&lt;script&gt;">1</td>'),
        ("<br/>", "<br>"),
        ("<p/>", "<p></p>"),
    ],
)
def test_texts_tables_and_drawings_are_written_again(fragment: str, written: str | None):
    expected = {
        "<P CLASS='small'>é &amp; &lt;script&gt;</P>": (
            '<p class="small">é &amp; &lt;script&gt;</p>'
        ),
        '<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>': (
            '<svg viewbox="0 0 1 1"><path d="M0 0"></path></svg>'
        ),
    }
    assert checked(fragment) == (written or expected[fragment])
