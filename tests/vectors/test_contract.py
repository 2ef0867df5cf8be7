"""What every vector store must do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragline.config.settings import Vectors
from ragline.connectors.vectors import open_vectors
from ragline.connectors.vectors.layout import store_name
from ragline.connectors.vectors.protocol import Census, Held, Label, Point, VectorStore
from ragline.connectors.vectors.stores import Stored, drop, stored
from ragline.errors import SetupError
from ragline.types import Hit, Scope, SparseVector

from .conftest import REAL_URL
from .made import DIMENSION, EAST, NORTH, NORTH_EAST, WEST, point, query

EVERYTHING = Scope()


async def store_all(store: VectorStore, points: Sequence[Point], *, version: str = "v1") -> None:
    await store.stage(points, version=version)
    for file_id, count in Counter(each.passage.file_id for each in points).items():
        assert await store.publish(file_id, version=version) == count


async def found(store: VectorStore, text: str = "", *, scope: Scope = EVERYTHING, limit: int = 50) -> list[Hit]:
    return await store.candidates(query(text), scope, limit=limit)


async def texts(store: VectorStore, scope: Scope = EVERYTHING) -> set[str]:
    return {hit.passage.chunk.text for hit in await found(store, scope=scope)}


async def test_an_empty_store_finds_nothing_and_has_nothing(store: VectorStore) -> None:
    assert await found(store, "anything") == []
    assert await store.passages("file-1", version="v1") == []
    assert await store.count() == 0
    assert await store.census() == Census(points=0, files={}, collections={})


async def test_writes_about_an_unknown_file_are_no_error(store: VectorStore) -> None:
    await store.stage([], version="v1")
    assert await store.publish("nowhere", version="v1") == 0
    await store.drop_stale("nowhere", keep="v1")
    await store.drop_version("nowhere", "v1")
    await store.relabel("nowhere", name="n", collection_ids=["c"])
    await store.delete_file("nowhere")
    await store.delete_files([])
    await store.delete_files(["nowhere", "neither"])
    assert await store.count() == 0


async def test_staged_points_are_counted_but_not_found(store: VectorStore) -> None:
    await store.stage([point("an apple")], version="v1")
    assert await store.count() == 1
    assert await found(store, "apple") == []
    assert await store.passages("file-1", version="v1") == []


async def test_a_published_passage_comes_back_as_it_was_written(store: VectorStore) -> None:
    written = point("Où est l’été ? 夏はどこ 🌞\n\tNUL:\x00", file_id="dossier-é", language="fr")
    await store_all(store, [written])
    [hit] = await found(store, "été")
    assert hit.passage == written.passage
    assert await store.passages("dossier-é", version="v1") == [written.passage]


async def test_a_passage_without_a_page_comes_back_without_one(store: VectorStore) -> None:
    made = point("an apple")
    pageless = replace(made.passage, chunk=replace(made.passage.chunk, page=None))
    await store_all(store, [replace(made, passage=pageless)])
    assert await store.passages("file-1", version="v1") == [pageless]


async def test_a_passage_without_words_is_found_by_its_meaning(store: VectorStore) -> None:
    await store_all(store, [replace(point("— !"), sparse=SparseVector((), ()))])
    assert [hit.passage.chunk.text for hit in await found(store, "apple")] == ["— !"]


async def test_a_text_of_ten_thousand_characters_comes_back_whole(store: VectorStore) -> None:
    text = "héron " * 1667
    await store_all(store, [point(text, language="fr")])
    [hit] = await found(store, "hérons")
    assert hit.passage.chunk.text == text


async def test_two_published_versions_are_found_each_under_its_own(store: VectorStore) -> None:
    await store_all(store, [point("old one"), point("old two", index=1)])
    await store.stage([point("new", version="v2")], version="v2")
    assert await texts(store) == {"old one", "old two"}
    assert await store.publish("file-1", version="v2") == 1
    versions = {hit.passage.chunk.text: hit.passage.version for hit in await found(store)}
    assert versions == {"old one": "v1", "old two": "v1", "new": "v2"}
    assert [passage.version for passage in await store.passages("file-1", version="v2")] == ["v2"]
    assert len(await store.passages("file-1", version="v1")) == 2


async def test_publishing_says_how_many_points_a_version_has(store: VectorStore) -> None:
    await store_all(store, [point("other", file_id="file-2"), point("old")])
    await store.stage([point("one", version="v2"), point("two", index=1, version="v2")], version="v2")
    assert await store.publish("file-1", version="v2") == 2
    assert await store.publish("file-1", version="v2") == 2
    await store.stage([point("three", index=2, version="v2")], version="v2")
    assert await store.publish("file-1", version="v2") == 3
    assert await store.publish("file-1", version="v3") == 0


async def test_the_stale_go_and_the_kept_version_stays(store: VectorStore) -> None:
    await store_all(store, [point("old"), point("other", file_id="file-2")])
    await store_all(store, [point("new", version="v2")], version="v2")
    await store.stage([point("half", version="v3")], version="v3")
    await store.drop_stale("file-1", keep="v2")
    assert await texts(store) == {"new", "other"}
    assert await store.count() == 2
    await store.drop_stale("file-1", keep="")
    assert await texts(store) == {"other"}


async def test_one_version_is_dropped_and_the_others_stay(store: VectorStore) -> None:
    await store_all(store, [point("old"), point("other", file_id="file-2")])
    await store.stage([point("new", version="v2")], version="v2")
    await store.drop_version("file-1", "v2")
    assert await store.count() == 2
    await store.drop_version("file-1", "v1")
    assert await texts(store) == {"other"}


async def test_writing_twice_leaves_one(store: VectorStore) -> None:
    for _ in range(2):
        await store_all(store, [point("an apple"), point("a pear", index=1)])
        assert await store.count() == 2
    await store.publish("file-1", version="v1")
    assert await texts(store) == {"an apple", "a pear"}


async def test_more_points_than_one_request_holds_are_all_written(store: VectorStore) -> None:
    await store_all(store, [point(f"number {index}", index=index) for index in range(250)])
    assert await store.count() == 250
    assert len(await store.passages("file-1", version="v1")) == 250


async def test_passages_come_in_document_order(store: VectorStore) -> None:
    await store_all(store, [point(f"part {index}", index=index) for index in (10, 2, 0, 1)])
    assert [passage.chunk.index for passage in await store.passages("file-1", version="v1")] == [0, 1, 2, 10]


async def test_deleting_a_file_takes_its_staged_points_too(store: VectorStore) -> None:
    await store_all(store, [point("an apple"), point("kept", file_id="file-2")])
    await store.stage([point("next", version="v2")], version="v2")
    await store.delete_file("file-1")
    assert await texts(store) == {"kept"}
    assert await store.count() == 1


async def test_many_files_are_deleted_at_once(store: VectorStore) -> None:
    await store.stage([point("text", file_id=f"f{number}") for number in range(601)], version="v1")
    await store.delete_files([f"f{number}" for number in range(600)])
    assert list((await store.census()).files) == ["f600"]


async def test_vectors_may_be_rows_of_a_matrix(store: VectorStore) -> None:
    matrix = np.array([EAST, NORTH], dtype=np.float32)
    await store_all(store, [point("an apple", dense=matrix[0]), point("a pear", dense=matrix[1], index=1)])
    hits = await store.candidates(query(dense=matrix[1]), EVERYTHING, limit=1)
    assert [hit.passage.chunk.text for hit in hits] == ["a pear"]


LIBRARY = [
    point("ann own", file_id="a1", user_id="ann"),
    point("ann in team", file_id="a2", user_id="ann", collection_ids=("team", "misc")),
    point("bob own", file_id="b1", user_id="bob"),
    point("bob in team", file_id="b2", user_id="bob", collection_ids=("team",)),
    point("bob in secret", file_id="b3", user_id="bob", collection_ids=("secret",)),
]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        pytest.param(
            Scope(), {"ann own", "ann in team", "bob own", "bob in team", "bob in secret"}, id="administrator"
        ),
        pytest.param(Scope(file_ids=frozenset({"a1", "b1"})), {"ann own", "bob own"}, id="files"),
        pytest.param(Scope(collection_ids=frozenset({"team"})), {"ann in team", "bob in team"}, id="collection"),
        pytest.param(
            Scope(file_ids=frozenset({"a1"}), collection_ids=frozenset({"secret"})),
            {"ann own", "bob in secret"},
            id="file-or-collection",
        ),
        pytest.param(Scope(user_id="ann"), {"ann own", "ann in team"}, id="own-only"),
        pytest.param(
            Scope(user_id="ann", shared_collection_ids=frozenset({"team"})),
            {"ann own", "ann in team", "bob in team"},
            id="own-and-shared",
        ),
        pytest.param(
            Scope(
                collection_ids=frozenset({"team", "secret"}), user_id="ann", shared_collection_ids=frozenset({"team"})
            ),
            {"ann in team", "bob in team"},
            id="asked-for-and-allowed",
        ),
        pytest.param(Scope(file_ids=frozenset({"b1", "b3"}), user_id="ann"), set(), id="files-of-another"),
        pytest.param(Scope(file_ids=frozenset({"unknown"})), set(), id="unknown-file"),
    ],
)
async def test_a_search_stays_inside_its_scope(store: VectorStore, scope: Scope, expected: set[str]) -> None:
    await store_all(store, LIBRARY)
    assert await texts(store, scope) == expected
    lexical = await found(store, "ann bob own team secret", scope=scope)
    assert {hit.passage.chunk.text for hit in lexical} == expected


async def test_a_narrow_scope_is_searched_before_the_candidates_are_cut(store: VectorStore) -> None:
    crowd = [point(f"crowd {index}", file_id="crowd", index=index) for index in range(30)]
    await store_all(store, [*crowd, point("the needle", file_id="small", dense=WEST)])
    scope = Scope(file_ids=frozenset({"small"}))
    hits = await store.candidates(query("crowd"), scope, limit=5)
    assert [hit.passage.chunk.text for hit in hits] == ["the needle"]


async def test_name_and_collections_are_replaced_for_published_and_staged_points(store: VectorStore) -> None:
    await store_all(store, [point("now", collection_ids=("old",))])
    await store.stage([point("next", version="v2", collection_ids=("old",))], version="v2")
    await store.relabel("file-1", name="renamed.txt", collection_ids=["new", "other"])
    assert await texts(store, Scope(collection_ids=frozenset({"old"}))) == set()
    assert await texts(store, Scope(collection_ids=frozenset({"new"}))) == {"now"}
    await store.publish("file-1", version="v2")
    hits = await found(store, scope=Scope(collection_ids=frozenset({"other"})))
    assert {(hit.passage.chunk.text, hit.passage.name) for hit in hits} == {
        ("now", "renamed.txt"),
        ("next", "renamed.txt"),
    }
    await store.relabel("file-1", name="renamed.txt", collection_ids=[])
    assert await texts(store, Scope(collection_ids=frozenset({"new", "other"}))) == set()
    assert await texts(store) == {"now", "next"}


async def test_a_census_counts_by_file_version_and_collection(store: VectorStore) -> None:
    await store_all(store, [point(f"{index}", index=index, collection_ids=("b", "a")) for index in range(3)])
    await store.stage([point("next", version="v2", collection_ids=("a",))], version="v2")
    await store_all(store, [point("other", file_id="file-2")])
    ours, next_one = Label("file-1.txt", ("a", "b")), Label("file-1.txt", ("a",))
    assert await store.census() == Census(
        points=5,
        files={
            "file-1": {
                "v1": Held(points=3, published=3, labels=frozenset({ours})),
                "v2": Held(points=1, published=0, labels=frozenset({next_one})),
            },
            "file-2": {"v1": Held(points=1, published=1, labels=frozenset({Label("file-2.txt", ())}))},
        },
        collections={"a": 4, "b": 3},
    )


async def test_a_census_counts_more_points_than_one_page_holds(store: VectorStore) -> None:
    await store_all(store, [point(f"number {index}", index=index) for index in range(1201)])
    assert (await store.census()).files["file-1"]["v1"].published == 1201


async def test_one_search_finds_the_exact_code_and_the_paraphrase(store: VectorStore) -> None:
    await store_all(
        store,
        [
            point("The pump ZP-8841 needs oil", file_id="code", dense=WEST),
            point("How to lubricate the device", file_id="paraphrase", dense=EAST),
            *(point(f"unrelated {index}", file_id=f"other-{index}", dense=NORTH) for index in range(20)),
        ],
    )
    hits = await store.candidates(query("ZP-8841", dense=EAST), EVERYTHING, limit=1)
    assert {hit.passage.file_id for hit in hits} == {"code", "paraphrase"}


async def test_candidates_have_both_scores_whichever_search_found_them(store: VectorStore) -> None:
    await store_all(
        store,
        [
            point("nothing of it", file_id="near", dense=EAST),
            point("one apple in a basket with pears and plums", file_id="word", dense=NORTH),
            point("apple apple", file_id="word twice", dense=NORTH_EAST),
            point("neither", file_id="neither", dense=WEST),
        ],
    )
    hits = {hit.passage.file_id: hit for hit in await store.candidates(query("apple"), EVERYTHING, limit=2)}
    assert {name: hit.cosine for name, hit in hits.items()} == pytest.approx(
        {"near": 1.0, "word twice": 0.6, "word": 0.0}, abs=1e-6
    )
    assert hits["near"].lexical == 0 < hits["word"].lexical < hits["word twice"].lexical


async def test_a_word_is_rare_where_the_question_looks(store: VectorStore, settings: Vectors) -> None:
    """Other people's documents neither change the order of mine, nor can be guessed from it."""
    mine = [
        *(point("heron text", file_id=f"mine-{index}", user_id="me", index=index) for index in range(10)),
        point("contract text", file_id="mine", user_id="me", index=10),
    ]
    await store_all(store, mine)
    scope = Scope(user_id="me")
    before = await store.candidates(query("contract heron"), scope, limit=20)
    await store_all(store, [point("contract", file_id=f"other-{index}", user_id="you") for index in range(40)])
    after = await store.candidates(query("contract heron"), scope, limit=20)
    if settings.url is None or (REAL_URL is not None and settings.url == REAL_URL):  # the double counts everything
        assert [hit.lexical for hit in after] == pytest.approx([hit.lexical for hit in before])
    assert {hit.passage.id for hit in after} == {stored.passage.id for stored in mine}


async def test_vectors_come_back_by_id(store: VectorStore) -> None:
    here, gone = point("here", dense=NORTH), point("gone", index=1)
    await store_all(store, [here])
    vectors = await store.vectors([here.passage.id, gone.passage.id])
    assert {name: list(vector) for name, vector in vectors.items()} == {here.passage.id: list(NORTH)}


async def test_the_words_of_passages_come_back_by_id(store: VectorStore) -> None:
    here, gone, wordless = point("an apple"), point("gone", index=1), point("🌞 !", index=2)
    await store_all(store, [here, wordless])
    words = await store.words([here.passage.id, gone.passage.id, wordless.passage.id])
    assert words == {here.passage.id: frozenset(here.sparse.indices), wordless.passage.id: frozenset()}
    assert await store.words([]) == {}


async def test_what_stands_around_a_passage_is_of_its_version(store: VectorStore) -> None:
    await store_all(store, [point(f"number {index}", index=index) for index in range(6)])
    await store_all(store, [point("new", index=2, version="v2")], version="v2")
    found = await store.around("file-1", version="v1", indices=[3, 1, 2, 99])
    assert [passage.chunk.text for passage in found] == ["number 1", "number 2", "number 3"]
    assert await store.around("file-1", version="v1", indices=[]) == []


async def test_cosine_is_exact_whatever_the_order(store: VectorStore) -> None:
    await store_all(
        store,
        [
            point("a", file_id="same", dense=EAST),
            point("b", file_id="near", dense=NORTH_EAST),
            point("c", file_id="across", dense=NORTH),
            point("d", file_id="opposite", dense=WEST),
        ],
    )
    cosines = {hit.passage.file_id: hit.cosine for hit in await found(store)}
    assert cosines == pytest.approx({"same": 1.0, "near": 0.6, "across": 0.0, "opposite": -1.0}, abs=1e-6)


async def test_without_words_the_dense_half_answers_best_first(store: VectorStore) -> None:
    await store_all(
        store,
        [point("c", dense=NORTH, index=2), point("a", dense=EAST, index=0), point("b", dense=NORTH_EAST, index=1)],
    )
    hits = await found(store, limit=2)
    assert [hit.passage.chunk.text for hit in hits] == ["a", "b"]


async def test_a_rare_word_weighs_more_than_a_common_one(store: VectorStore) -> None:
    await store_all(
        store,
        [
            *(point("contract text", file_id=f"common-{index}", dense=WEST) for index in range(10)),
            point("heron text", file_id="rare", dense=WEST),
        ],
    )
    hits = await store.candidates(query("contract heron", dense=NORTH), EVERYTHING, limit=1)
    assert "rare" in {hit.passage.file_id for hit in hits}


async def test_words_can_be_weighed_anew_and_all_else_stays(store: VectorStore) -> None:
    one, two, three = point("an apple"), point("a heron", index=1, dense=NORTH), point("a pear", index=2)
    await store_all(store, [one, two, three])
    pelican = point("pelican").sparse
    await store.reweigh({one.passage.id: pelican, three.passage.id: SparseVector((), ())})
    scores = {hit.passage.chunk.text: hit for hit in await found(store, "pelican apple pear")}
    assert scores["an apple"].lexical > 0 == scores["a pear"].lexical
    assert scores["an apple"].cosine == pytest.approx(1.0, abs=1e-3)
    assert scores["an apple"].passage == one.passage
    assert {hit.passage.chunk.text: hit.lexical > 0 for hit in await found(store, "apple heron")} == {
        "an apple": False,
        "a heron": True,
        "a pear": False,
    }
    assert len(await store.passages("file-1", version="v1")) == 3


async def test_words_of_many_passages_can_be_weighed_anew(store: VectorStore) -> None:
    made = [point("an apple", index=index) for index in range(150)]
    await store_all(store, made)
    await store.reweigh({each.passage.id: point("pelican").sparse for each in made})
    assert sum(hit.lexical > 0 for hit in await found(store, "pelican", limit=150)) == 150


async def test_what_was_written_is_there_when_the_store_opens_again(
    settings: Vectors, model_id: str, tmp_path: Path
) -> None:
    first = await open_vectors(settings, folder=tmp_path, model_id=model_id, dimension=DIMENSION)
    await store_all(first, [point("an apple")])
    await first.close()
    await first.close()
    again = await open_vectors(settings, folder=tmp_path, model_id=model_id, dimension=DIMENSION)
    assert await texts(again) == {"an apple"}
    await again.close()


async def test_each_model_has_vectors_of_its_own(
    settings: Vectors, store: VectorStore, tmp_path: Path, model_id: str
) -> None:
    await store_all(store, [point("an apple")])
    other = await open_vectors(settings, folder=tmp_path, model_id=model_id + "-v2", dimension=3)
    assert await other.count() == 0
    await other.close()


async def test_stores_are_listed_opened_by_their_name_and_dropped(
    settings: Vectors, store: VectorStore, model_id: str, tmp_path: Path
) -> None:
    await store_all(store, [point("an apple")])
    await store.close()
    name = store_name(model_id)
    assert Stored(name, DIMENSION) in await stored(settings, folder=tmp_path)
    again = await open_vectors(settings, folder=tmp_path, model_id="", dimension=DIMENSION, name=name)
    assert await texts(again) == {"an apple"}
    await again.close()
    for _ in range(2):
        await drop(settings, folder=tmp_path, name=name)
    assert name not in {each.name for each in await stored(settings, folder=tmp_path)}
    with pytest.raises(SetupError, match="no store of Ragline's"):
        await drop(settings, folder=tmp_path, name="../models")


async def test_another_dimension_than_the_stored_is_refused(settings: Vectors, model_id: str, tmp_path: Path) -> None:
    store = await open_vectors(settings, folder=tmp_path, model_id=model_id, dimension=DIMENSION)
    with pytest.raises(SetupError, match=r"have 4 dimensions.*makes 3"):
        await store.stage([point("short", dense=(1.0, 0.0, 0.0))], version="v1")
    with pytest.raises(SetupError, match=r"have 4 dimensions.*makes 5"):
        await store.candidates(query(dense=(1.0, 0.0, 0.0, 0.0, 0.0)), EVERYTHING, limit=1)
    await store.close()
    with pytest.raises(SetupError, match=r"have 4 dimensions.*makes 384"):
        await open_vectors(settings, folder=tmp_path, model_id=model_id, dimension=384)


async def test_readers_and_writers_work_at_the_same_time(store: VectorStore) -> None:
    async def write(number: int) -> None:
        for version in ("v1", "v2"):
            made = [
                point(f"{version} {index}", file_id=f"f{number}", index=index, version=version) for index in range(20)
            ]
            await store_all(store, made, version=version)
            await store.drop_stale(f"f{number}", keep=version)

    async def read() -> None:
        for _ in range(10):
            for hit in await found(store, "v1 v2"):
                assert hit.passage.file_id.startswith("f")

    await asyncio.gather(*(write(number) for number in range(4)), *(read() for _ in range(3)))
    assert await store.count() == 80
    for number in range(4):
        passages = await store.passages(f"f{number}", version="v2")
        assert [passage.chunk.text for passage in passages] == [f"v2 {index}" for index in range(20)]
