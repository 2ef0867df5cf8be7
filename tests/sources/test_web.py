"""The source `web` on a real local site: pages, sitemaps, crawls, robots.txt, and what must never look deleted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pydantic import ValidationError

from ragline.config.settings import Parsing
from ragline.connectors.sources.look import look
from ragline.connectors.sources.page_names import path_of, paths_of, suffix_of
from ragline.connectors.sources.protocol import Read, Vanished
from ragline.connectors.sources.robots import Disallowed
from ragline.connectors.sources.sitemap import read_sitemap
from ragline.connectors.sources.web import Options
from ragline.connectors.workers import Workers
from ragline.errors import BadInput, Forbidden, SetupError, TooLarge, Unavailable

from .documents import LONG, Open, linked, paths, read, sitemap
from .site import Page, Site


async def test_listed_pages_are_documents_by_host_and_path(site: Site, open_web: Open) -> None:
    site.html("/", f"<p>{LONG}</p>")
    site.html("/guide/install", f"<nav>Menu</nav><main><h1>Installer</h1><p>{LONG}</p></main>")
    site.pages["/report"] = Page(b"%PDF-1.7", "application/pdf")
    source = open_web((f"{site.url}/guide/install", site.url, f"{site.url}/report", f"{site.url}/guide/install#top"))
    entries = await source.entries()
    assert [(entry.path, entry.url) for entry in entries] == [
        (f"{site.host}/guide/install.html", f"{site.url}/guide/install"),
        (f"{site.host}/index.html", f"{site.url}/"),
        (f"{site.host}/report.pdf", f"{site.url}/report"),
    ]
    _, text = await read(source, entries[0])
    assert "<h1>Installer</h1>" in text
    assert "Menu" not in text
    assert (await read(source, entries[2]))[1] == "%PDF-1.7"
    assert [site.asked_for(path) for path in ("/robots.txt", "/guide/install", "/report")] == [1, 1, 1]


async def test_a_page_whose_address_shows_its_type_is_not_fetched_to_list_it(site: Site, open_web: Open) -> None:
    source = open_web((f"{site.url}/a.html", f"{site.url}/b.pdf"))
    assert await paths(source) == ["a.html", "b.pdf"]
    assert site.asked == []


async def test_main_text_can_be_switched_off(site: Site, open_web: Open) -> None:
    site.html("/a.html", f"<nav>Menu</nav><main><p>{LONG}</p></main>")
    source = open_web(f"{site.url}/a.html", main_text=False)
    (entry,) = await source.entries()
    done, text = await read(source, entry)
    assert "<nav>Menu</nav>" in text
    assert not (await read(source, entry, done.tag))[0].changed
    again = open_web(f"{site.url}/a.html")
    assert "Menu" not in (await read(again, entry, done.tag))[1]


@pytest.mark.parametrize("validator", [{"etag": '"1"'}, {"modified": "Sat, 01 Nov 2025 10:00:00 GMT"}, {}])
async def test_an_unchanged_page_is_not_read_again(site: Site, open_web: Open, validator: dict[str, str]) -> None:
    site.html("/a.html", f"<p>{LONG}</p>", **validator)
    source = open_web(f"{site.url}/a.html")
    (entry,) = await source.entries()
    first, text = await read(source, entry)
    assert first.changed
    assert LONG.strip() in text
    second, nothing = await read(source, entry, first.tag)
    assert (second, nothing) == (Read(first.tag, changed=False), "")
    site.html("/a.html", f"<p>{LONG} Nouveau.</p>", **{key: f"{value}2" for key, value in validator.items()})
    third, text = await read(source, entry, second.tag)
    assert third.changed
    assert third.tag != first.tag
    assert "Nouveau." in text


async def test_a_page_whose_frame_alone_changed_is_unchanged(site: Site, open_web: Open) -> None:
    site.html("/a.html", f"<main><p>{LONG}</p></main><footer>12:01</footer>", etag='"1"')
    source = open_web(f"{site.url}/a.html")
    (entry,) = await source.entries()
    first, _ = await read(source, entry)
    site.html("/a.html", f"<main><p>{LONG}</p></main><footer>12:02</footer>", etag='"2"')
    second, nothing = await read(source, entry, first.tag)
    assert (second.changed, nothing) == (False, "")
    assert second.tag != first.tag


async def test_listed_pages_that_fail_are_listed_and_say_why_when_read(site: Site, open_web: Open) -> None:
    site.pages["/down.html"] = Page(status=500)
    site.pages["/big"] = Page(b"x" * 1_000_001)
    source = open_web((f"{site.url}/down.html", f"{site.url}/gone", f"{site.url}/big"))
    big, down, gone = await source.entries()
    assert [entry.path.partition("/")[2] for entry in (big, down, gone)] == ["big.html", "down.html", "gone.html"]
    for entry, error in ((down, Unavailable), (gone, Vanished), (big, TooLarge)):
        with pytest.raises(error):
            await read(source, entry)


async def test_the_name_of_a_page_stays_when_it_fails_later(site: Site, open_web: Open) -> None:
    site.pages["/report"] = Page(b"%PDF-1.7", "application/pdf")
    assert await paths(open_web(f"{site.url}/report")) == ["report.pdf"]
    assert await paths(open_web((f"{site.url}/report", f"{site.url}/new"))) == ["new.html", "report.pdf"]
    site.pages["/report"] = Page(status=503)
    assert await paths(open_web(f"{site.url}/report")) == ["report.pdf"]
    assert site.asked_for("/report") == 1


async def test_private_addresses_are_refused_naming_the_source(site: Site, open_web: Open) -> None:
    site.html("/a.html", "x")
    source = open_web(f"{site.url}/a.html", mode="crawl", allow_private=False)
    with pytest.raises(Forbidden, match=r"source 'docs': host '127\.0\.0\.1' .* allow_private"):
        await source.entries()
    assert site.asked == []


async def test_robots_are_honoured_in_every_mode(site: Site, open_web: Open) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: ragline\nDisallow: /docs/b\n", "text/plain")
    site.pages["/map.xml"] = sitemap(site, "/docs/a", "/docs/b")
    linked(site, a="b", b="")
    site.pages["/docs/b.html"] = Page(b"closed")
    source = open_web(f"{site.url}/docs/b.html", mode="pages")
    (entry,) = await source.entries()
    with pytest.raises(Disallowed, match=r"/docs/b\.html: the robots\.txt of the host does not allow it"):
        await read(source, entry)
    assert await paths(open_web(f"{site.url}/map.xml", mode="sitemap")) == ["docs/a.html"]
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html"]
    with pytest.raises(Forbidden, match="source 'docs'"):
        await open_web(f"{site.url}/docs/b", mode="crawl").entries()
    assert not any(path.startswith("/docs/b") for path in site.asked)


async def test_a_redirect_does_not_lead_around_robots(site: Site, open_web: Open) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /closed", "text/plain")
    site.pages["/a.html"] = Page(status=302, headers={"Location": "/closed"})
    source = open_web(f"{site.url}/a.html")
    with pytest.raises(Disallowed):
        await read(source, (await source.entries())[0])
    assert site.asked_for("/closed") == 0


async def test_robots_that_cannot_be_read_forbid_everything(site: Site, open_web: Open) -> None:
    linked(site, a="")
    site.pages["/robots.txt"] = Page(status=503)
    with pytest.raises(Unavailable, match=r"source 'docs' cannot be listed: robots\.txt cannot be read"):
        await open_web(f"{site.url}/docs/a", mode="crawl").entries()
    source = open_web(f"{site.url}/docs/a.html")
    with pytest.raises(Unavailable, match=r"robots\.txt"):
        await read(source, (await source.entries())[0])
    site.pages["/robots.txt"] = Page(status=401)
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html"]


async def test_requests_to_a_host_keep_their_distance(site: Site, open_web: Open) -> None:
    import time

    site.pages["/robots.txt"] = Page(b"User-agent: *\nCrawl-delay: 0.2\n", "text/plain")
    linked(site, a="b c", b="", c="")
    start = time.monotonic()
    await open_web(f"{site.url}/docs/a", mode="crawl", delay_s=0.01).entries()
    assert time.monotonic() - start >= 0.4  # three pages after robots.txt


async def test_a_sitemap_index_with_packed_maps_is_followed(site: Site, open_web: Open) -> None:
    site.pages["/robots.txt"] = Page(f"Sitemap: {site.url}/index.xml".encode(), "text/plain")
    site.pages["/index.xml"] = sitemap(site, "/one.xml", "/two.xml.gz", "/index.xml", index=True)
    site.pages["/one.xml"] = sitemap(site, "/docs/a", "/docs/b?page=2")
    packed = gzip.compress(sitemap(site, "/docs/c.pdf", "/docs/a").body)
    site.pages["/two.xml.gz"] = Page(packed, "application/gzip")
    assert await paths(open_web(site.url, mode="sitemap")) == ["docs/a.html", "docs/b@page=2.html", "docs/c.pdf"]
    assert not any(path.startswith("/docs") for path in site.asked)


async def test_pages_of_other_hosts_in_a_sitemap_need_the_option(site: Site, open_web: Open) -> None:
    site.pages["/map.txt"] = Page(f"{site.url}/a\nhttp://localhost:{site.port}/b\n".encode(), "text/plain")
    assert len(await open_web(f"{site.url}/map.txt", mode="sitemap").entries()) == 1
    assert len(await open_web(f"{site.url}/map.txt", mode="sitemap", same_host=False).entries()) == 2
    site.pages["/map.txt"] = Page(f"http://localhost:{site.port}/b\n".encode(), "text/plain")
    with pytest.raises(
        Unavailable, match=r"lists 1 pages, all of other hosts such as \'localhost:\d+\'; set options\.same_host"
    ):
        await open_web(f"{site.url}/map.txt", mode="sitemap").entries()


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param(Page(status=500), "answered 500", id="500"),
        pytest.param(Page(status=404), "no such page", id="404"),
        pytest.param(Page(b"<html></html>"), "no sitemap", id="html"),
        pytest.param(Page(b"<urlset>"), "no XML", id="broken"),
        pytest.param(Page(b""), "no sitemap", id="empty"),
        pytest.param(Page(b"cannot connect to database"), "no sitemap", id="text"),
        pytest.param(Page(status=204), "answered 204", id="204"),
    ],
)
async def test_a_sitemap_that_cannot_be_read_in_full_fails_whole(
    site: Site, open_web: Open, broken: Page, said: str
) -> None:
    site.pages["/index.xml"] = sitemap(site, "/one.xml", "/two.xml", index=True)
    site.pages["/one.xml"] = sitemap(site, "/docs/a")
    site.pages["/two.xml"] = broken
    with pytest.raises(Unavailable, match=f"source 'docs' cannot be listed: .*{said}"):
        await open_web(f"{site.url}/index.xml", mode="sitemap").entries()


async def test_a_page_of_a_sitemap_that_asks_not_to_be_indexed_is_gone(site: Site, open_web: Open) -> None:
    site.pages["/map.xml"] = sitemap(site, "/a", "/b")
    site.html("/a", LONG, head='<meta name="robots" content="noindex">')
    site.html("/b", LONG, headers={"X-Robots-Tag": "noindex"})
    source = open_web(f"{site.url}/map.xml", mode="sitemap")
    for entry in await source.entries():
        with pytest.raises(Vanished, match="asks not to be indexed"):
            await read(source, entry)


def test_entities_in_a_sitemap_are_not_read_from_the_machine() -> None:
    evil = b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><urlset><url><loc>&f;</loc></url></urlset>'
    assert read_sitemap(evil) == ("pages", [])
    with pytest.raises(TooLarge, match="when unpacked"):
        read_sitemap(gzip.compress(bytes(60_000_000)))


async def test_a_crawl_follows_links_below_its_start(site: Site, open_web: Open) -> None:
    linked(site, start="b sub/c /other/d http://elsewhere.invalid/e b#part mailto:x@y.z img.png", b="start")
    site.html("/docs/sub/c", f"<p>{LONG}</p><a href='../report'>r</a>")
    site.html("/other/d", f"<p>{LONG}</p>")
    site.pages["/docs/report"] = Page(b"%PDF-1.7", "application/pdf")
    source = open_web(f"{site.url}/docs/start", mode="crawl")
    assert await paths(source) == ["docs/b.html", "docs/report.pdf", "docs/start.html", "docs/sub/c.html"]
    for entry in await source.entries():
        assert (await read(source, entry))[0].changed
    assert (site.asked_for("/other/d"), site.asked_for("/docs/img.png")) == (0, 0)
    whole = open_web(f"{site.url}/docs/start", mode="crawl", whole_host=True)
    assert "other/d.html" in await paths(whole)


async def test_pages_of_a_crawl_are_fetched_once_for_listing_and_reading(site: Site, open_web: Open) -> None:
    linked(site, a="b", b="")
    source = open_web(f"{site.url}/docs/a", mode="crawl")
    tags = [(await read(source, entry))[0].tag for entry in await source.entries()]
    assert [site.asked_for(path) for path in ("/docs/a", "/docs/b")] == [1, 1]
    again = open_web(f"{site.url}/docs/a", mode="crawl")
    entries = await again.entries()
    assert [(await read(again, entry, tag))[0].changed for entry, tag in zip(entries, tags, strict=True)] == [False] * 2


async def test_an_unchanged_crawl_transfers_no_page(site: Site, open_web: Open) -> None:
    site.html("/docs/a", f"<p>{LONG}</p><a href=b>b</a>", etag='"a"')
    site.html("/docs/b", f"<p>{LONG}</p>", etag='"b"')
    source = open_web(f"{site.url}/docs/a", mode="crawl")
    tags = [(await read(source, entry))[0].tag for entry in await source.entries()]
    again = open_web(f"{site.url}/docs/a", mode="crawl")
    entries = await again.entries()
    assert [entry.path for entry in entries] == [f"{site.host}/docs/a.html", f"{site.host}/docs/b.html"]
    for entry, tag in zip(entries, tags, strict=True):
        assert (await read(again, entry, tag))[0] == Read(tag, changed=False)
        assert (await read(again, entry))[0].changed  # a tag that was lost: it is fetched after all
    assert [site.asked_for(path) for path in ("/docs/a", "/docs/b")] == [3, 3]
    assert "if-none-match" in site.sent[-3]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"max_depth": 0}, ["a"]),
        ({"max_depth": 1}, ["a", "b", "c"]),
        ({"max_pages": 2}, ["a", "b"]),
    ],
)
async def test_a_crawl_stays_in_its_bounds(
    site: Site, open_web: Open, options: dict[str, int], expected: list[str]
) -> None:
    linked(site, a="b c", b="d", c="", d="")
    source = open_web(f"{site.url}/docs/a", mode="crawl", **options)
    assert await paths(source) == [f"docs/{name}.html" for name in expected]


async def test_what_pages_say_to_crawlers_is_honoured(site: Site, open_web: Open) -> None:
    linked(site, a="hidden closed copy header", b="", c="", d="", e="", real="")
    site.html("/docs/hidden", f"{LONG}<a href=b>b</a>", head='<meta name="ROBOTS" content="NOINDEX">')
    site.html("/docs/closed", f"{LONG}<a href=c>c</a>", head='<meta name="robots" content="nofollow, noarchive">')
    site.html("/docs/copy", f"{LONG}<a rel='nofollow' href=d>d</a>", head='<link rel="canonical" href="real">')
    site.html("/docs/header", f"{LONG}<a href=e>e</a>", headers={"X-Robots-Tag": "none"})
    found = await paths(open_web(f"{site.url}/docs/a", mode="crawl"))
    assert found == [f"docs/{name}.html" for name in ("a", "b", "closed", "real")]


@pytest.mark.parametrize(
    "real",
    [
        pytest.param(Page(status=301, headers={"Location": "/docs/b"}), id="redirects-back"),
        pytest.param(Page(status=404), id="gone"),
        pytest.param(Page(LONG.encode(), headers={"X-Robots-Tag": "noindex"}), id="hidden"),
    ],
)
async def test_a_page_whose_better_address_is_no_document_is_listed_itself(
    site: Site, open_web: Open, real: Page
) -> None:
    linked(site, a="b")
    site.html("/docs/b", LONG, head='<link rel="canonical" href="real">')
    site.pages["/docs/real"] = real
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html", "docs/b.html"]


async def test_of_two_pages_that_name_each_other_one_is_listed(site: Site, open_web: Open) -> None:
    linked(site, a="b c")
    site.html("/docs/b", LONG, head='<link rel="canonical" href="c">')
    site.html("/docs/c", LONG, head='<link rel="canonical" href="b">')
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html", "docs/b.html"]


async def test_excluded_pages_are_not_fetched_and_others_only_followed(site: Site, open_web: Open) -> None:
    linked(site, a="b private", b="c", c="", private="")
    source = open_web(
        f"{site.url}/docs/a", mode="crawl", include=("**/c.html", "**/private.html"), exclude=("private*",)
    )
    assert await paths(source) == ["docs/c.html"]
    assert site.asked_for("/docs/private") == 0


async def test_a_redirected_start_sets_the_scope(site: Site, open_web: Open) -> None:
    site.pages["/docs"] = Page(status=301, headers={"Location": "/docs/en/"})
    site.html("/docs/en/", f"<p>{LONG}</p><a href=b>b</a><a href=/docs/fr/>fr</a>")
    site.html("/docs/en/b", f"<p>{LONG}</p>")
    assert await paths(open_web(f"{site.url}/docs", mode="crawl")) == ["docs/en/b.html", "docs/en/index.html"]
    assert site.asked_for("/docs/fr/") == 0


async def test_starts_may_link_to_what_is_below_each_other(site: Site, open_web: Open) -> None:
    site.html("/one/", f"{LONG}<a href='/two/b'>b</a>")
    site.html("/two/", LONG)
    site.html("/two/b", LONG)
    found = await paths(open_web((f"{site.url}/one/", f"{site.url}/two/"), mode="crawl"))
    assert found == ["one/index.html", "two/b.html", "two/index.html"]


async def test_links_that_lead_out_of_the_site_by_redirects_are_not_followed(
    site: Site, open_web: Open, dead_url: str
) -> None:
    linked(site, a="out b", b="")
    site.pages["/docs/out"] = Page(status=302, headers={"Location": f"{dead_url}/"})
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html", "docs/b.html"]


@pytest.mark.parametrize("status", [404, 403, 500])
async def test_a_start_that_fails_fails_the_crawl(site: Site, open_web: Open, status: int) -> None:
    linked(site, a="b", b="")
    site.pages["/docs/x"] = Page(status=status)
    with pytest.raises(Unavailable, match=r"source 'docs' cannot be listed: .*/docs/x"):
        await open_web((f"{site.url}/docs/a", f"{site.url}/docs/x"), mode="crawl").entries()


async def test_a_page_that_fails_later_hides_nothing_behind_it(site: Site, open_web: Open) -> None:
    linked(site, a="b", b="c", c="")
    everything = ["docs/a.html", "docs/b.html", "docs/c.html"]
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == everything
    good = site.pages["/docs/b"]
    for status in (500, 403):
        site.pages["/docs/b"] = Page(status=status)
        for _ in range(2):
            source = open_web(f"{site.url}/docs/a", mode="crawl")
            assert await paths(source) == everything
        with pytest.raises(Unavailable):
            await read(source, (await source.entries())[1])
    site.pages["/docs/b"] = Page(status=404)
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html", "docs/c.html"]
    site.pages["/docs/b"] = good
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == everything


async def test_without_an_earlier_crawl_a_page_that_fails_fails_the_crawl(site: Site, open_web: Open) -> None:
    linked(site, a="b c", c="")
    site.pages["/docs/b"] = Page(status=500)
    with pytest.raises(Unavailable, match="what lies behind a page is unknown: .*/docs/b: .* add it to exclude"):
        await open_web(f"{site.url}/docs/a", mode="crawl").entries()
    assert site.asked_for("/docs/b") == 2
    found = await paths(open_web(f"{site.url}/docs/a", mode="crawl", exclude=("**/b.html",)))
    assert found == ["docs/a.html", "docs/c.html"]


async def test_a_page_that_fails_once_is_tried_again(site: Site, open_web: Open) -> None:
    linked(site, a="b c", b="", c="")
    site.pages["/docs/b"].once = [Page(status=500)]
    assert len(await open_web(f"{site.url}/docs/a", mode="crawl").entries()) == 3


async def test_pages_refused_or_too_large_do_not_stop_a_crawl(site: Site, open_web: Open) -> None:
    linked(site, a="login big.pdf gone", b="")
    site.pages["/docs/login"] = Page(status=403)
    site.pages["/docs/big.pdf"] = Page(b"x" * 1_000_001, "application/pdf")
    source = open_web(f"{site.url}/docs/a", mode="crawl")
    assert await paths(source) == ["docs/a.html", "docs/big.pdf"]
    with pytest.raises(TooLarge):
        await read(source, (await source.entries())[1])


async def test_a_page_that_grows_too_large_keeps_its_name_and_what_lies_behind_it(site: Site, open_web: Open) -> None:
    linked(site, a="b report", b="c", c="")
    site.pages["/docs/report"] = Page(b"%PDF-1.7", "application/pdf")
    everything = ["docs/a.html", "docs/b.html", "docs/c.html", "docs/report.pdf"]
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == everything
    for name in ("b", "report"):
        site.pages[f"/docs/{name}"].blocks = 1_000_000
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == everything


async def test_pages_that_lead_to_one_are_not_taken_for_others(site: Site, open_web: Open) -> None:
    linked(site, a="old b c", b="", c="")
    site.pages["/docs/old"] = Page(status=301, headers={"Location": "/docs/b"})
    source = open_web(f"{site.url}/docs/a", mode="crawl")
    texts = {entry.path[-6:]: (await read(source, entry))[1] for entry in await source.entries()}
    assert {name: f"{LONG}{name[0]}" in text for name, text in texts.items()} == dict.fromkeys(
        ("a.html", "b.html", "c.html"), True
    )


async def test_secrets_open_a_site(site: Site, open_web: Open) -> None:
    site.html("/a.html", LONG)
    for secrets, sent in (
        ({"username": "été", "password": "p"}, "Basic w6l0w6k6cA=="),
        ({"token": "t"}, "Bearer t"),
    ):
        source = open_web(f"{site.url}/a.html", secrets=secrets)
        await read(source, (await source.entries())[0])
        assert site.sent[-1]["authorization"] == sent


@pytest.mark.parametrize(
    ("location", "secrets", "said"),
    [
        ((), {}, "no address"),
        ("docs/index.html", {}, "starts with http"),
        ("http://me:hidden@a.test/", {}, "user name or password"),
        ("http://a.test/", {"key": "x"}, r"secrets\.key is not known"),
        ("http://a.test/", {"password": "x"}, "needs secrets.username"),
        ("http://a.test/", {"token": "x", "username": "x"}, "but not both"),
    ],
)
def test_wrong_settings_are_said_at_the_start(
    open_web: Open, location: str, secrets: dict[str, str], said: str
) -> None:
    with pytest.raises(SetupError, match=f"source 'docs': .*{said}") as caught:
        open_web(location, secrets=secrets)
    assert "hidden" not in str(caught.value)


def test_unknown_options_are_errors() -> None:
    with pytest.raises(ValidationError, match="max_page"):
        Options.model_validate({"max_page": 3})


@pytest.mark.parametrize(
    ("url", "suffix", "path"),
    [
        ("https://example.org", "", "example.org/index.html"),
        ("https://example.org/guide/", ".html", "example.org/guide/index.html"),
        ("https://example.org/guide/install", ".html", "example.org/guide/install.html"),
        ("https://example.org/a.htm", "", "example.org/a.htm"),
        ("https://example.org/a.php?id=3&lang=fr", ".html", "example.org/a.php@id=3&lang=fr.html"),
        ("https://example.org/doc.pdf?v=2", ".pdf", "example.org/doc@v=2.pdf"),
        ("https://example.org:8443/%C3%A9t%C3%A9/%C3%A0%20la%20mer", ".html", "example.org_8443/été/à la mer.html"),
        ("https://bücher.example/", "", "bücher.example/index.html"),
        ("http://[2606:4700::1111]/", "", "2606_4700__1111/index.html"),
        ("https://example.org/v1.2", ".html", "example.org/v1.2.html"),
    ],
)
def test_names_of_pages_are_readable(url: str, suffix: str, path: str) -> None:
    assert path_of(url, suffix) == path


@pytest.mark.parametrize(
    "path", ["/%2e%2e/%2e%2e/etc", "/a%2Fb", "/a%00b", "//a", "/a%5Cb", "/?q=../../x", "/%FF", "/" + "x" * 300]
)
def test_no_address_gets_out_of_its_folder(path: str) -> None:
    name = path_of(f"https://example.org{path}", "")
    parts = name.split("/")
    assert parts[0] == "example.org"
    assert not {"", ".", ".."} & set(parts)
    assert not set(name) & set("\\\x00?")
    assert "~" in name  # the digest that keeps it apart from a page that is really called so
    assert max(map(len, parts)) < 130


def test_pages_that_would_share_a_name_do_not() -> None:
    urls = ["https://e.org/a", "https://e.org/a.html", "http://e.org/a"]
    paths = paths_of([(url, ".html") for url in urls])
    assert sorted(paths.values()) == sorted(urls)
    assert paths["e.org/a.html"] == "https://e.org/a.html"


@pytest.mark.parametrize(
    ("url", "content_type", "suffix"),
    [
        ("http://e.org/a.php", "text/html", ".html"),
        ("http://e.org/a.xhtml", "application/xhtml+xml", ".xhtml"),
        ("http://e.org/get?id=1", "application/pdf", ".pdf"),
        ("http://e.org/a.docx", "application/octet-stream", ".docx"),
        ("http://e.org/code.py", "text/plain", ".py"),
        ("http://e.org/a", "", ".html"),
        ("http://e.org/a.png", "image/png", None),
        ("http://e.org/a", "application/octet-stream", None),
        ("http://e.org/a.css", "text/css", None),
    ],
)
def test_the_suffix_fits_the_content(url: str, content_type: str, suffix: str | None) -> None:
    assert suffix_of(url, content_type) == suffix


def test_links_are_read_against_the_base_of_the_page() -> None:
    page = (
        b'<base href="/docs/"><a href="a">a</a><a href=" b?x=1#y ">b</a><a href="javascript:x">c</a><a href="http://[">'
        b'<a href="http://xn--zzzzzz99999999/">'
    )
    found = look(page, "http://e.org/x/y", charset=None, robots="")
    assert found.links == ["http://e.org/docs/a", "http://e.org/docs/b?x=1"]


async def test_it_works_with_worker_processes(site: Site, open_web: Open) -> None:
    linked(site, a="b", b="")
    workers = Workers(Parsing(workers=1))
    source = open_web(f"{site.url}/docs/a", mode="crawl", workers=workers)
    entries = await source.entries()
    assert len(entries) == 2
    assert "péniches" in (await read(source, entries[0]))[1]
    await workers.close()


async def test_a_damaged_memory_is_no_memory(site: Site, open_web: Open, tmp_path: Path) -> None:
    linked(site, a="")
    (tmp_path / "crawl.json").write_text('{"x": ')
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html"]
    with pytest.raises(BadInput):
        read_sitemap(b"\x1f\x8bnot gzip")
