"""An explanation of a search on a terminal of 100 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from ragline.cli.shown import plain
from ragline.retrieval.explained import Explanation, Outcome, Stage, Traced
from ragline.retrieval.widths import cut, wide

WIDTH = 100
MOST_ROWS = 20
NAME_WIDTH = 18
STAGES: Mapping[str, str] = {
    "resolved": "looked up",
    "embedded": "question embedded",
    "candidates": "candidates found",
    "fused": "orders fused",
    "reranked": "ordered anew by the reranker",
    "recency": "younger files preferred",
    "relevant": "relevant ones kept",
    "diverse": "unlike ones preferred",
    "context": "context made",
}
WHY: Mapping[Outcome, str] = {
    "shown": "",
    "no_room": "no room in the context",
    "repeated": "says the same as one above",
    "beyond": "after top_k",
    "alike": "too much like those above",
    "irrelevant": "none was relevant enough",
    "outranked": "too far behind to be judged",
}
HEAD = f"{'#':>3} {'dense':>5} {'words':>5} {'fused':>5}  {'cosine':>6} {'BM25':>6} {'rel.':>5}  "


def lines_of(said: Explanation, *, all_rows: bool) -> Iterator[str]:
    """Yield the explanation, line by line."""
    yield from wrapped("question  ", said.question)
    if said.cut_off:
        yield from wrapped("          ", f"… its last {said.cut_off} characters are not searched for")
    if said.searched:
        yield from wrapped("searched  ", said.searched)
    yield from wrapped("words     ", words_of(said))
    yield from wrapped("weights   ", weights_of(said))
    yield ""
    yield from map(stage_of, said.stages)
    total = sum(stage.ms for stage in said.stages)
    yield f"{total:>8.1f} ms  in all"
    for note in said.notes:
        yield from wrapped("note: ", note)
    yield ""
    if not said.passages:
        yield "nothing was found" if said.question.strip() else "nothing was asked"
        return
    yield from table_of(said, all_rows=all_rows)
    yield ""
    yield from context_of(said)


def words_of(said: Explanation) -> str:
    """Return the words with how many of the candidates have them."""
    searched = [f"{word.word} {word.passages}" for word in said.words if word.passages is not None]
    left = [word.word for word in said.words if word.passages is None]
    if not searched:
        return "none that is searched for: only the meaning counts"
    counted = f"{' · '.join(searched)} of {said.candidates} candidates"
    return f"{counted}; not searched for: {', '.join(left)}" if left else counted


def weights_of(said: Explanation) -> str:
    by = said.weighing
    parts = [
        f"meaning {by.dense_weight:.2f}, words {1 - by.dense_weight:.2f} ({by.fusion})",
        f"top_k {by.top_k}",
        f"candidates {by.candidates} each",
        f"min_relevance {by.min_relevance:g}",
        f"diversity {by.diversity:g}" if by.diversity else "",
        f"recency {by.recency:g}" if by.recency else "",
        f"reranker {by.reranker}" if by.reranker != "none" else "",
    ]
    return ", ".join(filter(None, parts))


def stage_of(stage: Stage) -> str:
    left = f": {stage.passages}" if stage.name not in ("resolved", "embedded") else ""
    return f"{stage.ms:>8.1f} ms  {STAGES.get(stage.name, stage.name)}{left}"


def table_of(said: Explanation, *, all_rows: bool) -> Iterator[str]:
    """Yield a row for each passage: those that the model is given first, then the others in their order."""
    ordered = sorted(
        said.passages, key=lambda one: one.orders["final"].rank if "final" in one.orders else len(said.passages)
    )
    shown = ordered if all_rows else ordered[:MOST_ROWS]
    name = min(NAME_WIDTH, max(wide(plain(one.name)) for one in shown))
    page = max(len(page_of(one)) for one in shown)
    yield f"{HEAD}{'file':<{name + page + 2}}passage"
    why = ""
    for one in shown:
        if WHY[one.outcome] != why:
            why = WHY[one.outcome]
            yield f"    — {why}:"
        yield row_of(one, name, page)
    left = max(said.candidates - len(shown), 0)
    if left:
        kept = len(ordered) - len(shown)
        yield f"… and {left} more candidates" + (f" (--all shows {kept} of them)" if kept else "")


def row_of(one: Traced, name_width: int, page_width: int) -> str:
    ranks = [str(one.orders[name].rank) if name in one.orders else "–" for name in ("final", "dense", "words", "fused")]
    relevance = f"{one.relevance:.2f}" if one.relevance is not None else "–"
    scores = f"{one.cosine:>6.3f} {one.lexical:>6.2f} {relevance:>5}"
    figures = f"{ranks[0]:>3} {ranks[1]:>5} {ranks[2]:>5} {ranks[3]:>5}  {scores}  "
    where = f"{fitted(plain(one.name), name_width)} {page_of(one):<{page_width}} "
    return figures + where + cut(plain(" ".join(one.text.split())), WIDTH - wide(figures + where))


def page_of(one: Traced) -> str:
    return f"p.{one.page}" if one.page is not None else ""


def context_of(said: Explanation) -> Iterator[str]:
    """Yield what the model is given: a line for each text."""
    yield f"context: {said.context_tokens} of {said.budget_tokens} tokens in {len(said.context)} texts"
    for one in said.context:
        page = f" p.{one.page}" if one.page is not None else ""
        head = f"  [{one.number}] {one.tokens:>5} tokens  {cut(plain(one.name), 30)}{page}  "
        yield head + cut(plain(" ".join(one.text.split())), WIDTH - wide(head))


def wrapped(head: str, text: str) -> Sequence[str]:
    """Return a text in lines behind a head; of a very long one the beginning."""
    short = textwrap.shorten(plain(" ".join(text.split())), 4 * WIDTH, placeholder=" …", break_long_words=True)
    return textwrap.wrap(short, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]


def fitted(text: str, width: int) -> str:
    text = cut(text, width)
    return text + " " * (width - wide(text))
