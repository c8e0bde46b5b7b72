"""Which links and images a text names."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.actions.link_text import IMAGES_MAX, LINKS_MAX, URL_MAX, find, may_have


@pytest.mark.parametrize(
    ("text", "links", "images"),
    [
        ("see https://a.org/x. ok", ["https://a.org/x"], []),
        ("(http://b.org/y_(z)), http://b.org/q)!", ["http://b.org/y_(z)", "http://b.org/q"], []),
        ("www.c.org/?a=1&b=2, HTTP://D.org", ["http://www.c.org/?a=1&b=2", "HTTP://D.org"], []),
        ("<https://e.org/a?b> *http://f.org*", ["https://e.org/a?b", "http://f.org"], []),
        ("http://g.org&amp; http://g.org;", ["http://g.org"], []),
        ("[label](http://a.org) [http://x.org](http://y.org)", [], []),
        ("a@www.foo.org x://www.a.org http:// https://", [], []),
        ("`http://no.org` http://yes.org", ["http://yes.org"], []),
        ("```\nhttp://no.org\n```\n\n    http://no.org\n\nhttp://yes.org", ["http://yes.org"], []),
        ("![i](http://i.org/a_(1).png =10x20 \"t\")", [], ["http://i.org/a_(1).png"]),
        ("[![i](http://i.org/a)](http://l.org) http://z.org", ["http://z.org"], ["http://i.org/a"]),
        ("[l](http://l.org) ![i](http://i.org/a)", [], ["http://i.org/a"]),
        ("![i](<http://i.org/a>) ![j](/x) ![k](javascript:1)", [], ["http://i.org/a"]),
        ("![alt][one] ![two][]\n\n[one]: http://r.org/x.png\n[two]: <http://r.org/y>", [],
         ["http://r.org/x.png", "http://r.org/y"]),
        ("[a](b http://z.org", ["http://z.org"], []),
        ("http://[::1]:80/x, http://ü.org", ["http://[::1]:80/x", "http://ü.org"], []),
        ("http://a.org/" + "x" * URL_MAX, [], []),
    ],
)  # fmt: skip
def test_texts(text: str, links: list[str], images: list[str]) -> None:
    assert find(text, {}) == (tuple(links), tuple(images))


def test_attachments_give_images_only() -> None:
    attachments: list[Any] = [
        {"text": "http://no.org ![t](http://t.org/1)", "image_url": "http://i.org/2", "thumb_url": "file:///x"},
        {"fields": [{"value": "![f](http://f.org/3)"}], "footer_icon": 7, "author_icon": "https://a.org/4"},
        None,
    ]
    found = find("", {"attachments": attachments})
    assert found.links == ()
    assert found.images == ("http://t.org/1", "http://f.org/3", "http://i.org/2", "https://a.org/4")
    assert find("http://x.org", {"attachments": "no list"}).links == ("http://x.org",)


def test_only_so_many() -> None:
    found = find("".join(f"http://a.org/{i} ![x](http://i.org/{i}) " for i in range(300)), {})
    assert (len(found.links), len(found.images)) == (LINKS_MAX, IMAGES_MAX)


_PARTS = ["http://a", "www.b", "](", "![", "[", ")", "(", "`", "\n", " ", "<", ">", ":", "x", "]:"]


@given(st.lists(st.sampled_from(_PARTS)))
def test_anything_is_read(parts: list[str]) -> None:
    text = "".join(parts)
    found = find(text, {})
    assert all(url.startswith(("http://", "HTTP://")) for url in (*found.links, *found.images))
    assert may_have(text, {}) or found == ((), ())


@pytest.mark.parametrize(
    "text",
    ["](" * 7000 + ")" * 2000, ("](" * 500 + "(" * 200 + ")" * 700) * 9, "](x" * 5000 + ")", "[](" * 5000 + ")" * 999],
)
def test_brackets_that_never_match_take_no_time(text: str) -> None:
    times = []
    for _ in range(3):  # the collector may come by
        started = time.process_time()
        find("www." + text, {})
        times.append(time.process_time() - started)
    assert min(times) < 0.3  # counted anew for each bracket they took seconds
