"""A passage as a page to read: highlighted in its surroundings, without scripts, nothing fetched from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ragline.api.passages import PassageOut

STYLE = """
:root { color-scheme: light dark; --quiet: #6b6f76; --line: #d9dce1; --mark: #fff2b3; --edge: #d9a400; }
body { max-width: 46rem; margin: 2rem auto; padding: 0 1.25rem; font: 1.05rem/1.65 Georgia, serif; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .3rem; overflow-wrap: anywhere; color: CanvasText; }
header, footer, nav { font-family: system-ui, sans-serif; font-size: .88rem; color: var(--quiet); }
header { border-bottom: 1px solid var(--line); padding-bottom: .8rem; margin-bottom: 1.4rem; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; }
.around { color: var(--quiet); }
mark { background: var(--mark); color: inherit; display: block; padding: .5rem .9rem; border-radius: 3px;
  border-left: 4px solid var(--edge); }
mark.text { margin: .7rem 0; }
a { color: inherit; }
nav { display: flex; justify-content: space-between; gap: 1rem; margin: 1.6rem 0 .8rem; }
footer { border-top: 1px solid var(--line); padding-top: .6rem; }
@media (prefers-color-scheme: dark) { :root { --quiet: #9aa0a8; --line: #3a3d42; --mark: #4a3d0a; --edge: #e0b020; } }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Accept-Language",
}

WORDS = {
    "fr": {
        "page": "page",
        "pages": "pages",
        "sheet": "feuille",
        "cells": "cellules",
        "member": "dans",
        "passage": "passage {number} sur {total}",
        "characters": "caractères {start} à {end} du texte extrait",
        "previous": "Passage précédent",
        "next": "Passage suivant",
        "title": "Passage de {name}",
    },
    "en": {
        "page": "page",
        "pages": "pages",
        "sheet": "sheet",
        "cells": "cells",
        "member": "in",
        "passage": "passage {number} of {total}",
        "characters": "characters {start} to {end} of the extracted text",
        "previous": "Previous passage",
        "next": "Next passage",
        "title": "Passage of {name}",
    },
}


def page(passage: PassageOut, *, around: int, language: Literal["fr", "en"]) -> str:
    """Return the page; everything that comes from the document is escaped."""
    words = WORDS[language]
    text_language = escape(passage.language, quote=True)
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(words["title"].format(name=passage.name))}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1 dir="auto">{escape(passage.name)}</h1>
{place(passage, words)}
</header>
<main lang="{text_language}">
{part(passage.before, "around")}
<mark class="text" dir="auto">{part_of_lead(passage)}{escape(passage.text)}</mark>
{part(passage.after, "around")}
</main>
<nav>
<span>{link(passage.previous, f"← {words['previous']}", around)}</span>
<span>{link(passage.next, f"{words['next']} →", around)}</span>
</nav>
<footer>{escape(counted(passage, words))}</footer>
</body>
</html>
"""


def place(passage: PassageOut, words: dict[str, str]) -> str:
    """Return page, sheet and headings on a line, those that there are."""
    known = [f"{words['member']} {passage.member}"] if passage.member else []
    if passage.page is not None:
        several = passage.page_end not in (None, passage.page)
        known.append(
            f"{words['pages']} {passage.page}–{passage.page_end}" if several else f"{words['page']} {passage.page}"
        )
    known += [f"{words[key]} {value}" for key, value in (("sheet", passage.sheet), ("cells", passage.cells)) if value]
    known += [passage.heading] if passage.heading else []
    return f'<div dir="auto">{escape(" · ".join(known))}</div>' if known else ""


def counted(passage: PassageOut, words: dict[str, str]) -> str:
    number = words["passage"].format(number=passage.index + 1, total=passage.total)
    return f"{number} · {words['characters'].format(start=passage.start, end=passage.end)}"


def part(text: str, kind: str) -> str:
    """Return a text around the passage, without the blanks that divide it from there."""
    text = text.strip()
    return f'<p class="text {kind}" dir="auto">{escape(text)}</p>' if text else ""


def part_of_lead(passage: PassageOut) -> str:
    return f"<b>{escape(passage.lead)}</b>\n" if passage.lead else ""


def link(id: str | None, words: str, around: int) -> str:
    """Return a link to the page of another passage, relative to this one's address."""
    if id is None:
        return ""
    return f'<a href="{escape(id, quote=True)}?format=html&amp;around={around}">{escape(words)}</a>'
