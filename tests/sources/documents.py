"""What the tests of web sources write down and read: pages with links, sitemaps, and the documents they become."""

from __future__ import annotations

import io
from collections.abc import Callable

from ragline.connectors.sources.protocol import Entry, Read
from ragline.connectors.sources.web import WebSource

from .site import Page, Site

LONG = "La Loire coule à travers la ville, et les péniches remontent lentement vers l'est pendant tout l'été. " * 4
Open = Callable[..., WebSource]
"""Called with a location; keywords are settings, and options of the source."""


async def paths(source: WebSource) -> list[str]:
    return [entry.path.partition("/")[2] for entry in await source.entries()]


async def read(source: WebSource, entry: Entry, known_tag: str | None = None) -> tuple[Read, str]:
    into = io.BytesIO()
    done = await source.read(entry, into, known_tag=known_tag)
    return done, into.getvalue().decode()


def linked(site: Site, **pages: str) -> None:
    """Write pages by name, each with links to the others that it names: `a="b c"`."""
    for name, links in pages.items():
        anchors = "".join(f'<a href="{link}">{link}</a> ' for link in links.split())
        site.html(f"/docs/{name}", f"<p>{LONG}{name}</p>{anchors}")


def sitemap(site: Site, *found: str, index: bool = False) -> Page:
    inner, outer = ("sitemap", "sitemapindex") if index else ("url", "urlset")
    listed = "".join(f"<{inner}><loc>{site.url}{path}</loc></{inner}>" for path in found)
    xml = f'<?xml version="1.0"?><{outer} xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{listed}</{outer}>'
    return Page(xml.encode(), "application/xml")
