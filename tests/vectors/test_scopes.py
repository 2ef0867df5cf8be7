"""Searches in scopes of nearly all points, of few, and beside points that nobody may see yet: the same is found."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from ragline.config.settings import Vectors
from ragline.connectors.vectors import open_vectors
from ragline.connectors.vectors.protocol import Point, VectorStore
from ragline.types import Scope

from .made import DIMENSION, EAST, NORTH, NORTH_EAST, WEST, point, query

ADA = Scope(user_id="ada")


async def publish(store: VectorStore, points: list[Point]) -> None:
    await store.stage(points, version="v1")
    for file_id in {each.passage.file_id for each in points}:
        await store.publish(file_id, version="v1")


async def files(store: VectorStore, scope: Scope, *, limit: int, words: str = "") -> list[str]:
    hits = await store.candidates(query(words, dense=NORTH), scope, limit=limit)
    return [hit.passage.file_id for hit in hits]


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param(Scope(), id="everything"),
        pytest.param(Scope(collection_ids=frozenset({"k"})), id="a-collection"),
        pytest.param(Scope(file_ids=frozenset({"new", "near", "far"})), id="files"),
        pytest.param(Scope(user_id="ann", shared_collection_ids=frozenset({"k"})), id="a-user"),
    ],
)
async def test_a_crowd_of_staged_points_takes_no_place(store: VectorStore, scope: Scope) -> None:
    crowd = [
        point(f"heron {n}", file_id="new", index=n, dense=NORTH, version="v2", collection_ids=["k"]) for n in range(100)
    ]
    await store.stage(crowd, version="v2")
    await publish(store, [point("heron", file_id="near", dense=NORTH_EAST, collection_ids=["k"])])
    await publish(store, [point("gull", file_id="far", dense=WEST, collection_ids=["k"])])
    assert await files(store, scope, limit=2, words="heron") == ["near", "far"]
    assert await files(store, scope, limit=1) == ["near"]


async def test_what_lies_outside_of_a_scope_of_nearly_all_points_takes_no_place(store: VectorStore) -> None:
    mine = [
        point(f"mine {n}", file_id=f"mine-{n:02}", dense=NORTH_EAST if n < 5 else EAST, user_id="ada")
        for n in range(90)
    ]
    others = [point(f"heron {n}", file_id=f"other-{n}", dense=NORTH, user_id="bob") for n in range(10)]
    await publish(store, [*mine, *others])
    assert sorted(await files(store, ADA, limit=5, words="heron")) == [f"mine-{n:02}" for n in range(5)]
    assert len(await files(store, ADA, limit=60)) == 60
    assert len(await files(store, ADA, limit=500)) == 90
    assert len(await files(store, Scope(), limit=500)) == 100


async def test_a_collection_is_searched_whole_whoever_owns_its_files(store: VectorStore) -> None:
    await publish(store, [point("heron", file_id="shared", user_id="bob", collection_ids=["k"])])
    await publish(store, [point("heron", file_id="secret", user_id="bob", collection_ids=["x"])])
    in_k = frozenset({"k"})
    assert await files(store, Scope(collection_ids=in_k, user_id="ada", shared_collection_ids=in_k), limit=9) == [
        "shared"
    ]
    assert await files(store, Scope(collection_ids=in_k, user_id="ada"), limit=9) == []
    of_both = Scope(frozenset({"secret"}), in_k, user_id="ada", shared_collection_ids=in_k)
    assert await files(store, of_both, limit=9) == ["shared"]


async def test_nobody_learns_from_scores_what_others_have(tmp_path: Path) -> None:
    store = await open_vectors(Vectors(), folder=tmp_path, model_id=str(uuid.uuid4()), dimension=DIMENSION)
    await publish(
        store, [point(f"heron {n}" if n < 3 else f"gull {n}", file_id=f"m{n}", user_id="ada") for n in range(95)]
    )

    async def best() -> float:
        return max(hit.lexical for hit in await store.candidates(query("heron"), ADA, limit=5))

    alone = await best()
    await publish(store, [point(f"heron {n}", file_id=f"o{n}", user_id="bob") for n in range(5)])
    assert await best() == pytest.approx(alone)
    all_of_them = await store.candidates(query("heron"), Scope(), limit=5)
    assert max(hit.lexical for hit in all_of_them) < alone
    await store.close()
