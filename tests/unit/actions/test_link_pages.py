"""What pages say of themselves, broken ones too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.actions.link_pages import IMAGES_MAX, STEP, decode, metas, open_graph
from tidewire.wire.links import PageImage


def join(url: str) -> str:
    return url and "http://a.org" + url


def test_a_page() -> None:
    page = open_graph(
        """<!DOCTYPE html><HTML prefix=x><head><!-- <meta property=og:title content=no> -->
        <title><meta property=og:title content=no></title><script>'<meta property=og:title content=no>'</script >
        <META CONTENT='A &amp; "B"' property = 'og:title' ><meta property='og:title' content='second'>
        <meta name=og:type content=video.other /><meta property="og:url" content="http://evil.example/">
        <meta property="og:image:url" content=/1><meta property="og:image:width" content="20">
        <meta property="og:image:height" content="-1"><meta property="og:image" content="/2">
        <meta property="og:image:secure_url" content="/3"><meta property="og:image:type" content="image/png">
        <meta property="og:image:secure_url" content="/no"><meta property="og:image:url" content="/4">
        <meta property="og:image:url" content="/5"><meta property="og:images" content="/no">
        </head><body><meta property="og:description" content="no">""",
        "http://asked.example",
        join,
    )
    assert page is not None
    assert (page.title, page.type, page.url, page.description) == (
        'A & "B"', "video.other", "http://asked.example", "",
    )  # fmt: skip
    assert page.images == [
        PageImage("http://a.org/1", width=20),
        PageImage("http://a.org/4", "http://a.org/3", "image/png"),
        PageImage("http://a.org/5"),
    ]


def test_pages_that_say_nothing() -> None:
    for text in ("", "<title>x</title>", "<meta property=og:description content=x>", "<meta property=og:title"):
        assert open_graph(text, "http://a", join) is None


def test_pages_are_read_in_steps() -> None:
    for before in range(STEP - 12, STEP + 3):
        page = open_graph("x" * before + "<title></title><meta property=og:title content=t>", "http://a", join)
        assert page is not None and page.title == "t"


def test_limits() -> None:
    many = "".join(f"<meta property=og:image content=/{i}>" for i in range(50))
    page = open_graph(f"<meta property=og:title content='{'x' * 5000}'>{many}", "http://a", join)
    assert page is not None and page.title == "x" * 300 + "[...]" and len(page.images) == IMAGES_MAX


@pytest.mark.parametrize(
    ("data", "content_type", "text"),
    [
        ("é".encode("latin-1"), 'text/html; charset="ISO-8859-1"', "é"),
        (b"\x80", "text/html; charset=iso-8859-1", "€"),  # as browsers read it
        ("Ж".encode("cp1251"), "text/html;charset=windows-1251", "Ж"),
        ("日本".encode("euc-jp"), "text/html; Charset = EUC-JP", "日本"),
        ("é".encode(), "text/html; charset=punycode", "é"),
        ("é".encode(), "text/html; charset=rot13", "é"),
        ("\ufeffé".encode(), "text/html; charset=koi8-r", "é"),
        ("é".encode("utf-16"), "", "é"),
        ("é".encode("latin-1") + b" " * 9, "", "é" + " " * 9),
        ("xé".encode()[:2], "", "x\ufffd"),
    ],
)
def test_charsets(data: bytes, content_type: str, text: str) -> None:
    assert decode(data, content_type) == text


_PARTS = ["<meta ", "property=", "og:title", "content=", "'", '"', ">", "<", "</head", "<script>", "</script", "<!--",
          "-->", " ", "/", "=", "&#0;", "&lt", "x", "<title>", "og:image", "\0"]  # fmt: skip


@given(st.lists(st.sampled_from(_PARTS)))
def test_broken_pages(parts: list[str]) -> None:
    page = open_graph("".join(parts), "http://a", join)
    assert page is None or "\0" not in page.title


@given(st.binary(), st.text(max_size=30))
def test_any_bytes(data: bytes, content_type: str) -> None:
    list(metas(decode(data, "text/html; charset=" + content_type)))
