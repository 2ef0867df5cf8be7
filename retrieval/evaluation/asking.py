"""Who is asked the questions of a golden set: an installation, open in this process or behind HTTP (`over_http.py`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ragline.app import App
from ragline.retrieval.evaluation.choices import retrieval_of
from ragline.retrieval.evaluation.matching import Seen, folded, last_part
from ragline.retrieval.evaluation.metrics import DEPTH
from ragline.retrieval.evaluation.results import Row
from ragline.retrieval.evaluation.searching import embedded, search_stored
from ragline.retrieval.plan import plan_for
from ragline.retrieval.references import scope_for, searched
from ragline.types import CollectionRef, Hit, Scope, User

NOTHING: Sequence[Row] = ("dense", "bm25", "fused", "answer")
"""The rows of a question that finds nothing."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a search came to: the passages of each row, best first, at most DEPTH, and seconds.

    `says` tells how it was searched, such as the weight of meaning.
    """

    rows: Mapping[Row, Sequence[Seen]]
    embed_s: float
    search_s: float
    notes: Sequence[str]
    says: Mapping[str, str]


class Asker(Protocol):
    """Searches as one user, with some settings of retrieval others than those of the installation."""

    async def ask(self, question: str, collection: str | None, values: Mapping[str, str]) -> Tried:
        """Search a collection, by id or name, or everything. Raises NotFound, BadInput for a value, Unavailable."""

    async def has_file(self, named: str) -> bool:
        """Tell whether the user sees a file of this name or id."""


class InProcess:
    """An installation that is open in this process."""

    def __init__(self, app: App, user: User) -> None:
        self._app = app
        self._user = user

    async def ask(self, question: str, collection: str | None, values: Mapping[str, str]) -> Tried:
        return await tried(self._app, self._user, question, collection, values)

    async def has_file(self, named: str) -> bool:
        name = last_part(named)
        found = await self._app.records.files.search(
            self._user, keep=lambda one: folded(one) == folded(name), personal=False, limit=1, offset=0
        )
        return bool(found or await self._app.records.files.readable_among({named}, self._user))


async def tried(app: App, user: User, question: str, collection: str | None, values: Mapping[str, object]) -> Tried:
    """Search what this user may see. Raises NotFound for a collection, BadInput for a value."""
    changed = retrieval_of(app.settings.retrieval, values)
    app = replace(app, settings=app.settings.model_copy(update={"retrieval": changed}))
    scope = await scope_of(app, user, collection)
    plan = await plan_for(app, scope)
    chosen = {name: getattr(changed, name) for name in ("dense_weight", "min_relevance") if name in values}
    plan = replace(
        plan, **{name: value for name, value in chosen.items() if value is not None}
    )  # over the collection's
    says = {"dense_weight": f"{plan.dense_weight:g}", "fusion": plan.fusion}
    query, embed_s = await embedded(app, question)
    if query is None:
        return Tried(dict.fromkeys(NOTHING, ()), embed_s, 0.0, (), says)
    found = await search_stored(app, question, query, scope, plan)
    hits = {hit.passage.file_id for row in found.rows.values() for hit in row}
    seen = await app.records.files.readable_among(hits, user)
    rows = {
        row: [seen_of(hit) for hit in some if hit.passage.file_id in seen][:DEPTH] for row, some in found.rows.items()
    }
    return Tried(rows, embed_s, found.seconds, found.notes, says)


async def scope_of(app: App, user: User, collection: str | None) -> Scope | None:
    """Return where to search: a collection, or all that this user may see; None where there is nothing."""
    if collection is not None:
        meant = await app.records.collections.meant(collection, user)
        return await searched(app, user, [CollectionRef(meant.id)], [None])  # without waiting for files on their way
    scope = await scope_for(app, user)
    if user.sees_all:
        return scope
    return replace(scope, shared_collection_ids=frozenset(await app.records.collections.readable(user)))


def seen_of(hit: Hit) -> Seen:
    passage, chunk = hit.passage, hit.passage.chunk
    text = f"{chunk.lead}\n{chunk.text}" if chunk.lead else chunk.text
    return Seen(passage.file_id, passage.name, text, chunk.page, chunk.page_end)
