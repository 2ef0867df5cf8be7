"""Answers with the best passages themselves, word for word: no language model is asked, nothing can be made up.

Copy this file into the folder `functions/` beside your `ragline.toml`; the model `best-passages` is there at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ragline.functions import Excerpt, Request

MOST = 3
NOTHING = {
    "fr": "Aucun passage de vos documents ne correspond à cette question.",
    "en": "No passage of your documents matches this question.",
}


class BestPassages:
    id = "best-passages"
    name = "Best passages (no language model)"

    async def chat(self, request: Request) -> AsyncIterator[str]:
        """Quote the documents that came with the chat; without any, those of all that the user may read."""
        found = request.context
        if found is None:
            found = await request.search(request.question, limit=MOST)
        if not found:
            yield NOTHING.get(request.language, NOTHING["en"])
        for passage in found[:MOST]:
            yield f"{quoted(passage.text)}\n\n— {place(passage)} [{passage.source}]\n\n"


def quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def place(passage: Excerpt) -> str:
    page = "" if passage.page is None else f", p. {passage.page}"
    return f"{passage.name}{page}"
