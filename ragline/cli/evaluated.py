"""An evaluation as `ragline eval` prints it: a table, what a change makes of it, earlier runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ragline.cli.shown import plain

if TYPE_CHECKING:
    from ragline.retrieval.evaluation.compare import Comparison
    from ragline.retrieval.evaluation.history import Run
    from ragline.retrieval.evaluation.results import Evaluation, Measured
    from ragline.retrieval.evaluation.words import Speech

CHANGED = 5
"""Questions that are named because they changed most."""
EARLIER = 5
TEXT_CHARS = 70


def lines_of(evaluation: Evaluation, runs: Sequence[Run]) -> Iterator[str]:
    """Yield the lines to print. `runs` are earlier ones on the same questions, the oldest first."""
    from ragline.retrieval.evaluation.report import compared
    from ragline.retrieval.evaluation.results import by_collection
    from ragline.retrieval.evaluation.words import Speech

    say = Speech("en")
    yield head_of(evaluation)
    yield from table_of(evaluation, say)
    for one in evaluation.configurations:
        yield times_of(one)
    *_, last = evaluation.configurations
    for name, (count, figures) in by_collection(evaluation.set.questions, last).items():
        yield f"collection {plain(name or '-')}: nDCG@10 {figures[0].mean:.4f} on {count} questions"
    if (comparison := compared(evaluation)) is not None:
        yield from comparison_of(evaluation, comparison)
    for note in (*evaluation.set.notes, *evaluation.notes):
        yield plain(f"note: {say(note.key, **note.values)}")
    for one in evaluation.configurations:
        for text, count in one.notes.items():
            yield plain(f"note: {text} ({count} of {len(evaluation.set.questions)} questions)")
    for run in runs[-EARLIER:]:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.at))
        with_ = "".join(f" {name}={value}" for name, value in run.overrides.items())
        yield plain(f"earlier: {at}  nDCG@10 {run.figure.mean:.4f}  {say(run.row)}{with_}")


def head_of(evaluation: Evaluation) -> str:
    chosen, about = evaluation.set, evaluation.about
    parts = [f"{chosen.name}: {len(chosen.questions):,} questions"]
    if chosen.documents:
        parts.append(f"{len(chosen.documents):,} documents in {int(about.get('passages', 0)):,} passages")
    if collection := about.get("collection"):
        parts.append(f"collection {collection}")
    *_, last = evaluation.configurations
    says = last.configuration.says
    if "model" in says:
        parts.append(says["model"])
    if "dense_weight" in says and len(evaluation.configurations) == 1:
        parts += [says["fusion"], f"weight of meaning {says['dense_weight']}"]
    return plain(", ".join(parts))


def table_of(evaluation: Evaluation, say: Speech) -> Iterator[str]:
    """Yield a line for each configuration and way to search, with intervals."""
    from ragline.retrieval.evaluation.metrics import METRICS
    from ragline.retrieval.evaluation.results import ROWS

    rows: list[list[str]] = [["", *METRICS]]
    *_, last = evaluation.configurations
    for row in ROWS:
        for one in evaluation.configurations:
            name = f" {one.configuration.name}" if one.configuration.name else ""
            if row in one.figures:
                cells = [f"{each.mean:.4f} [{each.low:.3f}, {each.high:.3f}]" for each in one.figures[row]]
                rows.append([f"{say(row)}{name}", *cells])
            elif row in one.left_out and one is last:
                rows.append([say(row), f"- {say(one.left_out[row])}"])
    widths = [max(len(row[at]) for row in rows if len(row) > 2 or at == 0) for at in range(len(METRICS) + 1)]
    for line in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)).rstrip()


def times_of(one: Measured) -> str:
    from ragline.retrieval.evaluation.metrics import percentiles

    name = f"{one.configuration.name}: " if one.configuration.name else ""
    asked, embedded = len(one.search_s), len(one.embed_s)
    known = f" ({embedded} of {asked}: the vectors of the others were known)" if embedded < asked else ""
    shown = [
        f"{what}: p50 {percentiles(seconds)[0]:.1f} ms, p95 {percentiles(seconds)[1]:.1f} ms{of}" if seconds else none
        for what, seconds, of, none in (
            ("embedding a question", one.embed_s, known, "embedding a question: not measured, all vectors were known"),
            ("search", one.search_s, "", "search: not measured"),
        )
    ]
    says = one.configuration.says
    how = f"{says['fusion']}, weight of meaning {says['dense_weight']}; " if name and "dense_weight" in says else ""
    return f"{name}{how}{'; '.join(shown)}"


def comparison_of(evaluation: Evaluation, comparison: Comparison) -> Iterator[str]:
    """Yield what the second configuration changes, and the questions that it changes most."""
    first, second = evaluation.configurations
    changes = ", ".join(
        f"{name}={value}"
        for name, value in second.configuration.overrides.items()
        if first.configuration.overrides.get(name) != value
    )
    yield plain(f"B is A with {changes}")
    yield (
        f"B - A: {comparison.mean:+.4f} nDCG@10 [{comparison.low:+.4f}, {comparison.high:+.4f}], "
        f"p = {comparison.p:.4f} (paired randomization): "
        f"{'a real difference' if comparison.significant else 'may be chance'}"
    )
    yield f"B wins {comparison.wins}, loses {comparison.losses}, ties {comparison.ties}"
    order = sorted(range(len(comparison.differences)), key=lambda at: -abs(comparison.differences[at]))
    for at in order[:CHANGED]:
        if abs(comparison.differences[at]) > 1e-9:
            asked = evaluation.set.questions[at]
            text = asked.text if len(asked.text) <= TEXT_CHARS else f"{asked.text[: TEXT_CHARS - 1]}…"
            yield plain(f"  {comparison.differences[at]:+.3f}  {text}")
