"""Sets of questions are read as people and BEIR write them, and what is wrong in them is named by its line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ragline.errors import BadInput, NotFound, TooLarge
from ragline.retrieval.evaluation import beir
from ragline.retrieval.evaluation.sets import Place, QuestionSet, read_set

CORPUS = [{"_id": "d1", "title": "Été", "text": "La pompe."}, {"_id": "d2", "text": "The valve."}]
QUERIES = [{"_id": "q1", "text": "Quelle pompe ?"}, {"_id": "q2", "text": "Which valve?"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t2\n"


def jsonl(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def beir_folder(folder: Path, *, corpus: str = "", queries: str = "", qrels: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "corpus.jsonl").write_text(corpus or jsonl(CORPUS), encoding="utf-8")
    (folder / "queries.jsonl").write_text(queries or jsonl(QUERIES), encoding="utf-8")
    (folder / "qrels.tsv").write_text(qrels or QRELS, encoding="utf-8")
    return folder


def notes_of(chosen: QuestionSet) -> dict[str, str]:
    return {note.key: note.values["count"] for note in chosen.notes}


def test_a_folder_of_beir_is_read(tmp_path: Path) -> None:
    chosen = read_set(beir_folder(tmp_path / "pumps"))
    assert (chosen.name, chosen.kind, chosen.notes) == ("pumps", "beir", [])
    assert [(one.id, one.title, one.text) for one in chosen.documents] == [
        ("d1", "Été", "La pompe."),
        ("d2", "", "The valve."),
    ]
    assert {one.id: dict(one.wanted) for one in chosen.questions} == {"q1": {"d1": 1}, "q2": {"d2": 2}}


def test_compressed_files_and_the_folder_of_judgments_are_read_too(tmp_path: Path) -> None:
    plain = read_set(beir_folder(tmp_path / "plain"))
    packed = tmp_path / "packed"
    (packed / "qrels").mkdir(parents=True)
    for name, text in (("corpus.jsonl", jsonl(CORPUS)), ("queries.jsonl", jsonl(QUERIES)), ("qrels/test.tsv", QRELS)):
        (packed / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    chosen = read_set(packed)
    assert (chosen.questions, chosen.documents) == (plain.questions, plain.documents)
    assert (chosen.fingerprint, chosen.corpus) == (plain.fingerprint, plain.corpus)


def test_four_columns_of_trec_eval_are_judgments_too(tmp_path: Path) -> None:
    chosen = read_set(beir_folder(tmp_path / "trec", qrels="q1 0 d1 1\nq2 0 d2 0\n"))
    assert [one.id for one in chosen.questions] == ["q1"]


def test_ids_that_are_nowhere_are_counted_and_named(tmp_path: Path) -> None:
    qrels = "q1\td1\t1\nq1\tgone\t1\nq9\td2\t1\nq2\td2\t0\n"
    chosen = read_set(beir_folder(tmp_path / "holes", qrels=qrels))
    assert notes_of(chosen) == {"gone": "1", "lacking": "1", "unjudged": "1"}
    assert "'gone'" in next(note.values["named"] for note in chosen.notes if note.key == "gone")
    assert dict(chosen.questions[0].wanted) == {"d1": 1, "gone": 1}  # trec_eval counts it


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"corpus": "{"}, "corpus.jsonl, line 1: is not JSON", id="no-json"),
        pytest.param({"corpus": '{"_id": "a", "text": 3}\n'}, "corpus.jsonl, line 1: needs _id and text", id="number"),
        pytest.param({"corpus": "[1]\n"}, "corpus.jsonl, line 1: is no JSON object", id="list"),
        pytest.param({"corpus": jsonl([CORPUS[0], CORPUS[0]])}, "line 2: the _id 'd1' came before", id="twice"),
        pytest.param({"queries": '\n{"_id": "q1", "text": " "}\n'}, "queries.jsonl, line 2: needs", id="blank"),
        pytest.param({"qrels": "a\tb\tc\nq1\td1\tmuch\n"}, "qrels.tsv, line 2: needs a question", id="no-number"),
        pytest.param({"qrels": "a\tb\tc\nq1\td1\t0.5\n"}, "qrels.tsv, line 2: needs a question", id="half"),
        pytest.param({"qrels": "a\tb\tc\nq1\td1\tnan\n"}, "qrels.tsv, line 2: needs a question", id="nan"),
        pytest.param({"qrels": "a\tb\tc\nq1 d1\n"}, "qrels.tsv, line 2: needs a question", id="two-columns"),
        pytest.param({"qrels": "q1\td1\t0\n"}, "no question of queries.jsonl has a relevant document", id="nothing"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, files: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said.replace(".", r"\.")):
        read_set(beir_folder(tmp_path / "bad", **files))


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as raised:
        read_set(beir_folder(tmp_path / "bad", corpus="{\n" * 9))
    assert len(str(raised.value).splitlines()) == 6
    assert str(raised.value).endswith("corpus.jsonl: and 4 more such lines")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (beir_folder(tmp_path / "set") / "qrels.tsv").unlink()
    with pytest.raises(NotFound, match=r"qrels\.tsv or qrels/test\.tsv is missing"):
        read_set(tmp_path / "set")
    with pytest.raises(NotFound, match="no such folder or file"):
        read_set(tmp_path / "absent")


def test_damaged_compression_and_too_many_documents_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = beir_folder(tmp_path / "set")
    monkeypatch.setattr(beir, "MAX_DOCUMENTS", 1)
    with pytest.raises(TooLarge, match="more than 1 documents"):
        read_set(folder)
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(jsonl(CORPUS).encode())[:-12])
    with pytest.raises(BadInput, match="the compressed data is damaged"):
        read_set(folder)


def test_a_sample_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    queries = [{"_id": f"q{number}", "text": "?"} for number in range(50)]
    qrels = "".join(f"q{number}\td1\t1\n" for number in range(50))
    whole = read_set(beir_folder(tmp_path / "many", queries=jsonl(queries), qrels=qrels))
    first, again, other = whole.sampled(5, 1), whole.sampled(5, 1), whole.sampled(5, 2)
    assert len(first.questions) == 5
    assert [one.id for one in first.questions] == sorted(
        (one.id for one in first.questions), key=lambda id: int(id[1:])
    )
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert whole.sampled(500, 1) is whole


GOLDEN = 'question;fichier;page;extrait\n"Quelle garantie ?";garantie.pdf;2;"27 mois ; à l\'achat"\nEt où ?;lieu.md;;\n'
PLACES = [[Place("garantie.pdf", 2, "27 mois ; à l'achat")], [Place("lieu.md")]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("set.csv", GOLDEN.encode(), id="utf-8"),
        pytest.param("set.csv", GOLDEN.encode("cp1252"), id="windows"),
        pytest.param("set.csv", GOLDEN.encode("utf-8-sig"), id="mark"),
        pytest.param("set.csv", GOLDEN.encode("utf-16"), id="utf-16"),
        pytest.param("set.csv", GOLDEN.replace("\n", "\r\n").encode(), id="line-ends"),
        pytest.param(
            "set.tsv",
            "Question\tFILE\tPage\tSnippet\nQuelle garantie ?\tgarantie.pdf\t2\t27 mois ; à l'achat\n"
            "Et où ?\tlieu.md\t\t\n".encode(),
            id="tabs",
        ),
        pytest.param(
            "set.jsonl",
            jsonl(
                [
                    {"query": "Quelle garantie ?", "file": "garantie.pdf", "page": 2, "snippet": "27 mois ; à l'achat"},
                    {"question": "Et où ?", "fichier": "lieu.md", "page": None},
                ]
            ).encode(),
            id="json-lines",
        ),
    ],
)
def test_a_golden_set_is_read_as_people_write_it(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    chosen = read_set(tmp_path / name)
    assert (chosen.name, chosen.kind) == ("set", "golden")
    assert [one.text for one in chosen.questions] == ["Quelle garantie ?", "Et où ?"]
    assert [list(one.places) for one in chosen.questions] == PLACES


def test_what_no_server_can_be_asked_becomes_what_it_can(tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text('{"question": "Où \\ud800 est-ce ?", "file": "a\\u0000.md"}', encoding="utf-8")
    [asked] = read_set(path).questions
    assert (asked.text, asked.places) == ("Où ? est-ce ?", [Place("a .md")])


def test_rows_of_one_question_are_several_places(tmp_path: Path) -> None:
    rows = "id,question,file,collection\n1,Où ?,a.md,Été\n1,Où ?,b.md,Été\n2,Où ?,c.md,\n2,Où ?,c.md,\n"
    (tmp_path / "set.csv").write_text(rows, encoding="utf-8")
    first, second = read_set(tmp_path / "set.csv").questions
    assert (dict(first.wanted), first.collection) == ({"a.md": 1, "b.md": 1}, "Été")
    assert (dict(second.wanted), second.collection) == ({"c.md": 1}, None)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("frage,datei\nWo?,a.md\n", "the first line is 'frage, datei'; it must name columns", id="titles"),
        pytest.param("question,file\n,a.md\n", "line 2: the question is empty", id="empty"),
        pytest.param("question,file,snippet\nOù ?,,\n", "line 2: neither a file nor a snippet", id="nowhere"),
        pytest.param("question,file,page\nOù ?,a.md,ii\n", "line 2: page 'ii' is no number from 1", id="page"),
        pytest.param('question,file\n"Où\nça ?",a.md\n,b.md\n', "line 4: the question is empty", id="line-numbers"),
        pytest.param("id,question,file\n1,Où ?,a\n1,Qui ?,a\n", "line 3: the id '1' came before", id="two-questions"),
        pytest.param('{"question": "Où ?"}\n', "line 1: neither a file nor a snippet", id="json-nowhere"),
        pytest.param('{"question": "Où ?"\n', "line 1: is not JSON", id="json"),
        pytest.param('{"question": ["Où ?"]}\n', "line 1: is no JSON object of texts", id="json-list"),
        pytest.param(f"question,file\n{'o' * 8001},a\n", "longer than 8000 characters", id="long"),
        pytest.param("question,file\n", "there are no questions in it", id="none"),
        pytest.param("", "it must name columns", id="nothing"),
    ],
)
def test_a_row_that_says_too_little_is_named(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "set.csv").write_text(content, encoding="utf-8")
    with pytest.raises(BadInput) as raised:
        read_set(tmp_path / "set.csv")
    assert said in str(raised.value)
