"""Golden sets: a table of questions and where their answers stand, written by people, in CSV, TSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from ragline.errors import BadInput, TooLarge
from ragline.pipelines.readers.text.encoding import decode
from ragline.pipelines.readers.text.separated import delimiter_of
from ragline.retrieval.evaluation.sets import Asked, Place, QuestionSet, fingerprint_of, printable, refuse

MAX_BYTES = 64 << 20
MAX_QUESTIONS = 20_000
MAX_QUESTION_CHARS = 8000
MAX_SNIPPET_CHARS = 4000

COLUMNS: Mapping[str, str] = {
    "question": "question",
    "query": "question",
    "file": "file",
    "filename": "file",
    "fichier": "file",
    "document": "file",
    "page": "page",
    "snippet": "snippet",
    "passage": "snippet",
    "extrait": "snippet",
    "collection": "collection",
    "id": "id",
    "identifiant": "id",
}
"""What columns may be called, in lower case without accents, and what they are."""

HINT = "the columns are question and file (fichier), and page, snippet (extrait), collection, id where you have them"


def read_golden(path: Path) -> QuestionSet:
    """Return the set in a file. Rows of the same id, else of the same question, are one question with several places.

    Raises BadInput with the numbers of the lines that cannot be read, TooLarge over MAX_BYTES or MAX_QUESTIONS.
    """
    if path.stat().st_size > MAX_BYTES:
        raise TooLarge(f"{path.name}: larger than {MAX_BYTES >> 20} MiB; split it into several sets")
    text = decode(path.read_bytes())
    problems: list[str] = []
    given = json_rows(text, problems) if is_json(path, text) else table_rows(path, text)
    asked: dict[tuple[str, str | None], tuple[str, list[Place]]] = {}
    for line, row in given:
        if problem := problem_of(row):
            problems.append(f"line {line}: {problem}")
            continue
        key = (row["id"] or row["question"], row["collection"] or None)
        place = Place(row["file"], int(row["page"]) if row["page"] else None, row["snippet"])
        question, places = asked.setdefault(key, (row["question"], []))
        if question != row["question"]:
            problems.append(f"line {line}: the id {row['id']!r} came before with another question")
        elif place not in places:
            places.append(place)
        if len(asked) > MAX_QUESTIONS:
            raise TooLarge(f"{path.name}: more than {MAX_QUESTIONS} questions; split it into several sets")
    refuse(path, problems)
    if not asked:
        raise BadInput(f"{path.name}: there are no questions in it; {HINT}")
    questions = [
        Asked(id, question, dict.fromkeys((place.label for place in places), 1), places, collection)
        for (id, collection), (question, places) in asked.items()
    ]
    return QuestionSet(path.stem, "golden", questions, fingerprint_of(questions))


def is_json(path: Path, text: str) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson", ".json") or text.lstrip().startswith("{")


def table_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the rows of a CSV or TSV file by the meaning of their columns, with the numbers of their lines.

    Raises BadInput where the first line does not name the columns.
    """
    csv.field_size_limit(max(MAX_BYTES, csv.field_size_limit()))
    quoting: Literal[0, 3] = (
        csv.QUOTE_MINIMAL if text.count('"') % 2 == 0 else csv.QUOTE_NONE
    )  # one unclosed would swallow the rest
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), quoting=quoting)
    try:
        first = next(reader, [])
        columns = [COLUMNS.get(plain(title)) for title in first]
        if "question" not in columns or not {"file", "snippet"} & set(columns):
            raise BadInput(f"{path.name}: the first line is {', '.join(first)[:200]!r}; it must name columns: {HINT}")
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                row = dict.fromkeys(COLUMNS.values(), "")
                row |= {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name}
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(f"{path.name}, line {reader.line_num}: {error}") from error


def json_rows(text: str, problems: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the objects of JSON Lines by the meaning of their keys, and note lines that are none."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            problems.append(f"line {number}: is not JSON: {error}"[:300])
            continue
        if not isinstance(fields, dict) or not all(isinstance(each, str | int | None) for each in fields.values()):
            problems.append(f"line {number}: is no JSON object of texts and numbers; {HINT}")
            continue
        row = dict.fromkeys(COLUMNS.values(), "")
        row |= {
            name: printable(str(value)).strip()
            for key, value in fields.items()
            if value is not None and (name := COLUMNS.get(plain(key)))
        }
        yield number, row


def plain(title: str) -> str:
    """Return the title of a column in lower case, without accents and blanks."""
    apart = unicodedata.normalize("NFKD", title.strip().strip("\ufeff").casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


def problem_of(row: Mapping[str, str]) -> str | None:
    """Return what is wrong with a row, None where nothing is."""
    if not row["question"]:
        return "the question is empty"
    if not row["file"] and not row["snippet"]:
        return "neither a file nor a snippet: nothing tells a right answer from a wrong one"
    if row["page"] and not (row["page"].isdecimal() and len(row["page"]) < 7 and int(row["page"]) > 0):
        return f"page {row['page'][:40]!r} is no number from 1"
    if len(row["question"]) > MAX_QUESTION_CHARS:
        return f"the question is longer than {MAX_QUESTION_CHARS} characters"
    if len(row["snippet"]) > MAX_SNIPPET_CHARS:
        return f"the snippet is longer than {MAX_SNIPPET_CHARS} characters; a sentence or two are enough"
    return None
