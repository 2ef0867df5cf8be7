"""Search in the engine of this process. It holds the interpreter while it searches, so all depends on what it is asked.

Measured with 200,000 points, in milliseconds of CPU: the nearest by meaning 18, by the rough vectors first 3; with a
filter that lets all through 15 more; by words 1; how rare the words are inside of a filter 10, and without one nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from qdrant_edge import (
    CountRequest,
    EdgeShard,
    FieldCondition,
    Filter,
    HasIdCondition,
    HasVectorCondition,
    IdfParams,
    IsEmptyCondition,
    IsNullCondition,
    MatchAny,
    MatchValue,
    NestedCondition,
    QuantizationSearchParams,
    QueryBatchRequest,
    QueryRequest,
    Record,
    SearchParams,
)
from qdrant_edge import Query as EdgeQuery
from qdrant_edge import SparseVector as EdgeSparse

from ragline.connectors.vectors import layout
from ragline.connectors.vectors.protocol import Query
from ragline.types import Hit, Passage, Scope, SparseVector

Id = int | UUID | str
Condition = (
    FieldCondition | IsEmptyCondition | IsNullCondition | HasIdCondition | HasVectorCondition | NestedCondition | Filter
)

WIDE = 0.8
"""A scope of this part of all points is no filter: what lies outside of it is taken out afterwards."""

SPARE = 8
"""Points taken beyond the limit, because some may turn out not to be published."""

ROUGH_FIRST = SearchParams(quantization=QuantizationSearchParams(rescore=True, oversampling=4.0))
"""Four times as many by the rough vectors, then exactly: 99.9 % of the 50 nearest of 200,000 real ones, all of 10."""

EXACT = SearchParams(exact=True, quantization=QuantizationSearchParams(ignore=True))


@dataclass(frozen=True, slots=True)
class Aim:
    """What is searched: the best `limit` points inside `inside`, words as rare as among `corpus`; None: all points."""

    inside: Filter | None
    corpus: Filter | None
    limit: int


@dataclass(frozen=True, slots=True)
class Look:
    """What two searches saw: the best by meaning and by words in their order, and the scores of all of them."""

    near: Sequence[Id]
    said: Sequence[Id]
    cosines: Mapping[Id, float]
    lexical: Mapping[Id, float]


def candidates(shard: EdgeShard, query: Query, scope: Scope, limit: int) -> list[Hit]:
    """Return what `VectorStore.candidates` promises.

    At first the filter is one that costs little, and what should not have come is taken out; where then too little is
    left, such as while a large file is staged, the exact filter is used.
    """
    clauses = layout.clauses(scope)
    aim = easy_aim(shard, clauses, limit, is_of_all=scope.user_id is None)
    look = look_at(shard, query, aim)
    seen = visible(shard, look, clauses)
    if any(is_cut_off(ids, seen, aim, limit) for ids in (look.near, look.said)):
        look = look_at(shard, query, Aim(filter_of(clauses, equal("state", "published")), aim.corpus, limit))
        seen = visible(shard, look, clauses)
    best = {id for ids in (look.near, look.said) for id in [one for one in ids if one in seen][:limit]}
    return layout.by_cosine(
        (layout.passage_of(id, seen[id]), look.cosines[id], look.lexical.get(id, 0.0))
        for id in best
        if id in look.cosines  # it may have been deleted in between
    )


def easy_aim(shard: EdgeShard, clauses: layout.Clauses, limit: int, *, is_of_all: bool) -> Aim:
    """Return an aim whose filter costs little, and finds some more than what the scope allows.

    The words of those who do not see everything are as rare as in what they see, so that nobody learns from scores what
    others have; for the rest a scope of most points is as good as all.
    """
    if not clauses:
        return Aim(None, None, limit + SPARE)
    inside = filter_of(clauses)
    part = shard.count(CountRequest(exact=False, filter=inside)) / max(1, shard.info().points_count)
    corpus = None if part >= (WIDE if is_of_all else 1) else inside
    if part < WIDE:
        return Aim(inside, corpus, limit + SPARE)
    return Aim(None, corpus, int(limit / min(1.0, part)) + SPARE)


def look_at(shard: EdgeShard, query: Query, aim: Aim) -> Look:
    """Search by meaning and by words, and give each of what either found the score of the other, too.

    Both searches by words are one call, in which it is counted once how rare the words are.
    """
    dense = EdgeQuery.Nearest(layout.numbers(query.dense), layout.DENSE)
    nearest = shard.query(QueryRequest(limit=aim.limit, query=dense, filter=aim.inside, params=ROUGH_FIRST))
    cosines = {point.id: point.score for point in nearest}
    if not query.sparse.indices or not nearest:
        return Look(list(cosines), (), cosines, {})
    words = EdgeQuery.Nearest(sparse(query.sparse), layout.SPARSE)
    rarity = SearchParams(idf=IdfParams(aim.corpus))
    searches = [
        QueryRequest(limit=limit, query=words, filter=inside, params=rarity)
        for limit, inside in ((aim.limit, aim.inside), (len(cosines), ids_in(cosines)))
    ]
    said, others = shard.query_batch(QueryBatchRequest(searches))
    lexical = {point.id: point.score for points in (others, said) for point in points}
    if missing := lexical.keys() - cosines.keys():
        request = QueryRequest(limit=len(missing), query=dense, filter=ids_in(missing), params=EXACT)
        cosines |= {point.id: point.score for point in shard.query(request)}
    return Look([point.id for point in nearest], [point.id for point in said], cosines, lexical)


def visible(shard: EdgeShard, look: Look, clauses: layout.Clauses) -> dict[Id, layout.Payload]:
    """Return those that are published and in the scope. Reading by id takes a fourth of reading with a search."""
    records = shard.retrieve(list({*look.near, *look.said}), True, False)
    payloads = {record.id: cast("layout.Payload", record.payload) for record in records}  # made anew by each look at it
    return {id: payload for id, payload in payloads.items() if layout.is_visible(payload, clauses)}


def words(shard: EdgeShard, passage_ids: Sequence[str]) -> dict[str, frozenset[int]]:
    """Return what `VectorStore.words` promises: 0.02 ms a passage, where its analysis takes 0.3 to 0.5."""
    ids: list[Id] = list(passage_ids)
    vectors = {
        str(record.id): cast("Mapping[str, EdgeSparse]", record.vector or {})
        for record in shard.retrieve(ids, False, [layout.SPARSE])
    }
    return {
        id: frozenset(vector[layout.SPARSE].indices if layout.SPARSE in vector else ())
        for id, vector in vectors.items()
    }


def is_cut_off(ids: Sequence[Id], seen: Mapping[Id, layout.Payload], aim: Aim, limit: int) -> bool:
    """Tell whether there may be more to find than what is left of these."""
    return len(ids) >= aim.limit and sum(id in seen for id in ids) < limit


def filter_of(clauses: layout.Clauses, *also: FieldCondition) -> Filter:
    """Return clauses as a filter. One of several fields is its `should`: it takes a third of a filter inside."""
    must: list[Condition] = list(also)
    should: list[Condition] = []
    for clause in clauses:
        conditions: list[Condition] = [
            equal(field, values[0]) if len(values) == 1 else FieldCondition(field, match=MatchAny(list(values)))
            for field, values in clause
        ]
        if len(conditions) == 1:
            must += conditions
        elif not should:
            should = conditions
        else:
            must.append(Filter(should=conditions))
    return Filter(must=must, should=should or None)


def equal(field: str, value: str) -> FieldCondition:
    return FieldCondition(field, match=MatchValue(value))


def ids_in(ids: Iterable[Id]) -> Filter:
    return Filter(must=[HasIdCondition(set(ids))])


def sparse(vector: SparseVector) -> EdgeSparse:
    return EdgeSparse(list(vector.indices), list(vector.values))


def passage_of(stored: Record) -> Passage:
    return layout.passage_of(stored.id, cast("layout.Payload", stored.payload))
