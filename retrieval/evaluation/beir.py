"""Sets in BEIR's layout: corpus.jsonl, queries.jsonl, judgments in qrels.tsv or qrels/test.tsv; plain or .gz."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from ragline.errors import BadInput, NotFound, TooLarge
from ragline.retrieval.evaluation.sets import (
    Asked,
    Document,
    Note,
    QuestionSet,
    fingerprint_of,
    printable,
    refuse,
    some,
)

MAX_DOCUMENTS = 500_000
MAX_LINE_BYTES = 16 << 20
QRELS = ("qrels.tsv", "qrels/test.tsv", "qrels/dev.tsv", "qrels/train.tsv")
"""Where judgments lie; the first that is there counts."""


def read_beir(folder: Path) -> QuestionSet:
    """Return the set in a folder; only questions with a relevant document count.

    Raises NotFound naming the file that is missing, BadInput for lines that cannot be read and for a set without
    questions, TooLarge over MAX_DOCUMENTS.
    """
    documents = read_corpus(found(folder, "corpus.jsonl"))
    queries = read_queries(found(folder, "queries.jsonl"))
    judged = read_qrels(found(folder, *QRELS))
    notes = []
    if lacking := sorted({query for query in judged if query not in queries}):
        notes.append(Note("lacking", {"count": str(len(lacking)), "named": some(lacking)}))
    known = {document.id for document in documents}
    relevant = {query: {one: gain for one, gain in gains.items() if gain > 0} for query, gains in judged.items()}
    gone = sorted({one for gains in relevant.values() for one in gains if one not in known})
    if gone:
        notes.append(Note("gone", {"count": str(len(gone)), "named": some(gone)}))
    questions = [Asked(id, text, relevant[id]) for id, text in queries.items() if relevant.get(id)]
    if unjudged := len(queries) - len(questions):
        notes.append(Note("unjudged", {"count": str(unjudged)}))
    if not questions:
        raise BadInput(f"{folder.name}: no question of queries.jsonl has a relevant document in the judgments")
    return QuestionSet(
        name=folder.resolve().name,
        kind="beir",
        questions=questions,
        fingerprint=fingerprint_of(questions),
        documents=documents,
        corpus=fingerprint_of_documents(documents),
        notes=notes,
    )


def found(folder: Path, *names: str) -> Path:
    """Return the first of these files that is there, plain or compressed. Raises NotFound."""
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise NotFound(
        f"{str(folder)!r} is no set in BEIR's layout: {' or '.join(names[:2])} is missing (.gz would do); "
        "a set of your own is a CSV or JSONL file with the columns question and file"
    )


def read_corpus(path: Path) -> list[Document]:
    documents: dict[str, Document] = {}
    problems: list[str] = []
    for number, fields in records(path, problems):
        id, title, text = id_of(fields), fields.get("title") or "", fields.get("text") or ""
        if not (id and isinstance(title, str) and isinstance(text, str)):
            problems.append(f"line {number}: needs _id and text, both texts; title may be left out")
        elif id in documents:
            problems.append(f"line {number}: the _id {id!r} came before")
        else:
            documents[id] = Document(id, printable(title), printable(text))
        if len(documents) > MAX_DOCUMENTS:
            raise TooLarge(f"{path.name}: more than {MAX_DOCUMENTS} documents; evaluate on a part of them")
    refuse(path, problems)
    if not documents:
        raise BadInput(f"{path.name}: there are no documents in it")
    return list(documents.values())


def read_queries(path: Path) -> dict[str, str]:
    queries: dict[str, str] = {}
    problems: list[str] = []
    for number, fields in records(path, problems):
        id, text = id_of(fields), fields.get("text")
        if not (id and isinstance(text, str) and text.strip()):
            problems.append(f"line {number}: needs _id and text, both texts that are not empty")
        elif id in queries:
            problems.append(f"line {number}: the _id {id!r} came before")
        else:
            queries[id] = printable(text)
    refuse(path, problems)
    return queries


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    """Return the relevance of documents by question: `query-id corpus-id score`, or trec_eval's four columns."""
    judged: dict[str, dict[str, int]] = {}
    problems: list[str] = []
    for number, line in lines(path, problems):
        cells = line.split("\t") if "\t" in line else line.split()
        try:
            query, document, score = (cells[0], cells[-2], float(cells[-1])) if len(cells) in (3, 4) else ("", "", 0.5)
        except ValueError:
            if number == 1:
                continue  # the titles of the columns
            score = 0.5
        if score % 1 or not query or not document:  # nan and inf, too
            problems.append(f"line {number}: needs a question, a document and a whole number, with tabs in between")
        else:
            judged.setdefault(query, {})[document] = int(score)
    refuse(path, problems)
    return judged


def id_of(fields: Mapping[str, object]) -> str:
    """Return the id of a line, "" for none; numbers are taken as they are written."""
    id = fields.get("_id")
    return str(id) if isinstance(id, str | int) and not isinstance(id, bool) else ""


def records(path: Path, problems: list[str]) -> Iterator[tuple[int, dict[str, object]]]:
    """Give the objects of a JSON Lines file with their line numbers, and note what is none."""
    for number, line in lines(path, problems):
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number}: is not JSON: {error}"[:300])
            continue
        if isinstance(fields, dict):
            yield number, fields
        else:
            problems.append(f"line {number}: is no JSON object")


def lines(path: Path, problems: list[str]) -> Iterator[tuple[int, str]]:
    """Give the lines of a file that are not blank, with their numbers; what is no UTF-8 is noted."""
    with opened(path) as file:
        number = 0
        while True:
            try:
                line = file.readline(MAX_LINE_BYTES + 1)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise BadInput(f"{path.name}, after line {number}: the compressed data is damaged: {error}") from error
            if not line:
                return
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise TooLarge(f"{path.name}, line {number}: longer than {MAX_LINE_BYTES >> 20} MiB")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                problems.append(f"line {number}: is not UTF-8")
                continue
            if text:
                yield number, text


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for its bytes, unpacked."""
    with path.open("rb") as raw:
        if path.suffix != ".gz":
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked:
            yield cast("IO[bytes]", unpacked)


def fingerprint_of_documents(documents: list[Document]) -> str:
    digest = hashlib.sha256()
    for one in documents:
        digest.update(repr((one.id, one.title, one.text)).encode())
    return digest.hexdigest()[:16]
