"""What stands around the hits: as far as there is room, of the same file and sheet, exactly the document's text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragline import open_ragline
from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.retrieval.answer import Question, prepare
from ragline.retrieval.context import assemble
from ragline.retrieval.surroundings import SECTION_REACH, Kind, Order, widened
from ragline.types import Chunk, CollectionRef, Context, FileRecord, Hit, Passage, User

ADMIN = User("u", "u", "u@example.org", "admin")


def passage(index: int, text: str = "", *, file_id: str = "a", **more: Any) -> Passage:
    """A passage of five words; what stands before it in its file is as long."""
    text = text or f"Mot{index} deux trois quatre cinq."
    start = index * 40
    chunk = Chunk(index, text.ljust(39, "."), start, start + 39, more.pop("heading", "Titre"), None, "fr", **more)
    return Passage(f"{file_id}{index}", file_id, "v", "u", f"{file_id}.txt", chunk)


def words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def widen(
    hits: Sequence[Passage],
    near: Sequence[Passage],
    *,
    room: int = 100,
    kind: Kind = "window",
    order: Order = "score",
) -> Context:
    found = [Hit(one, 1 - rank / 10, 0.5) for rank, one in enumerate(hits)]
    context = assemble("?", found, max_tokens=1000, count_tokens=words)
    by_file: dict[str, dict[int, Passage]] = {}
    for one in near:
        by_file.setdefault(one.file_id, {})[one.chunk.index] = one
    return widened(context, by_file, max_tokens=room, kind=kind, order=order, count_tokens=words)


def shown(context: Context) -> list[tuple[int, list[str]]]:
    """The source and the first words of the passages in each text."""
    return [
        (one.number, [word for word in one.hit.passage.chunk.text.split() if word.startswith("Mot")])
        for one in context.shown
    ]


def test_a_hit_is_shown_between_its_neighbours_and_stays_itself_in_the_sources() -> None:
    context = widen([passage(5)], [passage(4), passage(6), passage(7)])
    assert shown(context) == [(1, ["Mot4", "Mot5", "Mot6"])]
    [one] = context.shown
    assert (one.hit.passage.chunk.start, one.hit.passage.chunk.end) == (160, 279)
    assert [hit.passage for source in context.sources for hit in source.hits] == [passage(5)]
    assert context.tokens == 15


def test_hits_come_first_then_neighbours_in_the_order_of_the_hits() -> None:
    near = [passage(n) for n in (1, 3, 8, 10)]
    hits = [passage(9), passage(2)]
    assert shown(widen(hits, near, room=10)) == [(1, ["Mot9"]), (1, ["Mot2"])]
    assert shown(widen(hits, near, room=15)) == [(1, ["Mot9", "Mot10"]), (1, ["Mot2"])]
    assert shown(widen(hits, near, room=24)) == [(1, ["Mot8", "Mot9", "Mot10"]), (1, ["Mot2"])]
    assert shown(widen(hits, near, room=30)) == [(1, ["Mot8", "Mot9", "Mot10"]), (1, ["Mot1", "Mot2", "Mot3"])]


def test_what_two_hits_have_between_them_joins_them_in_the_place_of_the_better() -> None:
    context = widen([passage(5, file_id="b"), passage(4), passage(2)], [passage(3), passage(1)])
    assert shown(context) == [(1, ["Mot5"]), (2, ["Mot1", "Mot2", "Mot3", "Mot4"])]


def test_order_is_by_score_or_as_in_the_documents() -> None:
    hits = [passage(9), passage(5, file_id="b"), passage(2)]
    assert shown(widen(hits, [])) == [(1, ["Mot9"]), (2, ["Mot5"]), (1, ["Mot2"])]
    assert shown(widen(hits, [], order="document")) == [(1, ["Mot2"]), (1, ["Mot9"]), (2, ["Mot5"])]


@pytest.mark.parametrize("other", [{"member": "b.pdf"}, {"sheet": "Été"}])
def test_nothing_is_taken_of_another_file_inside_or_another_sheet(other: Mapping[str, Any]) -> None:
    for kind in ("window", "parent"):
        context = widen([passage(5)], [passage(4, **other), passage(6, **other)], kind=kind)
        assert shown(context) == [(1, ["Mot5"])]
    assert shown(widen([passage(5), passage(6, **other)], [])) == [(1, ["Mot5"]), (1, ["Mot6"])]


def test_a_parent_is_the_whole_section_or_nothing_of_it() -> None:
    section = [passage(n, heading="Titre › Deux") for n in (4, 5, 6, 7)]
    around = [passage(3), *section, passage(8)]
    assert shown(widen([section[1]], around, kind="parent", room=20)) == [(1, ["Mot4", "Mot5", "Mot6", "Mot7"])]
    assert shown(widen([section[1]], around, kind="parent", room=19)) == [(1, ["Mot5"])]
    assert shown(widen([section[1], section[2]], around, kind="parent", room=20)) == [
        (1, ["Mot4", "Mot5", "Mot6", "Mot7"])
    ]


def test_a_section_whose_end_is_not_known_and_one_without_a_heading_are_not_taken() -> None:
    long = [passage(n) for n in range(1, SECTION_REACH + 1)]
    assert shown(widen([passage(0)], long, kind="parent", room=999)) == [(1, ["Mot0"])]
    assert len(shown(widen([passage(0)], long[:-1], kind="parent", room=999))[0][1]) == SECTION_REACH
    blank = [replace(one, chunk=replace(one.chunk, heading="")) for one in long[:2]]
    assert shown(widen([blank[0]], blank[1:], kind="parent", room=999)) == [(1, ["Mot1"])]


def test_pages_cells_and_headings_of_a_joined_text_are_those_of_all_of_it() -> None:
    one = passage(1, heading="A › B", kind="table", cells="A2:C4", html="<table/>", lead="Ville | Prix")
    two = passage(2, heading="A › C", kind="table", cells="A5:C9")
    one, two = (replace(each, chunk=replace(each.chunk, page=n, page_end=n + 1)) for each, n in ((one, 3), (two, 4)))
    [both] = widen([two], [one]).shown
    chunk = both.hit.passage.chunk
    assert (chunk.page, chunk.page_end, chunk.heading, chunk.cells) == (3, 5, "A", "A2:C9")
    assert (chunk.lead, chunk.html, both.hit.passage.id) == ("Ville | Prix", None, "a2")


@pytest.fixture
def folder(tmp_path: Path, models_folder: Path) -> Path:
    (tmp_path / "models").symlink_to(models_folder)
    return tmp_path


REPORT = "\n\n".join(
    [
        "# Rapport",
        *(
            f"## Chapitre {n}\n\n"
            + " ".join(
                f"Le canal numéro {n}{k} mesure {n * 100 + k} mètres, d'après l'ingénieur Lefèvre." for k in range(40)
            )
            for n in range(1, 5)
        ),
        "## Écluses\n\nL'écluse de Rogny a sept sas. Elle fut achevée en 1642.",
    ]
)


async def shown_of(app: App, collection: str, question: str, **settings: Any) -> Context:
    retrieval = app.settings.retrieval.model_copy(update={"top_k": 2, "context_tokens": 4000, **settings})
    tuned = replace(app, settings=app.settings.model_copy(update={"retrieval": retrieval}))
    asked = Question("extractive", [{"role": "user", "content": question}], [CollectionRef(collection)])
    return (await prepare(tuned, asked, ADMIN)).context


async def test_of_real_documents_the_text_is_theirs_to_the_character(folder: Path) -> None:
    (folder / "rapport.md").write_text(REPORT, encoding="utf-8")
    settings = {"prefect.enabled": False, "chunking.max_tokens": 64, "chunking.overlap_tokens": 16}
    async with open_ragline(folder, **settings) as rag:
        files: list[FileRecord] = await rag.ingest(folder / "rapport.md", collection="été")
        text = (await rag.app.blobs.get(text_key(files[0].id, files[0].version or ""))).decode()
        collection = (await rag.collection("été")).id
        sizes = {}
        for kind in ("none", "window", "parent"):
            context = await shown_of(rag.app, collection, "Combien mesure le canal numéro 212 ?", surroundings=kind)
            for one in context.shown:
                chunk = one.hit.passage.chunk
                assert chunk.text == text[chunk.start : chunk.end]
            assert sum(len(source.hits) for source in context.sources) == 2
            assert context.tokens == sum(rag.count_tokens([one.hit.passage.chunk.text for one in context.shown]))
            sizes[kind] = context.tokens
        assert sizes["none"] < sizes["window"] < sizes["parent"] < 4000
        [chapter] = context.shown
        assert chapter.hit.passage.chunk.text.count("canal numéro 2") == 40
        assert "canal numéro 3" not in chapter.hit.passage.chunk.text
        tight = await shown_of(rag.app, collection, "Combien mesure le canal numéro 212 ?", context_tokens=130)
        assert tight.tokens <= 130
