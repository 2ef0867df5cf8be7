"""One step of a search: the best candidates are read, the others follow, and what did not work is said."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from ragline import open_ragline
from ragline.app import App
from ragline.config.settings import Reranker as Settings
from ragline.connectors.rerankers import open_reranker
from ragline.connectors.rerankers.guarded import Guarded
from ragline.retrieval.rerank import reranked
from ragline.types import Chunk, Hit, Passage

from .loopback import Loopback


def hit(number: int, text: str, score: float, *, heading: str = "", lead: str = "") -> Hit:
    chunk = Chunk(number, text, 0, len(text), heading, None, "fr", lead=lead)
    return Hit(Passage(f"p{number}", "f", "v", "u", "f.txt", chunk), score, 0.5)


class Asked:
    """The parts of an installation that this step needs."""

    def __init__(self, settings: Settings, reranker: Guarded | None) -> None:
        self.settings = SimpleNamespace(reranker=settings)
        self.reranker = reranker

    async def ranks(self, question: str, hits: Sequence[Hit]) -> tuple[list[tuple[str, float]], str]:
        ordered, note = await reranked(cast(App, self), question, hits)
        return [(found.passage.id, found.score) for found in ordered], note


@asynccontextmanager
async def asked(url: str, *, model: str = "words", timeout_s: float = 30) -> AsyncIterator[Asked]:
    settings = Settings(kind="http", url=url, model=model, candidates=3, timeout_s=timeout_s)
    opened = await open_reranker(settings)
    assert opened is not None
    guarded = Guarded(opened, timeout_s=timeout_s)
    yield Asked(settings, guarded)
    await guarded.close()


@pytest.fixture
async def app(loopback: Loopback) -> AsyncIterator[Asked]:
    async with asked(loopback.url) as made:
        yield made


HITS = [
    hit(0, "rien", 5.0),
    hit(1, "un été chaud", 4.0),
    hit(2, "un été à Nîmes", 3.0),
    hit(3, "un été à Nîmes aussi", 2.5),
    hit(4, "rien", 1.5),
]


async def test_the_best_are_ordered_anew_and_the_others_follow_below(app: Asked) -> None:
    ranks, note = await app.ranks("un été à Nîmes", HITS)
    assert ranks == [
        ("p2", 4.0),
        ("p1", 2.0),
        ("p0", 0.0),
        ("p3", pytest.approx(-0.001)),
        ("p4", pytest.approx(-1.001)),
    ]
    assert note == ""


async def test_equal_ones_keep_their_order(app: Asked) -> None:
    ranks, _ = await app.ranks("chaud", [HITS[0], HITS[2], HITS[1]])
    assert [name for name, _ in ranks] == ["p1", "p0", "p2"]


async def test_titles_and_leads_are_read_with_a_passage(app: Asked, loopback: Loopback) -> None:
    titled = [hit(0, "24 mois", 2.0, heading="Pompe › Garantie", lead="Pièce | Durée"), hit(1, "b\ud800", 1.0)]
    await app.ranks("Durée ?\ud800" + "x" * 10_000, titled)
    assert loopback.bodies[0]["documents"] == ["Pompe › Garantie\nPièce | Durée\n24 mois", "b?"]
    assert loopback.bodies[0]["query"] == "Durée ??" + "x" * 7992


async def test_one_hit_needs_no_reranker(app: Asked, loopback: Loopback) -> None:
    assert await app.ranks("été", HITS[:1]) == ([("p0", 5.0)], "")
    assert await app.ranks("été", []) == ([], "")
    assert await Asked(Settings(), None).ranks("été", HITS) == ([(f.passage.id, f.score) for f in HITS], "")
    assert loopback.bodies == []


@pytest.mark.parametrize(
    ("model", "why"),
    [
        pytest.param("hang", "the reranker did not answer in 0.2 s", id="slow"),
        pytest.param("broken", "the reranker failed", id="broken"),
        pytest.param("few", "the reranker failed", id="incomplete"),
        pytest.param("long", "the reranker cannot read this question with these passages", id="refused"),
    ],
)
async def test_without_scores_the_order_stays_and_the_user_is_told(loopback: Loopback, model: str, why: str) -> None:
    async with asked(loopback.url, model=model, timeout_s=0.2 if model == "hang" else 30) as app:
        ranks, note = await app.ranks("un été à Nîmes", HITS)
    assert ranks == [(found.passage.id, found.score) for found in HITS]
    assert note == f"{why}: passages are in their fused order"


@pytest.fixture
def data_dir(tmp_path: Path, models_folder: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_folder)
    for name, text in (("a", "La garantie dure 27 mois."), ("b", "La garantie de la pompe est exclue ici.")):
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")
    return tmp_path / "data"


@pytest.mark.parametrize("alive", [True, False])
async def test_a_search_of_an_installation_is_reranked_or_tells_why_not(
    data_dir: Path, loopback: Loopback, dead_url: str, alive: bool
) -> None:
    settings = {
        "prefect.enabled": False,
        "retrieval.min_relevance": 0,
        "reranker.kind": "http",
        "reranker.model": "words",
        "reranker.url": loopback.url if alive else dead_url,
    }
    async with open_ragline(data_dir, **settings) as rag:
        await rag.ingest(data_dir.parent / "a.txt", data_dir.parent / "b.txt", collection="été")
        found = await rag.retrieve("garantie de la pompe exclue", collection="été")
    assert [source.name for source in found.sources] == ["b.txt", "a.txt"]
    best = found.sources[0].hits[0]
    assert len(loopback.bodies) == (1 if alive else 0)
    assert (best.score == 5.0) == alive  # words in common
    assert found.notes == (() if alive else ("the reranker failed: passages are in their fused order",))
