"""The source `feed` on a real local site: items of RSS and Atom as documents."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ragline.config.settings import Parsing, Source
from ragline.connectors.sources.feed import FeedSource, Options, items_of
from ragline.connectors.sources.protocol import Entry, Read, Vanished
from ragline.connectors.sources.web import WebSource
from ragline.connectors.workers import Workers
from ragline.errors import BadInput, Forbidden, SetupError, Unavailable

from .site import Here, Page, Site, serving

LONG = "La Loire coule à travers la ville, et les péniches remontent lentement vers l'est pendant tout l'été. " * 4
Open = Callable[..., FeedSource]


@pytest.fixture
async def open_feed(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[FeedSource] = []

    def open_feed(
        location: str | tuple[str, ...],
        *,
        allow_private: bool = True,
        include: tuple[str, ...] = ("**",),
        workers: Workers | None = None,
        **options: object,
    ) -> FeedSource:
        settings = Source(
            name="news",
            kind="feed",
            location=location,
            collection="news",
            allow_private=allow_private,
            include=include,
        )
        chosen = Options.model_validate({"delay_s": 0, **options})
        source = FeedSource(settings, chosen, folder=tmp_path, workers=workers or Here(), max_bytes=1_000_000)
        opened.append(source)
        return source

    yield open_feed
    for source in opened:
        await source.close()


def rss(*items: str) -> Page:
    channel = f"<channel><title>Ville</title>{''.join(items)}</channel>"
    return Page(f'<?xml version="1.0"?><rss version="2.0">{channel}</rss>'.encode(), "application/rss+xml")


def item(title: str, link: str, text: str = "Bref.", guid: str = "", date: str = "") -> str:
    guid = f'<guid isPermaLink="false">{guid}</guid>' if guid else ""
    date = f"<pubDate>{date}</pubDate>" if date else ""
    return (
        f"<item><title>{title}</title><link>{link}</link>{guid}{date}"
        f"<description>&lt;p&gt;{text}&lt;/p&gt;&lt;script&gt;x()&lt;/script&gt;</description></item>"
    )


async def read(source: FeedSource, entry: Entry, known_tag: str | None = None) -> tuple[Read, str]:
    into = io.BytesIO()
    done = await source.read(entry, into, known_tag=known_tag)
    return done, into.getvalue().decode()


async def test_items_are_documents_with_the_text_of_their_page(site: Site, open_feed: Open) -> None:
    site.pages["/feed"] = rss(item("Été", f"{site.url}/news/1"), item("Hiver", "/news/2?a=b"))
    site.html("/news/1", f"<nav>Menu</nav><article><h1>L'été</h1><p>{LONG}</p></article>")
    source = open_feed(f"{site.url}/feed")
    entries = await source.entries()
    assert [(entry.path, entry.url) for entry in entries] == [
        (f"{site.host}/news/1.html", f"{site.url}/news/1"),
        (f"{site.host}/news/2@a=b.html", f"{site.url}/news/2?a=b"),
    ]
    done, text = await read(source, entries[0])
    assert done == Read(entries[0].tag)
    assert "péniches" in text
    assert "Menu" not in text
    assert await read(source, entries[0], done.tag) == (Read(done.tag, changed=False), "")


async def test_without_full_text_no_page_is_fetched(site: Site, open_feed: Open) -> None:
    site.pages["/feed"] = rss(item("L'été &amp; la mer", f"{site.url}/news/1", "À la plage."))
    source = open_feed(f"{site.url}/feed", full_text=False)
    _, text = await read(source, (await source.entries())[0])
    assert "<h1>L&#x27;été &amp; la mer</h1>" in text
    assert "<p>À la plage.</p>" in text
    assert "x()" not in text
    assert site.asked == ["/feed"]


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(Page(status=404), id="gone"),
        pytest.param(Page(status=403), id="refused"),
        pytest.param(Page(b"ID3", "audio/mpeg"), id="a-podcast"),
    ],
)
async def test_an_item_without_a_readable_page_has_its_own_text(site: Site, open_feed: Open, page: Page) -> None:
    site.pages["/feed"] = rss(item("Été", f"{site.url}/news/1"))
    site.pages["/news/1"] = page
    source = open_feed(f"{site.url}/feed")
    _, text = await read(source, (await source.entries())[0])
    assert "<h1>Été</h1>\n<p>Bref.</p>" in text


async def test_a_page_closed_by_robots_is_not_fetched(site: Site, open_feed: Open) -> None:
    site.pages["/robots.txt"] = Page(b"User-agent: *\nDisallow: /", "text/plain")
    site.pages["/feed"] = rss(item("Été", f"{site.url}/news/1"))
    source = open_feed(f"{site.url}/feed")
    assert "Bref." in (await read(source, (await source.entries())[0]))[1]
    assert site.asked_for("/news/1") == 0


async def test_a_page_that_fails_is_tried_at_the_next_run(site: Site, open_feed: Open) -> None:
    site.pages["/feed"] = rss(item("Été", f"{site.url}/news/1"))
    site.pages["/news/1"] = Page(status=503)
    source = open_feed(f"{site.url}/feed")
    with pytest.raises(Unavailable, match="/news/1: the server answered 503"):
        await read(source, (await source.entries())[0])


async def test_a_linked_pdf_is_a_document(site: Site, open_feed: Open) -> None:
    site.pages["/feed"] = rss(item("Rapport", f"{site.url}/report"))
    site.pages["/report"] = Page(b"%PDF-1.7", "application/pdf")
    source = open_feed(f"{site.url}/feed")
    assert (await read(source, (await source.entries())[0]))[1] == "%PDF-1.7"


async def test_a_private_page_of_a_public_feed_is_refused(site: Site, open_feed: Open) -> None:
    site.pages["/feed"] = rss(item("Été", f"{site.url}/news/1"))
    with pytest.raises(Forbidden, match="source 'news': host '127"):
        await open_feed(f"{site.url}/feed", allow_private=False).entries()


async def test_a_feed_opens_no_private_host_but_its_own(site: Site, open_feed: Open) -> None:
    with serving("127.0.0.2", site.port) as inside:
        inside.html("/secret", f"<p>{LONG}</p>")
        secret = f"http://127.0.0.2:{site.port}/secret"
        site.pages["/feed"] = rss(item("Un", f"{site.url}/1"), item("Deux", secret), item("Trois", f"{site.url}/3"))
        site.html("/1", f"<p>{LONG}</p>")
        site.pages["/3"] = Page(status=302, headers={"Location": secret})
        source = open_feed(f"{site.url}/feed")
        public, redirected, private = await source.entries()
        assert "péniches" in (await read(source, public))[1]
        for entry in (redirected, private):
            with pytest.raises(Forbidden, match=r"127\.0\.0\.2, which is not a public one"):
                await read(source, entry)
        assert inside.asked == []


async def test_the_tag_follows_the_item(site: Site, open_feed: Open) -> None:
    async def tags() -> list[str | None]:
        return [entry.tag for entry in await open_feed(f"{site.url}/feed").entries()]

    one = item("Un", "/1", date="Sat, 01 Nov 2025 10:00:00 GMT")
    site.pages["/feed"] = rss(one, item("Deux", "/2"))
    first = await tags()
    assert await tags() == first
    site.pages["/feed"] = rss(one, item("Deux", "/2", "Corrigé."))
    second = await tags()
    assert (second[0] == first[0], second[1] == first[1]) == (True, False)


async def test_items_with_one_link_have_names_that_do_not_depend_on_the_others(site: Site, open_feed: Open) -> None:
    items = [item(f"Version {n}", f"{site.url}/changes", guid=f"v{n}") for n in (1, 2)]
    site.pages["/feed"] = rss(*items)
    both = {entry.path for entry in await open_feed(f"{site.url}/feed").entries()}
    site.pages["/feed"] = rss(items[1])
    (alone,) = [entry.path for entry in await open_feed(f"{site.url}/feed").entries()]
    assert len(both) == 2
    assert alone in both
    assert alone.startswith(f"{site.host}/changes~")


async def test_what_scrolled_out_is_kept_by_the_sync_and_gone_for_reading(site: Site, open_feed: Open) -> None:
    assert FeedSource.forgets
    assert not WebSource.forgets
    site.pages["/feed"] = rss(item("Un", "/1"))
    source = open_feed(f"{site.url}/feed", full_text=False)
    with pytest.raises(Vanished, match=r"not in the feed any more"):
        await read(source, Entry("gone.html"))
    (entry,) = await source.entries()
    assert "Bref." in (await read(open_feed(f"{site.url}/feed", full_text=False), entry))[1]


async def test_several_feeds_and_globs(site: Site, open_feed: Open) -> None:
    site.pages["/a"] = rss(item("Un", "/a/1"), item("Deux", "/a/2"))
    site.pages["/b"] = rss(item("Trois", "/b/3"), item("Un", f"{site.url}/a/1"))
    source = open_feed((f"{site.url}/a", f"{site.url}/b"), include=("**/1.html", "**/3.html"))
    assert [entry.path.partition("/")[2] for entry in await source.entries()] == ["a/1.html", "b/3.html"]


@pytest.mark.parametrize(
    ("page", "said"),
    [
        pytest.param(Page(status=500), "answered 500", id="500"),
        pytest.param(Page(status=404), "no such page", id="404"),
        pytest.param(Page(b"<html><body>x</body></html>"), "neither RSS nor Atom", id="html"),
        pytest.param(Page(b""), "neither RSS nor Atom", id="empty"),
    ],
)
async def test_a_feed_that_cannot_be_read_fails_the_listing(site: Site, open_feed: Open, page: Page, said: str) -> None:
    site.pages["/good"] = rss(item("Un", "/1"))
    site.pages["/feed"] = page
    with pytest.raises(Unavailable, match=f"source 'news' cannot be listed: .*/feed: .*{said}"):
        await open_feed((f"{site.url}/good", f"{site.url}/feed")).entries()


ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Ville</title>
<entry><id>tag:e.org,2025:1</id><title type="html">Ét&amp;eacute; &amp;amp; mer</title><link href="/1"/>
<updated>2025-11-01T10:00:00Z</updated><summary>Bref</summary>
<content type="html">&lt;p&gt;Tout le texte, &lt;a href="/x"&gt;long&lt;/a&gt;.&lt;/p&gt;</content></entry>
<entry><id>tag:e.org,2025:2</id><title>Sans lien</title><summary type="text">1 &lt; 2</summary></entry>
</feed>"""


def test_atom_is_read_with_its_longest_text() -> None:
    first, second = items_of(ATOM.encode(), {"content-location": "http://e.org/feed"})
    assert (first.id, first.link, first.title) == ("tag:e.org,2025:1", "http://e.org/1", "Été & mer")
    assert first.updated == "2025-11-01T10:00:00Z"
    assert first.content == '<p>Tout le texte, <a href="http://e.org/x">long</a>.</p>'
    assert (second.link, second.content) == ("", "<p>1 &lt; 2</p>")


def test_the_encoding_of_a_feed_is_the_one_it_names() -> None:
    feed = ATOM.replace("utf-8", "iso-8859-1").replace("Ville", "Été").encode("latin-1")
    assert items_of(feed, {})[0].title == "Été & mer"


def test_nothing_in_a_feed_reads_files_or_the_network(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hidden")
    evil = f'<!DOCTYPE x [<!ENTITY f SYSTEM "{secret.as_uri()}">]>{rss(item("&amp;f; &f;", "/1")).body.decode()}'
    assert "hidden" not in str(items_of(evil.replace('<?xml version="1.0"?>', "").encode(), {}))
    for content in (str(secret).encode(), secret.as_uri().encode(), b"http://127.0.0.1:9/"):
        with pytest.raises(BadInput):
            items_of(content, {})


async def test_wrong_settings_are_said_at_the_start(open_feed: Open) -> None:
    with pytest.raises(SetupError, match="source 'news': location: 'feed.xml' cannot be fetched"):
        open_feed("feed.xml")


async def test_it_works_with_worker_processes(site: Site, open_feed: Open) -> None:
    site.pages["/feed"] = rss(item("Été", f"{site.url}/news/1"))
    site.html("/news/1", f"<p>{LONG}</p>")
    workers = Workers(Parsing(workers=1))
    source = open_feed(f"{site.url}/feed", workers=workers)
    assert "péniches" in (await read(source, (await source.entries())[0]))[1]
    site.pages["/feed"] = Page(b"<html>")
    with pytest.raises(Unavailable, match="neither RSS nor Atom"):
        await source.entries()
    await workers.close()
