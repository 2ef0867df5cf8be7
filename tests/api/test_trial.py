"""`POST /api/v1/retrieval/trial`, and golden sets asked of an installation: what each way to search finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from ragline.cli.evaluated import times_of
from ragline.errors import BadInput, NotFound
from ragline.retrieval.evaluation.asking import InProcess
from ragline.retrieval.evaluation.run import run_golden
from ragline.retrieval.evaluation.sets import read_set
from tests.api.desk import Desk, Person

PUMP = "The warranty period of the Zephyr pump is 27 months."
LIBRARY = "La bibliothèque de Nordhaven ouvre à 9 heures et ferme à 20 heures."


async def trial(who: Person, query: str, collection: str | None = None, **retrieval: str) -> httpx.Response:
    body: dict[str, Any] = {"query": query, "retrieval": retrieval}
    if collection is not None:
        body["collection_name"] = collection
    return await who.client.post("/api/v1/retrieval/trial", json=body)


def names(said: dict[str, Any], row: str) -> list[str]:
    return [said["passages"][number]["name"] for number in said["rows"][row]]


async def test_each_way_to_search_has_its_order(desk: Desk) -> None:
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    library = await desk.upload(desk.admin, "bibliothèque.txt", LIBRARY)
    both = await desk.collection(desk.admin, "both", pump, library)
    said = (await trial(desk.admin, "How long is the warranty?", both, min_relevance="0")).json()
    assert names(said, "dense") == ["pump.txt", "bibliothèque.txt"]
    assert names(said, "bm25") == ["pump.txt"]  # the other has no word of the question
    assert names(said, "fused") == names(said, "answer") == ["pump.txt", "bibliothèque.txt"]
    assert "reranked" not in said["rows"]
    assert said["passages"][0] == {"file_id": pump, "name": "pump.txt", "text": PUMP, "page": None, "page_end": None}
    assert said["says"] == {"dense_weight": "0.5", "fusion": "distribution"}
    assert said["embed_s"] > 0
    assert said["search_s"] > 0


async def test_a_question_whose_vector_is_known_does_not_count_among_the_times(desk: Desk, tmp_path: Path) -> None:
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    assert (await trial(desk.admin, "warranty of the pump")).json()["embed_s"] > 0
    again = (await trial(desk.admin, "warranty of the pump")).json()
    assert (again["embed_s"], again["search_s"] > 0) == (0, True)
    (tmp_path / "golden.csv").write_text(f"question,file\nwarranty of the pump,{pump}\nhow long?,{pump}\n", "utf-8")
    asked = [
        await run_golden(
            InProcess(desk.app, desk.admin.user),
            desk.app.settings,
            read_set(tmp_path / "golden.csv"),
            [{}],
            collection=None,
            progress=lambda *_: None,
        )
        for _ in range(2)
    ]
    first, second = (times_of(done.configurations[0]) for done in asked)
    assert "ms (1 of 2: the vectors of the others were known); search: p50" in first
    assert "embedding a question: not measured, all vectors were known; search: p50" in second


async def test_settings_count_for_one_search(desk: Desk) -> None:
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    library = await desk.upload(desk.admin, "library.txt", LIBRARY)
    both = await desk.collection(desk.admin, "both", pump, library)
    one = (await trial(desk.admin, "warranty", both, top_k="1", fusion="rrf", dense_weight="0.9")).json()
    assert (len(one["rows"]["answer"]), one["says"]) == (1, {"dense_weight": "0.9", "fusion": "rrf"})
    none = (await trial(desk.admin, "zebra crossing", both, min_relevance="1")).json()
    assert none["rows"]["answer"] == []
    assert desk.app.settings.retrieval.fusion == "distribution"


@pytest.mark.parametrize(
    ("retrieval", "said"),
    [
        pytest.param({"fusion": "magic"}, "retrieval.fusion", id="value"),
        pytest.param({"fushion": "rrf"}, "retrieval.fushion", id="name"),
        pytest.param({"dense_weight": "nan"}, "retrieval.dense_weight", id="nan"),
        pytest.param({"candidates": "1000000000"}, "retrieval.candidates", id="too-many"),
    ],
)
async def test_what_is_no_setting_is_refused_by_name(desk: Desk, retrieval: dict[str, str], said: str) -> None:
    answer = await trial(desk.admin, "warranty", **retrieval)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


async def test_nobody_finds_what_is_not_theirs(desk: Desk) -> None:
    ada, bob = await desk.person("ada"), await desk.person("bob")
    pump = await desk.upload(ada, "pump.txt", PUMP)
    pumps = await desk.collection(ada, "pumps", pump)
    assert (await trial(bob, "warranty", pumps)).status_code == 404
    everything = (await trial(bob, "warranty of the pump")).json()
    assert everything["passages"] == []
    own = (await trial(ada, "warranty of the pump")).json()
    assert names(own, "answer") == ["pump.txt"]
    nobody = await (await desk.client()).post("/api/v1/retrieval/trial", json={"query": "warranty"})
    assert nobody.status_code == 401


async def test_a_golden_set_is_judged_by_file_and_snippet(desk: Desk, tmp_path: Path) -> None:
    pump = await desk.upload(desk.admin, "pump.txt", PUMP)
    library = await desk.upload(desk.admin, "bibliothèque.txt", LIBRARY)
    await desk.collection(desk.admin, "both", pump, library)
    (tmp_path / "golden.csv").write_text(
        "question;fichier;extrait;collection\n"
        "How long is the warranty of the pump?;pump.txt;« 27 MONTHS »;both\n"
        "Quand ouvre la bibliothèque ?;Bibliothèque.txt;9 heures;\n"
        "Quand ouvre le musée ?;musée.txt;;both\n",
        encoding="cp1252",
    )
    chosen = read_set(tmp_path / "golden.csv")
    asker = InProcess(desk.app, desk.admin.user)
    told: list[tuple[str, int, int]] = []
    done = await run_golden(
        asker,
        desk.app.settings,
        chosen,
        [{}, {"retrieval.dense_weight": "1"}],
        collection=None,
        progress=lambda *one: told.append(one),
    )
    first, second = done.configurations
    assert first.main.tolist() == second.main.tolist() == [1.0, 1.0, 0.0]
    assert second.configuration.says["dense_weight"] == "1"
    assert dict(first.left_out) == {"reranked": "no_reranker"}
    assert [shown.right for shown in first.shown[0]] == [True, False]
    assert [(note.key, note.values["named"]) for note in done.notes] == [("no_file", "'musée.txt'")]
    assert told[-1] == ("ask B", 3, 3)


async def test_what_a_golden_set_cannot_be_asked_with_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "golden.csv").write_text("question,file\nOù ?,a.md\n", encoding="utf-8")
    chosen = read_set(tmp_path / "golden.csv")
    asker = InProcess(desk.app, desk.admin.user)

    async def ask(collection: str | None, **pairs: str) -> None:
        sets = [{f"{name.replace('__', '.')}": value for name, value in pairs.items()}]
        await run_golden(asker, desk.app.settings, chosen, sets, collection=collection, progress=lambda *_: None)

    with pytest.raises(BadInput, match=r"chunking\.max_tokens makes no difference to a golden set"):
        await ask(None, chunking__max_tokens="100")
    with pytest.raises(
        BadInput, match=r"retrieval\.dense_weight: '?[0-9.]+'? is not allowed: it takes a number, at least 0, at most 1"
    ):
        await ask(None, retrieval__dense_weight="2")
    with pytest.raises(NotFound, match="Absente"):
        await ask("Absente")
