"""One search as its caller wants it: what they do not say is as the settings and the collection have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from ragline.app import App
from ragline.config.settings import Fusion
from ragline.errors import BadInput
from ragline.matches import Match, Matches
from ragline.retrieval.plan import Plan, plan_for
from ragline.retrieval.references import resolve
from ragline.retrieval.search import find, query_of
from ragline.types import CollectionRef, FileRecord, FileRef, Found, Hit, Ref, User


class Wishes(BaseModel):
    """What may be other than the settings say, in the words and the bounds of the section `retrieval`."""

    model_config = ConfigDict(extra="forbid")

    top_k: int | None = Field(None, gt=0, le=200, description="Passages at most.")
    candidates: int | None = Field(None, gt=0, le=1000, description="Passages that each of the two searches brings.")
    fusion: Fusion | None = Field(None, description="How the two orders become one.")
    dense_weight: float | None = Field(None, ge=0, le=1, description="Weight of meaning; the rest is of words.")
    min_relevance: float | None = Field(None, ge=0, le=1, description="Passages that are less relevant are left out.")
    diversity: float | None = Field(None, ge=0, le=1, description="Preference for passages unlike those before.")
    recency: float | None = Field(None, ge=0, le=1, description="Preference for younger files.")
    rerank: bool | None = Field(None, description="`false`: without the reranker of the settings.")
    lexical: bool = Field(True, description="`false`: by meaning only, as if no word were in common.")

    def over(self, plan: Plan) -> Plan:
        """Return the plan with these wishes in it."""
        said = self.model_dump(include=WISHED, exclude_none=True)
        return replace(plan, **said)


WISHED = set(Wishes.model_fields) - {"top_k", "lexical"}


async def matches(app: App, refs: Sequence[Ref], user: User, question: str, wishes: Wishes) -> Matches:
    """Return the passages of files and collections that fit a question best; a blank one has none.

    Raises BadInput for a reference to anything else or to the whole of something, and as `resolve` does.
    """
    found = await found_in(app, refs, user, question, wishes)
    files = await app.records.files.named({hit.passage.file_id for hit in found.hits})
    passages = tuple(match_of(hit, files.get(hit.passage.file_id)) for hit in found.hits)
    return Matches(passages, tuple(found.notes), found.below)


async def found_in(app: App, refs: Sequence[Ref], user: User, question: str, wishes: Wishes) -> Found:
    """Return what a search finds in what is referred to. Raises as `matches` does."""
    if unfit := [ref.kind for ref in refs if not isinstance(ref, FileRef | CollectionRef) or ref.full]:
        raise BadInput(f"a search takes files and collections, no reference of type {unfit[0]!r} or to all of one")
    resolved = await resolve(app, refs, user)
    query = await query_of(app, question, lexical=wishes.lexical)
    if resolved.scope is None or query is None:
        return Found()
    plan = wishes.over(await plan_for(app, resolved.scope, limit=wishes.top_k))
    found = await find(app, question, query, resolved.scope, plan)
    owners = await resolved.owners(app, {hit.passage.file_id for hit in found.hits})
    return replace(found, hits=[hit for hit in found.hits if hit.passage.file_id in owners])


def match_of(hit: Hit, file: FileRecord | None) -> Match:
    """Return a hit as programs get it. `file` is None where it was deleted just now."""
    passage, chunk = hit.passage, hit.passage.chunk
    return Match(
        text=chunk.text,
        score=hit.score,
        cosine=hit.cosine,
        lexical=hit.lexical,
        relevance=hit.relevance,
        name=passage.name,
        file_id=passage.file_id,
        passage_id=passage.id,
        index=chunk.index,
        start=chunk.start,
        end=chunk.end,
        heading=chunk.heading,
        language=chunk.language,
        kind=chunk.kind,
        page=chunk.page,
        page_end=chunk.page_end or chunk.page,
        member=chunk.member,
        sheet=chunk.sheet,
        cells=chunk.cells,
        html=chunk.html,
        lead=chunk.lead,
        metadata=file.metadata if file is not None else {},
    )
