"""The runs of the past, a line of JSON each in the data folder, so that one sees whether retrieval got better."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from os import SEEK_END
from pathlib import Path
from typing import IO, Annotated

from pydantic import BaseModel, Field, ValidationError

from ragline.app import prepare_folder
from ragline.errors import SetupError
from ragline.retrieval.evaluation.metrics import MAIN, METRICS, percentiles
from ragline.retrieval.evaluation.results import Evaluation, Figure, Row
from ragline.types import Json

log = logging.getLogger(__name__)

FILE = Path("eval") / "history.jsonl"
MOST_BYTES = 8 << 20
"""A longer history loses its older half: some 4,000 runs stay."""
LAST_SECOND = 1e11
"""Later times, in the year 5138, are mistakes; those of no year at all cannot be shown."""


@dataclass(frozen=True, slots=True)
class Run:
    """One configuration of a run of the past: nDCG@10 of the row that stands for it."""

    at: float
    version: str
    row: str
    figure: Figure
    overrides: Mapping[str, str]


def keep(data_dir: Path, evaluation: Evaluation) -> None:
    """Add a run, a line for each configuration. Raises SetupError where they cannot be written."""
    path = prepare_folder(data_dir) / FILE
    try:
        path.parent.mkdir(exist_ok=True, mode=0o700)
        shorten(path)
        lines = "".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries(evaluation))
        with path.open("ab+") as file:
            if file.tell() and last_byte(file) != b"\n":
                lines = f"\n{lines}"  # the end of a run that was killed as it wrote
            file.write(lines.encode("utf-8", "replace"))  # one write: runs that end together do not mix
    except OSError as error:
        raise SetupError(
            f"the run is not kept, {str(path)!r} cannot be written: {error.strerror}; --no-history does without it"
        ) from error


def last_byte(file: IO[bytes]) -> bytes:
    """Return the last byte of a file that has some."""
    file.seek(-1, SEEK_END)
    return file.read(1)


def entries(evaluation: Evaluation) -> Iterator[dict[str, Json]]:
    """Yield what is kept of each configuration, and printed as JSON."""
    chosen = evaluation.set
    for one in evaluation.configurations:
        yield {
            "at": round(evaluation.at, 3),
            "set": chosen.name,
            "kind": chosen.kind,
            "fingerprint": chosen.fingerprint,
            "corpus": chosen.corpus,
            "questions": len(chosen.questions),
            "about": dict(evaluation.about),
            "configuration": one.configuration.name,
            "overrides": dict(one.configuration.overrides),
            "says": dict(one.configuration.says),
            "head": one.head,
            "rows": {
                row: {name: asdict(figure) for name, figure in zip(METRICS, figures, strict=True)}
                for row, figures in one.figures.items()
            },
            "left_out": {str(row): why for row, why in one.left_out.items()},
            "notes": dict(one.notes),
            "embed_ms": dict(zip(("p50", "p95"), percentiles(one.embed_s), strict=True)),
            "search_ms": dict(zip(("p50", "p95"), percentiles(one.search_s), strict=True)),
        }


Part = Annotated[float, Field(ge=0, le=1)]


class Interval(BaseModel):
    mean: Part
    low: Part
    high: Part


class Kept(BaseModel):
    """What is read again of a line."""

    at: float = Field(ge=0, le=LAST_SECOND)
    set: str
    fingerprint: str
    corpus: str
    about: dict[str, str]
    overrides: dict[str, str]
    head: Row
    rows: dict[str, dict[str, Interval]]


def earlier(data_dir: Path, evaluation: Evaluation) -> list[Run]:
    """Return the runs on the same questions, documents and collection before this one, the oldest first.

    What cannot be read is passed over.
    """
    path = data_dir / FILE
    chosen, collection = evaluation.set, evaluation.about.get("collection")
    same = chosen.name, chosen.fingerprint, chosen.corpus, collection
    runs = []
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # there is none; what is another thing, `keep` says
        return []
    with StringIO(text) as file:
        for number, line in enumerate(file, start=1):
            try:
                kept = Kept.model_validate_json(line)
                before = kept.set, kept.fingerprint, kept.corpus, kept.about.get("collection")
                if before == same and kept.at < round(evaluation.at, 3):
                    figure = kept.rows[kept.head][MAIN]
                    said = Figure(figure.mean, figure.low, figure.high)
                    runs.append(Run(kept.at, kept.about.get("ragline", ""), kept.head, said, kept.overrides))
            except (ValidationError, KeyError):
                log.warning("line %d of the history of evaluations cannot be read", number)
    return runs


def shorten(path: Path) -> None:
    """Take away the older half of a history that is too long."""
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        unfinished = path.with_suffix(".part")
        unfinished.write_text("".join(lines[len(lines) // 2 :]), encoding="utf-8")
        unfinished.replace(path)
