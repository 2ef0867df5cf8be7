"""What must never look deleted: pages that are only unreachable, crowded out, or elsewhere for now."""

from __future__ import annotations

import errno
import io
import logging
from pathlib import Path

import pytest

from ragline.connectors.sources.protocol import Vanished
from ragline.errors import Forbidden, Unavailable

from .documents import LONG, Open, linked, paths, read, sitemap
from .site import Page, Site, serving

ALL = ["docs/a.html", "docs/b.html", "docs/c.html"]


def moved(status: int, to: str) -> Page:
    return Page(status=status, headers={"Location": to})


@pytest.fixture
def chain(site: Site) -> Site:
    """The pages a, b and c below /docs, each of which links to the next."""
    linked(site, a="b", b="c", c="")
    return site


@pytest.mark.parametrize("status", [302, 303, 307])
@pytest.mark.parametrize(
    "to",
    [
        pytest.param("/login", id="above"),
        pytest.param("/closed", id="closed-by-robots"),
        pytest.param("/docs/login?next=b", id="beside"),
        pytest.param("/docs/nowhere", id="to-a-404"),
        pytest.param("http://127.0.0.1:9/sso", id="another-host"),
        pytest.param("about:blank", id="no-page"),
        pytest.param("http://[", id="no-address"),
    ],
)
async def test_a_page_that_redirects_for_now_keeps_its_place(chain: Site, open_web: Open, status: int, to: str) -> None:
    chain.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /closed", "text/plain")
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ALL
    chain.html("/login", LONG)
    chain.html("/docs/login?next=b", LONG, head='<meta name="robots" content="noindex">')
    chain.pages["/docs/b"] = moved(status, to)
    for _ in range(2):
        source = open_web(f"{chain.url}/docs/a", mode="crawl")
        entries = await source.entries()
        assert [entry.path.partition("/")[2] for entry in entries] == ALL
    with pytest.raises(Unavailable):
        await read(source, entries[1])


@pytest.mark.parametrize("status", [301, 308])
@pytest.mark.parametrize("to", ["/login", "http://127.0.0.1:9/sso", "/docs/nowhere"])
async def test_a_page_that_moved_out_for_good_is_gone(chain: Site, open_web: Open, status: int, to: str) -> None:
    await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    chain.pages["/docs/b"] = moved(status, to)
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ["docs/a.html", "docs/c.html"]


async def test_a_permanent_redirect_behind_a_temporary_one_is_temporary(chain: Site, open_web: Open) -> None:
    await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    chain.pages["/docs/b"] = moved(302, "/docs/x")
    chain.pages["/docs/x"] = moved(301, "/login")
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ALL
    chain.pages["/docs/b"] = moved(301, "/docs/x")
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ["docs/a.html", "docs/c.html"]


async def test_a_page_that_moved_inside_has_its_new_name(chain: Site, open_web: Open) -> None:
    chain.html("/docs/b", "<a href=c>c</a>", etag='"1"')
    await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    chain.html("/docs/new", "<a href=c>c</a>", etag='"1"')
    chain.pages["/docs/b"] = moved(301, "/docs/new")
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == [ALL[0], ALL[2], "docs/new.html"]


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_start_that_is_on_another_host_for_now_fails_the_crawl(
    chain: Site, open_web: Open, remembered: bool
) -> None:
    if remembered:
        await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    with serving() as other:
        other.html("/sorry", LONG)
        chain.pages["/docs/a"] = moved(302, f"{other.url}/sorry")
        with pytest.raises(Unavailable, match=rf"{chain.url}/docs/a: .* {other.url}/sorry.* make that the location"):
            await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
        assert "/sorry" not in other.asked


async def test_a_remembered_start_that_is_elsewhere_for_now_fails_the_crawl(chain: Site, open_web: Open) -> None:
    await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    chain.html("/status/", LONG)
    chain.pages["/docs/a"] = moved(302, "/status/")
    with pytest.raises(Unavailable, match=r"/docs/a: redirects for now to .*/status/; it was at .*/docs/a"):
        await open_web(f"{chain.url}/docs/a", mode="crawl").entries()


async def test_a_start_that_moved_to_another_host_for_good_takes_the_crawl_along(
    chain: Site, open_web: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with serving() as other:
        other.pages["/"] = moved(302, "/en/a")
        other.html("/en/a", f"{LONG}<a href=b>b</a>")
        other.html("/en/b", LONG)
        chain.pages["/docs/a"] = moved(301, f"{other.url}/")
        with caplog.at_level(logging.WARNING):
            entries = await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    assert [entry.path for entry in entries] == [f"{other.host}/en/a.html", f"{other.host}/en/b.html"]
    assert f"start={chain.url}/docs/a now={other.url}/en/a" in caplog.text


async def test_new_pages_do_not_crowd_out_known_ones(site: Site, open_web: Open) -> None:
    linked(site, a="b c", b="", c="", n="", m="")
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl", max_pages=3)) == ALL
    linked(site, a="m n b c")
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl", max_pages=3)) == ALL
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl", max_pages=1)) == ALL
    site.pages["/docs/c"] = Page(status=410)
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl", max_pages=3)) == [*ALL[:2], "docs/m.html"]


async def test_pages_that_fail_do_not_crowd_out_known_ones(site: Site, open_web: Open) -> None:
    linked(site, a="b c", b="", c="")
    await open_web(f"{site.url}/docs/a", mode="crawl", max_pages=3).entries()
    linked(site, a="n m b c")
    site.pages |= {"/docs/n": Page(status=403), "/docs/m": Page(status=500), "/docs/b": Page(status=500)}
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl", max_pages=3)) == ALL


@pytest.mark.parametrize("between", [Page(status=500), Page(status=403), Page(b"empty")])
async def test_a_new_page_hides_nothing_behind_it(chain: Site, open_web: Open, between: Page) -> None:
    await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    linked(chain, a="n", c="")
    chain.pages["/docs/n"] = between
    found = await paths(open_web(f"{chain.url}/docs/a", mode="crawl"))
    assert {"docs/b.html", "docs/c.html"} <= set(found)


@pytest.mark.parametrize(
    "page", [Page(status=404), Page(status=410), Page(LONG.encode(), headers={"X-Robots-Tag": "noindex"})]
)
async def test_a_page_that_nothing_links_to_stays_until_it_says_that_it_is_gone(
    chain: Site, open_web: Open, page: Page
) -> None:
    await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    linked(chain, a="")
    for status in (200, 500, 200):
        chain.pages["/docs/c"].status = status
        assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ALL
    chain.pages["/docs/c"] = page
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ALL[:2]
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl", exclude=("**/b*",))) == ALL[:1]


async def test_a_page_whose_better_address_does_not_answer_yet_keeps_its_place(chain: Site, open_web: Open) -> None:
    await open_web(f"{chain.url}/docs/a", mode="crawl").entries()
    chain.html("/docs/c", LONG, head='<link rel="canonical" href="new">')
    chain.pages["/docs/new"] = Page(status=500)
    assert "docs/c.html" in await paths(open_web(f"{chain.url}/docs/a", mode="crawl"))
    chain.html("/docs/new", LONG)
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == [*ALL[:2], "docs/new.html"]


async def test_a_link_that_leads_to_a_page_that_is_gone_does_not_keep_it(chain: Site, open_web: Open) -> None:
    linked(chain, a="b old")
    chain.pages["/docs/old"] = moved(302, "/docs/c")
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ALL
    chain.pages["/docs/c"] = Page(status=404)
    assert await paths(open_web(f"{chain.url}/docs/a", mode="crawl")) == ALL[:2]


async def test_robots_that_close_a_known_page_do_not_delete_it(chain: Site, open_web: Open) -> None:
    chain.pages["/map.xml"] = sitemap(chain, "/docs/a", "/docs/b", "/docs/c")
    for options in ({"mode": "crawl"}, {"mode": "sitemap"}):
        start = f"{chain.url}/map.xml" if options["mode"] == "sitemap" else f"{chain.url}/docs/a"
        chain.pages["/robots.txt"] = Page(b"", "text/plain")
        assert await paths(open_web(start, **options)) == ALL
        chain.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /docs/b", "text/plain")
        assert await paths(open_web(start, **options)) == ALL


async def test_the_name_of_a_page_is_not_guessed_without_memory(site: Site, open_web: Open, tmp_path: Path) -> None:
    site.pages["/report"] = Page(b"%PDF-1.7", "application/pdf")
    site.pages["/other"] = Page(b"%PDF-1.7", "application/pdf")
    assert await paths(open_web(f"{site.url}/report")) == ["report.pdf"]
    for page in (Page(status=503), Page(status=403), moved(302, "http://127.0.0.1:9/login")):
        site.pages["/report"] = page
        assert await paths(open_web((f"{site.url}/report", f"{site.url}/other"))) == ["other.pdf", "report.pdf"]
        with pytest.raises(
            Unavailable, match=r"called is unknown until it answers once: .*/report: .* out of location"
        ):
            await open_web((f"{site.url}/other", f"{site.url}/report"), folder=tmp_path / "new").entries()
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /report", "text/plain")
    with pytest.raises(Forbidden, match=r"called is unknown until"):
        await open_web(f"{site.url}/report", folder=tmp_path / "new").entries()


async def test_sitemaps_in_robots_may_be_paths(site: Site, open_web: Open) -> None:
    site.pages["/robots.txt"] = Page(b"Sitemap: /map.xml\nSitemap: http://[\n", "text/plain")
    site.pages["/map.xml"] = sitemap(site, "/a")
    assert await paths(open_web(site.url, mode="sitemap")) == ["a.html"]


@pytest.mark.parametrize("index", [True, False])
async def test_a_sitemap_that_is_empty_all_at_once_fails_the_listing(site: Site, open_web: Open, index: bool) -> None:
    site.pages["/map.xml"] = sitemap(site, "/one.xml", "/two.xml", index=True)
    site.pages["/one.xml"] = sitemap(site, "/a")
    site.pages["/two.xml"] = sitemap(site)
    assert await paths(open_web(f"{site.url}/map.xml", mode="sitemap")) == ["a.html"]
    assert await paths(open_web(f"{site.url}/map.xml", mode="sitemap")) == ["a.html"]
    site.pages["/map.xml" if index else "/one.xml"] = sitemap(site, index=index)
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"sitemap .*(map|one)\.xml: it is empty and was not before; .* location"):
            await open_web(f"{site.url}/map.xml", mode="sitemap").entries()


@pytest.mark.parametrize("mode", ["pages", "sitemap", "crawl"])
async def test_no_page_of_another_host_is_read_for_one_of_this(site: Site, open_web: Open, mode: str) -> None:
    site.html("/a.html", LONG)
    site.pages["/map.xml"] = sitemap(site, "/a.html")
    start = f"{site.url}/map.xml" if mode == "sitemap" else f"{site.url}/a.html"
    await open_web(start, mode=mode).entries()
    source = open_web(start, mode=mode)
    (entry,) = await source.entries()
    with serving() as other:
        other.html("/login", LONG)
        if mode == "crawl":  # what was listed is kept; a page that was not is fetched to be read
            site.html("/a.html", LONG, etag='"1"')
            await source.entries()
            (entry,) = await source.entries()
        site.pages["/a.html"] = moved(302, f"{other.url}/login")
        with pytest.raises(Unavailable, match=rf"/a\.html: redirects for now to {other.url}/login"):
            await read(source, entry)
        site.pages["/a.html"] = moved(301, f"{other.url}/login")
        with pytest.raises(Vanished, match=rf"/a\.html: has moved to {other.url}/login"):
            await read(source, entry)
        assert other.asked_for("/login") == 0
        if mode != "crawl":
            source = open_web(start, mode=mode, same_host=False)
            await read(source, (await source.entries())[0])
            assert other.asked_for("/login") == 1


async def test_redirects_within_a_site_are_read(site: Site, open_web: Open) -> None:
    site.pages["/a.html"] = moved(302, "/b")
    site.html("/b", f"<p>{LONG}</p>")
    source = open_web(f"{site.url}/a.html")
    assert LONG.strip() in (await read(source, (await source.entries())[0]))[1]


async def test_a_login_that_asks_not_to_be_indexed_says_nothing_of_the_page(site: Site, open_web: Open) -> None:
    site.pages["/map.xml"] = sitemap(site, "/a")
    site.pages["/a"] = moved(302, "/login")
    site.html("/login", LONG, head='<meta name="robots" content="noindex">')
    source = open_web(f"{site.url}/map.xml", mode="sitemap")
    with pytest.raises(Unavailable, match=r"/login: redirected to for now"):
        await read(source, (await source.entries())[0])


async def test_a_host_that_becomes_private_takes_no_pages_with_it(site: Site, open_web: Open) -> None:
    with serving("127.0.0.2", site.port) as other:
        site.html("/a", f'{LONG}<a href="{other.url.replace("127.0.0.1", "127.0.0.2")}/b">b</a>')
        other.html("/b", LONG)
        starts = (f"{site.url}/a", f"http://127.0.0.2:{site.port}/b")
        found = await open_web(starts, mode="crawl", same_host=False).entries()
        assert len(found) == 2
        asked = len(other.asked)
        assert await open_web(starts[0], mode="crawl", same_host=False).entries() == found
        assert len(other.asked) == asked  # allow_private is for the hosts of the locations


async def test_private_hosts_are_open_only_where_a_location_names_them(site: Site, open_web: Open) -> None:
    with serving("127.0.0.2", site.port) as inside:
        inside.html("/secret", LONG)
        secret = f"http://127.0.0.2:{site.port}/secret"
        site.html("/a", f'{LONG}<a href="{secret}">b</a>')
        site.pages["/b.html"] = moved(302, secret)
        site.pages["/map.txt"] = Page(f"{secret}.html\n".encode(), "text/plain")
        assert await paths(open_web(f"{site.url}/a", mode="crawl", same_host=False)) == ["a.html"]
        for start, mode in ((f"{site.url}/b.html", "pages"), (f"{site.url}/map.txt", "sitemap")):
            source = open_web(start, mode=mode, same_host=False)
            with pytest.raises(Forbidden, match=r"127\.0\.0\.2, which is not a public one; .* location names"):
                await read(source, (await source.entries())[0])
        assert inside.asked == []


class Full(io.BytesIO):
    """A file on a disk without room."""

    def write(self, _: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_makes_a_page_unavailable(site: Site, open_web: Open, tmp_path: Path) -> None:
    site.html("/a.html", LONG)
    source = open_web(f"{site.url}/a.html")
    (entry,) = await source.entries()
    with pytest.raises(Unavailable, match=r"source 'docs': '.*/a\.html' cannot be kept: .*No space left"):
        await source.read(entry, Full())
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(Unavailable, match="source 'docs' cannot be listed"):
        await open_web(f"{site.url}/a.html", mode="crawl", folder=tmp_path / "file").entries()


async def test_several_headers_for_robots_all_count(site: Site, open_web: Open) -> None:
    linked(site, a="hidden others", hidden="", others="")
    site.pages["/docs/hidden"].headers = {"X-Robots-Tag": "noindex\nnoarchive\nunavailable_after: 25 Jun 2030"}
    site.pages["/docs/others"].headers = {"X-Robots-Tag": "googlebot: noindex\nRagline: nofollow"}
    assert await paths(open_web(f"{site.url}/docs/a", mode="crawl")) == ["docs/a.html", "docs/others.html"]
