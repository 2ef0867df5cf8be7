"""A small set in BEIR's layout, evaluated with the packaged embedder: through the function and through the command."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ragline.cli import main
from ragline.config.settings import Chunking, Settings
from ragline.errors import BadInput
from ragline.retrieval.evaluation.index import READY, key_of
from ragline.retrieval.evaluation.run import run_beir
from ragline.retrieval.evaluation.sets import QuestionSet, read_set
from tests.evaluation.test_sets import beir_folder, jsonl
from tests.rerankers.loopback import Loopback
from tests.serving import served

CORPUS = [
    {
        "_id": "pompe",
        "title": "La pompe Zéphyr",
        "text": "La garantie de la pompe est de 27 mois à compter de l'achat.",
    },
    {"_id": "valve", "title": "The valve", "text": "The valve opens at nine bar and closes at four."},
    {"_id": "musée", "title": "Le musée", "text": "Le musée de Nordhaven est ouvert tous les jours sauf le mardi."},
    {
        "_id": "long",
        "title": "The archive",
        "text": "The archive keeps letters of the harbour. " * 60 + "Its code is ZP-8841.",
    },
    {"_id": "vide", "title": "", "text": ""},
]
QUERIES = [
    {"_id": "q1", "text": "Combien de temps dure la garantie ?"},
    {"_id": "q2", "text": "At what pressure does the valve open?"},
    {"_id": "q3", "text": "Quel jour le musée est-il fermé ?"},
    {"_id": "q4", "text": "ZP-8841"},
    {"_id": "q5", "text": "What does the empty document say?"},
]
QRELS = "q1\tpompe\t1\nq2\tvalve\t2\nq3\tmusée\t1\nq4\tlong\t1\nq5\tvide\t1\n"


def silent(what: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sets") / "été"
    return beir_folder(path, corpus=jsonl(CORPUS), queries=jsonl(QUERIES), qrels=QRELS)


@pytest.fixture(scope="module")
def chosen(folder: Path) -> QuestionSet:
    return read_set(folder)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Path:
    path = tmp_path_factory.mktemp("data")
    (path / "models").symlink_to(models_folder)
    return path


@pytest.fixture(scope="module")
def settings(data_dir: Path) -> Settings:
    return Settings(data_dir=data_dir)


async def test_the_right_documents_are_found_and_the_empty_one_is_not(chosen: QuestionSet, settings: Settings) -> None:
    told: set[str] = set()
    done = await run_beir(settings, chosen, [{}], progress=lambda what, *_: told.add(what))
    [one] = done.configurations
    assert told == {"embed", "calibrate", "ask"}
    assert one.main.tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert one.figure().mean == pytest.approx(0.8)
    assert list(one.values) == ["dense", "bm25", "fused", "answer"]
    assert one.values["bm25"][3].tolist() == [1.0] * 5  # the code is a word like any other
    assert len(one.embed_s) == len(one.search_s) == 5
    assert one.shown[0][0].label == "pompe"
    assert one.shown[0][0].text.startswith("La garantie")  # its title stands in the label
    assert int(done.about["passages"]) > 4  # the long one has several
    assert done.about["documents"] == "5"


async def test_a_second_run_embeds_and_stores_nothing(chosen: QuestionSet, settings: Settings) -> None:
    first = await run_beir(settings, chosen, [{}], progress=silent)
    told: set[str] = set()
    again = await run_beir(settings, chosen, [{}], progress=lambda what, *_: told.add(what))
    assert told == {"calibrate", "ask"}
    assert again.configurations[0].values["fused"].tolist() == first.configurations[0].values["fused"].tolist()


async def test_an_index_that_was_left_half_done_is_made_anew(chosen: QuestionSet, settings: Settings) -> None:
    await run_beir(settings, chosen, [{}], progress=silent)
    (settings.data_dir / "eval" / "index" / key_of(settings, chosen) / READY).unlink()
    told: set[str] = set()
    done = await run_beir(settings, chosen, [{}], progress=lambda what, *_: told.add(what))
    assert "embed" in told
    assert done.configurations[0].figure().mean == pytest.approx(0.8)
    told.clear()
    again = await run_beir(settings, chosen, [{}], progress=lambda what, *_: told.add(what), rebuild=True)
    assert "embed" in told
    assert again.about["passages"] == done.about["passages"]


async def test_two_configurations_answer_the_same_questions(chosen: QuestionSet, settings: Settings) -> None:
    sets = [{"retrieval.dense_weight": "0"}, {"retrieval.dense_weight": "1", "chunking.max_tokens": "64"}]
    done = await run_beir(settings, chosen, sets, progress=silent)
    words, meaning = done.configurations
    assert words.values["fused"].tolist() == words.values["bm25"].tolist()
    assert meaning.values["fused"][:, 0].tolist() == meaning.values["dense"][:, 0].tolist()
    assert (words.configuration.says["max_tokens"], meaning.configuration.says["max_tokens"]) == ("256", "64")
    assert words.embed_s == meaning.embed_s  # measured once


def test_the_key_changes_with_all_that_changes_passages(chosen: QuestionSet, settings: Settings) -> None:
    same = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"top_k": 3})})
    shorter = settings.model_copy(update={"chunking": Chunking(max_tokens=100)})
    other_k1 = settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"bm25_k1": 0.9})})
    keys = [key_of(one, chosen) for one in (settings, same, shorter, other_k1)]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert keys[0].startswith("été-")


async def test_a_setting_that_makes_no_difference_is_refused(chosen: QuestionSet, settings: Settings) -> None:
    with pytest.raises(BadInput, match=r"server\.port makes no difference to a beir set"):
        await run_beir(settings, chosen, [{"server.port": "1"}], progress=silent)
    with pytest.raises(BadInput, match=r"reranker\.api_key makes no difference"):
        await run_beir(settings, chosen, [{"reranker.api_key": "geheim"}], progress=silent)
    with pytest.raises(BadInput, match=r"chunking\.max_tokens: 'many' is not allowed: it takes a whole number"):
        await run_beir(settings, chosen, [{"chunking.max_tokens": "many"}], progress=silent)


async def test_a_reranker_has_a_row_and_what_it_did_not_do_is_counted(chosen: QuestionSet, settings: Settings) -> None:
    with served(Loopback()) as url:
        sets = [
            {"reranker.kind": "http", "reranker.url": f"{url.replace('//', '//ada:geheim@')}", "reranker.model": model}
            for model in ("words", "broken")
        ]
        done = await run_beir(settings, chosen, sets, progress=silent)
    by_words, broken = done.configurations
    assert (by_words.head, broken.head, by_words.notes) == ("reranked", "reranked", {})
    assert by_words.values["reranked"].shape == by_words.values["fused"].shape
    assert broken.values["reranked"].tolist() == broken.values["fused"].tolist()
    assert sum(broken.notes.values()) == 5
    assert all("fused order" in note for note in broken.notes)
    assert "geheim" not in str(by_words.configuration)


def evaluate(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["eval", *map(str, arguments)])


@pytest.mark.usefixtures("empty_machine")
def test_the_command_prints_a_table_and_a_report(folder: Path, data_dir: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = evaluate(
        folder, "--data-dir", data_dir, "--report", page, "--lang", "fr", "--against", "retrieval.fusion=rrf"
    )
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("été: 5 questions, 5 documents in ")
    assert lines[1].split() == ["nDCG@10", "recall@5", "recall@10", "recall@100", "MRR@10"]
    assert [line.split("  ")[0] for line in lines[2:11]] == [
        "dense A", "dense B", "BM25 A", "BM25 B", "fused A", "fused B", "fused + rerank", "in the answer A",
        "in the answer B",
    ]  # fmt: skip
    assert "no reranker is configured" in lines[8]
    assert "B is A with retrieval.fusion=rrf" in lines
    text = page.read_text(encoding="utf-8")
    assert '<html lang="fr">' in text
    assert "Ce que vaut la recherche · été" in text
    ET.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


@pytest.mark.usefixtures("empty_machine")
def test_the_exit_code_tells_whether_it_is_good_enough(folder: Path, data_dir: Path) -> None:
    good = evaluate(folder, "--data-dir", data_dir, "--fail-under", "0.8", "--json")
    assert good.exit_code == 0, good.stderr
    [entry] = json.loads(good.stdout)
    assert entry["rows"]["fused"]["nDCG@10"]["mean"] == pytest.approx(0.8)
    bad = evaluate(folder, "--data-dir", data_dir, "--fail-under", "0.85")
    assert bad.exit_code == 1
    assert "nDCG@10 is 0.8000: 0.0500 under the 0.85 of --fail-under" in bad.stderr
    assert "earlier: " in bad.stdout
    assert "earlier: " not in evaluate(folder, "--data-dir", data_dir, "--no-history").stdout


@pytest.mark.usefixtures("empty_machine")
def test_what_was_measured_is_printed_where_nothing_can_be_written(
    folder: Path, data_dir: Path, tmp_path: Path
) -> None:
    own = tmp_path / "data"
    (own / "eval" / "history.jsonl").mkdir(parents=True)
    (own / "models").symlink_to(data_dir / "models")
    done = evaluate(folder, "--data-dir", own)
    assert (done.exit_code, "0.8000" in done.stdout) == (1, True)
    assert "history.jsonl' cannot be written: Is a directory; --no-history does without it" in done.stderr
    done = evaluate(folder, "--data-dir", own, "--no-history", "--report", tmp_path / f"{'x' * 300}.html")
    assert (done.exit_code, "0.8000" in done.stdout) == (1, True)
    assert "x.html' cannot be written: File name too long" in done.stderr


@pytest.mark.usefixtures("empty_machine")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["absent"], "'absent': there is no such folder or file", id="absent"),
        pytest.param(["SET", "--set", "fusion"], "'fusion' sets nothing", id="no-pair"),
        pytest.param(
            ["SET", "--set", "retrieval.fusion=x"],
            "retrieval.fusion: 'x' is not allowed: it takes one of distribution, minmax, rrf",
            id="value",
        ),
        pytest.param(
            ["SET", "--set", "retrieval.top_k=abc", "--set", "retrieval.bm25_b=2"],
            "retrieval.top_k: 'abc' is not allowed: it takes a whole number, more than 0, at most 200\n"
            "ragline: retrieval.bm25_b: '2' is not allowed: it takes a number, at least 0, at most 1\n",
            id="two-values",
        ),
        pytest.param(
            ["SET", "--set", "retrieval.dense_weight=x"],
            "retrieval.dense_weight: 'x' is not allowed: it takes a number, at least 0, at most 1",
            id="number-or-none",
        ),
        pytest.param(
            ["SET", "--set", "retrieval.calibrate=maybe"],
            "retrieval.calibrate: 'maybe' is not allowed: it takes true or false",
            id="switch",
        ),
        pytest.param(
            ["SET", "--set", "retrieval.topk=5"],
            "there is no setting 'retrieval.topk'; did you mean retrieval.top_k?",
            id="misspelt",
        ),
        pytest.param(["SET", "--collection", "Été"], "--collection and --server are for golden sets", id="collection"),
        pytest.param(["SET", "--report", "/nowhere/x.html"], "there is no folder '/nowhere'", id="report"),
        pytest.param(["GOLDEN"], "no installation in", id="no-installation"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_a_line(
    folder: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "golden.csv").write_text("question,file\nOù ?,a.md\n", encoding="utf-8")
    known = {"SET": str(folder), "GOLDEN": "golden.csv"}
    done = evaluate(*(known.get(one, one) for one in arguments), "--data-dir", tmp_path / "data")
    assert done.exit_code == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
