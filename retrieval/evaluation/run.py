"""A set of questions is asked in one configuration or two, and what was found is judged."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ragline import __version__
from ragline.config.masking import masked_url
from ragline.config.settings import Retrieval, Settings
from ragline.connectors.vectors.protocol import Query
from ragline.errors import BadInput
from ragline.retrieval.evaluation.asking import Asker, Tried
from ragline.retrieval.evaluation.calibration import tuned
from ragline.retrieval.evaluation.choices import overridden
from ragline.retrieval.evaluation.index import PUBLISHED, Progress, key_of, open_index
from ragline.retrieval.evaluation.matching import Seen, fits, is_file, ranking
from ragline.retrieval.evaluation.metrics import DEPTH
from ragline.retrieval.evaluation.results import Configuration, Evaluation, Measured, Row, Shown, Trial, measured
from ragline.retrieval.evaluation.searching import NO_RERANKER, Searched, embedded, files_in, search_index
from ragline.retrieval.evaluation.sets import Asked, Note, Place, QuestionSet, some
from ragline.retrieval.plan import planned
from ragline.types import Hit

Pairs = Mapping[str, str]

LOOKED_UP = 200
"""Files that no search found and that are looked for, at most."""
WARM = "warm"
"""Asked before anything is measured."""
NAMES = ("A", "B")
SHOWN = 3
"""Results that a report shows of a question."""
SHOWN_CHARS = 280
HEADS: Sequence[Row] = ("reranked", "fused")
"""The row whose first results are shown: the first of these that is there."""


async def run_beir(
    settings: Settings,
    chosen: QuestionSet,
    sets: Sequence[Pairs],
    *,
    progress: Progress,
    rebuild: bool = False,
) -> Evaluation:
    """Evaluate a BEIR set in each configuration, given by what it sets otherwise than the settings.

    Raises BadInput for what cannot be set, and as `open_index`.
    """
    changed = [overridden(settings, pairs, kind="beir") for pairs in sets]
    known: dict[tuple[str, str], tuple[Query | None, float]] = {}
    found: list[Measured] = []
    about: dict[str, str] = {}
    built: set[str] = set()
    for name, pairs, own in zip(names(sets), sets, changed, strict=True):
        key = key_of(own, chosen)
        async with open_index(own, chosen, progress=progress, rebuild=rebuild and key not in built) as app:
            built.add(key)
            await app.embedder.embed_query(WARM)
            progress("calibrate", 0, 1)
            ids = [document.id for document in chosen.documents]
            plan = planned(own.retrieval, await tuned(app, ids, version=PUBLISHED))
            trials = []
            for number, question in enumerate(chosen.questions, start=1):
                asked = app.embedder.model_id, question.text
                if asked not in known:
                    known[asked] = await embedded(app, question.text)
                query, embed_s = known[asked]
                if query is None:
                    raise BadInput(f"the question {question.id!r} is blank")
                trials.append(trial_of(await search_index(app, question.text, query, plan), question, embed_s))
                progress(f"ask {name}".strip(), number, len(chosen.questions))
            says = settings_said(own.retrieval, f"{plan.dense_weight:g}") | {
                "model": app.embedder.model_id,
                "max_tokens": f"{own.chunking.max_tokens}",
                "reranker": own.reranker.model or own.reranker.kind,
            }
            about = {"model": app.embedder.model_id, "passages": str(await app.vectors.count())}
        left_out: dict[Row, str] = {"reranked": NO_RERANKER}
        found.append(
            await asyncio.to_thread(
                measured, Configuration(name, shown(pairs), says), chosen.questions, trials, left_out=left_out
            )
        )
    about["documents"] = str(len(chosen.documents))
    return Evaluation(chosen, found, time.time(), about | versions())


def trial_of(searched: Searched, question: Asked, embed_s: float) -> Trial:
    """Return what a search of an index came to. A document stands where its best passage does."""
    rankings = {row: files_in(hits)[:DEPTH] for row, hits in searched.rows.items()}
    head = next(row for row in HEADS if row in searched.rows)
    best: dict[str, Hit] = {}
    for hit in searched.rows[head]:
        best.setdefault(hit.passage.file_id, hit)
    shown = [
        Shown(id, cut(hit.passage.chunk.text.removeprefix(hit.passage.name).strip()), id in question.wanted)
        for id, hit in list(best.items())[:SHOWN]
    ]
    return Trial(rankings, shown, embed_s, searched.seconds, searched.notes)


async def run_golden(
    asker: Asker,
    settings: Settings,
    chosen: QuestionSet,
    sets: Sequence[Pairs],
    *,
    collection: str | None,
    progress: Progress,
) -> Evaluation:
    """Ask the questions of a golden set in each configuration, in their own collection or in this one.

    Raises BadInput for what cannot be set, and what the one that is asked raises.
    """
    for pairs in sets:
        overridden(settings, pairs, kind="golden")
    found: list[Measured] = []
    seen: set[Seen] = set()
    times: dict[str, float] = {}
    await asker.ask(WARM, collection or chosen.questions[0].collection, {})  # the model may have to be loaded
    for name, pairs in zip(names(sets), sets, strict=True):
        values = {setting.removeprefix("retrieval."): value for setting, value in pairs.items()}
        trials: list[Trial] = []
        says: dict[str, set[str]] = {}
        for number, question in enumerate(chosen.questions, start=1):
            tried = await asker.ask(question.text, question.collection or collection, values)
            embed_s = times.setdefault(question.text, tried.embed_s)  # asked again, it is not embedded again
            trials.append(judged(tried, question, embed_s))
            seen |= {replace(one, text="", page=None, page_end=None) for row in tried.rows.values() for one in row}
            for what, value in tried.says.items():
                says.setdefault(what, set()).add(value)
            progress(f"ask {name}".strip(), number, len(chosen.questions))
        said = {what: ", ".join(sorted(values)) for what, values in says.items()}
        configuration = Configuration(name, shown(pairs), said)
        left_out: dict[Row, str] = {"reranked": NO_RERANKER}
        found.append(await asyncio.to_thread(measured, configuration, chosen.questions, trials, left_out=left_out))
    about = {"collection": collection} if collection else {}
    notes = await missing_files(asker, chosen, seen)
    return Evaluation(chosen, found, time.time(), about | versions(), notes)


async def missing_files(asker: Asker, chosen: QuestionSet, seen: Collection[Seen]) -> list[Note]:
    """Return a note on the files that a set expects and that are not there, of those that no search found."""
    expected = dict.fromkeys(place.file for question in chosen.questions for place in question.places if place.file)
    unseen = [file for file in expected if not any(is_file(one, file) for one in seen)]
    missing = [file for file in unseen[:LOOKED_UP] if not await asker.has_file(file)]
    return [Note("no_file", {"count": str(len(missing)), "named": some(missing)})] if missing else []


def judged(tried: Tried, question: Asked, embed_s: float) -> Trial:
    """Return what a search of an installation came to."""
    rankings = {row: ranking(seen, question.places) for row, seen in tried.rows.items()}
    head = next((row for row in HEADS if row in tried.rows), None)
    shown = [
        Shown(where(one), cut(one.text), any(fits(one, place) for place in question.places))
        for one in (tried.rows[head][:SHOWN] if head else ())
    ]
    return Trial(rankings, shown, embed_s, tried.search_s, tried.notes)


def where(seen: Seen) -> str:
    return Place(seen.name, seen.page).label


def cut(text: str, most: int = SHOWN_CHARS) -> str:
    """Return the beginning of a text, in one line."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def names(sets: Sequence[Pairs]) -> Sequence[str]:
    return NAMES[: len(sets)] if len(sets) > 1 else ("",)


def shown(pairs: Pairs) -> dict[str, str]:
    """Return what is set as it may be shown: without passwords in addresses."""
    return {name: masked_url(value) for name, value in pairs.items()}


def settings_said(own: Retrieval, dense_weight: str) -> dict[str, str]:
    return {"fusion": own.fusion, "dense_weight": dense_weight, "candidates": str(own.candidates)}


def versions() -> dict[str, str]:
    return {"ragline": __version__, "python": platform.python_version()}
