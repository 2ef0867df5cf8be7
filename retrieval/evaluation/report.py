"""An evaluation as one HTML page that needs nothing else: numbers, drawings, the questions that go wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np

from ragline.retrieval.evaluation.compare import Comparison, compare
from ragline.retrieval.evaluation.history import Run
from ragline.retrieval.evaluation.markup import Html, el, joined
from ragline.retrieval.evaluation.metrics import METRICS, percentiles
from ragline.retrieval.evaluation.plots import Bar, Line, Point, bars, curve, histogram, trend
from ragline.retrieval.evaluation.report_questions import changed_questions, worst_questions
from ragline.retrieval.evaluation.results import ROWS, Evaluation, Figure, Measured, by_collection
from ragline.retrieval.evaluation.style import STYLE
from ragline.retrieval.evaluation.words import Language, Speech

BINS = 20
TREND_RUNS = 40


def page(evaluation: Evaluation, runs: Sequence[Run], *, language: Language) -> str:
    """Return the report. `runs` are those of before on the same questions, the oldest first; computes for a second."""
    say = Speech(language)
    *_, last = evaluation.configurations
    comparison = compared(evaluation)
    parts = [
        header(evaluation, say),
        heads(last, say),
        *([verdict(comparison, say)] if comparison else []),
        table(evaluation, say),
        el("div", plots(evaluation, comparison, runs, say), class_="plots"),
        *collections(evaluation, last, say),
        *([changed_questions(evaluation, comparison, say)] if comparison else []),
        worst_questions(evaluation, last, say),
        *known(evaluation, say),
        settings(evaluation, say),
        el("section", el("h2", say("how")), el("p", say("how_text"), class_="note")),
    ]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", f"{evaluation.set.name} · Ragline"),
        Html(f"<style>{STYLE}</style>"),
    )
    return f"<!DOCTYPE html>\n{el('html', head, el('body', el('main', parts)), lang=language)}\n"


def compared(evaluation: Evaluation) -> Comparison | None:
    """Return what the second configuration changes, None where there is but one."""
    if len(evaluation.configurations) < 2:
        return None
    first, second = evaluation.configurations[:2]
    return compare(first.main, second.main)


def header(evaluation: Evaluation, say: Speech) -> Html:
    chosen = evaluation.set
    about = [say("questions", count=say.count(len(chosen.questions)))]
    if chosen.documents:
        passages = say.count(int(evaluation.about.get("passages", "0")))
        about.append(say("documents", count=say.count(len(chosen.documents)), passages=passages))
    if collection := evaluation.about.get("collection"):
        about.append(say("collection", name=collection))
    about.append(time.strftime("%Y-%m-%d %H:%M", time.localtime(evaluation.at)))
    return el("header", el("h1", f"{say('title')} · {chosen.name}"), el("p", " · ".join(about)))


def heads(one: Measured, say: Speech) -> Html:
    """Return the four numbers at the top."""
    row = " · ".join(filter(None, (say(one.head), one.configuration.name)))
    p50, p95 = percentiles(one.search_s)
    main, recall, first = one.figure(), one.figure("recall@10"), one.figure("MRR@10")
    cards = [
        (say.number(main.mean), say("headline", row=row), interval(main, say)),
        (say.number(recall.mean), say("of_10"), f"recall@10 · {interval(recall, say)}"),
        (say.number(first.mean), say("first"), f"MRR@10 · {interval(first, say)}"),
        (f"{say.number(p50, 1)} ms", say("search_time"), say("p95", ms=say.number(p95, 1))),
    ]
    shown = [
        el("div", el("b", value), el("span", what), el("span", more), class_="card") for value, what, more in cards
    ]
    return el("div", shown, class_="heads")


def interval(figure: Figure, say: Speech) -> str:
    return say("interval", low=say.number(figure.low), high=say.number(figure.high))


def verdict(comparison: Comparison, say: Speech) -> Html:
    """Say in a sentence whether the second configuration is better."""
    outcome = ("better" if comparison.mean > 0 else "worse") if comparison.significant else "none"
    difference = f"{say.signed(comparison.mean)} ({say.signed(comparison.low)} … {say.signed(comparison.high)})"
    said = say(f"verdict_{outcome}", difference=difference, p=say.p(comparison.p))
    counts = {name: say.count(getattr(comparison, name)) for name in ("wins", "losses", "ties")}
    return el("section", el("p", said), el("p", say("pairs", **counts)), class_=f"verdict {outcome}")


def table(evaluation: Evaluation, say: Speech) -> Html:
    """Return all means with their intervals, a line for each configuration and way to search."""
    lines = []
    *_, last = evaluation.configurations
    for row in ROWS:
        for one in evaluation.configurations:
            name = one.configuration.name
            label = joined(say(row), f" · {name}" if name and row in one.figures else "", el("small", say(f"{row}?")))
            if row in one.figures:
                cells = [
                    el("td", say.number(each.mean), el("small", f"{say.number(each.low)} – {say.number(each.high)}"))
                    for each in one.figures[row]
                ]
                lines.append(el("tr", el("td", label), cells, class_="head" if row == one.head else None))
            elif row in one.left_out and one is last:
                why = say("missing", why=say(one.left_out[row]))
                lines.append(el("tr", el("td", label), el("td", why, colspan=len(METRICS), class_="why")))
    titles = el("tr", el("th", ""), [el("th", metric) for metric in METRICS])
    made = el("table", el("thead", titles), el("tbody", lines))
    return el("section", el("h2", say("table")), el("div", made, class_="wide"), note(say("table_note")))


def plots(evaluation: Evaluation, comparison: Comparison | None, runs: Sequence[Run], say: Speech) -> Iterator[Html]:
    yield el("section", el("h2", say("bars")), bars_of(evaluation, say))
    *_, last = evaluation.configurations
    rows = [row for row in ROWS if row in last.curves and row != "answer"]
    lines = [Line(say(row), row, last.curves[row]) for row in rows]
    drawn = curve(lines, lambda value: say.number(value, 2), title=say("curve"))
    yield el(
        "section",
        el("h2", " · ".join(filter(None, (say("curve"), last.configuration.name)))),
        key([(line.label, line.kind) for line in lines]),
        drawn,
    )
    if comparison is not None:
        edges = [step / 10 for step in range(-10, 11)]
        kinds = ["worse"] * 10 + ["better"] * 10
        unequal = [value for value in comparison.differences if abs(value) > 1e-9]
        drawn = histogram(unequal, edges, kinds, lambda value: say.signed(value, 1), title=say("differences"))
        ties = say("differences_note", ties=say.count(comparison.ties))
        yield el("section", el("h2", say("differences")), drawn, note(ties))
    first = evaluation.configurations[0]
    same = [run for run in runs if run.overrides == first.configuration.overrides]
    if same:
        points = [
            Point(time.strftime("%Y-%m-%d %H:%M", time.localtime(run.at)), run.figure) for run in same[-TREND_RUNS:]
        ]
        points.append(Point(time.strftime("%Y-%m-%d %H:%M", time.localtime(evaluation.at)), first.figure()))
        drawn = trend(points, say.number, title=say("history"))
        yield el("section", el("h2", say("history")), drawn)
    yield el("section", el("h2", say("latency")), el("div", list(times(last, say)), class_="pair"))


def bars_of(evaluation: Evaluation, say: Speech) -> Html:
    both = len(evaluation.configurations) > 1
    drawn = [
        Bar(f"{say(row)} {one.configuration.name}".strip(), one.configuration.name.lower() if both else row, figures[0])
        for row in ROWS
        for one in evaluation.configurations
        if (figures := one.figures.get(row)) is not None
    ]
    return bars(drawn, say.number, lambda value: say.number(value, 1), title=say("bars"))


def times(one: Measured, say: Speech) -> Iterator[Html]:
    """Yield a drawing for embedding and one for searching, in milliseconds."""
    for what, seconds, kind in (("embedding", one.embed_s, "dense"), ("searching", one.search_s, "fused")):
        if seconds:
            milliseconds = [each * 1000 for each in seconds]
            most = max(float(np.quantile(milliseconds, 0.99)), 1.0)
            edges = [most * step / BINS for step in range(BINS + 1)]
            p50, p95 = percentiles(seconds)
            said = f"{say(what)}{say('colon')}p50 {say.number(p50, 1)} ms, p95 {say.number(p95, 1)} ms"
            drawn = histogram(milliseconds, edges, [kind] * BINS, lambda value: say.number(value, 0), title=said)
            yield el("div", note(said), drawn)


def collections(evaluation: Evaluation, one: Measured, say: Speech) -> Iterator[Html]:
    """Yield a table by collection, where the set names several."""
    named = by_collection(evaluation.set.questions, one)
    if not named:
        return
    lines = [
        el(
            "tr",
            el("td", name or "–"),
            el("td", say.count(count)),
            [el("td", say.number(each.mean)) for each in figures],
        )
        for name, (count, figures) in named.items()
    ]
    titles = el("tr", el("th", ""), el("th", say("count")), [el("th", metric) for metric in METRICS])
    made = el("table", el("thead", titles), el("tbody", lines))
    yield el("section", el("h2", say("collections")), el("div", made, class_="wide"))


def known(evaluation: Evaluation, say: Speech) -> Iterator[Html]:
    """Yield what one has to know of the set and of the searches, if there is anything."""
    everything = say.count(len(evaluation.set.questions))
    notes = [
        *(say(one.key, **one.values) for one in (*evaluation.set.notes, *evaluation.notes)),
        *(
            say("note_times", note=text, count=say.count(count), all=everything)
            for one in evaluation.configurations
            for text, count in one.notes.items()
        ),
    ]
    if notes:
        yield el("section", el("h2", say("notes")), el("ul", [el("li", text) for text in notes]))


def settings(evaluation: Evaluation, say: Speech) -> Html:
    """Return what was searched how, and with which versions."""
    lines: list[tuple[str, str]] = []
    for one in evaluation.configurations:
        name = f"{one.configuration.name} · " if one.configuration.name else ""
        set_ = ", ".join(f"{key} = {value}" for key, value in one.configuration.overrides.items())
        lines.append((f"{name}{say('settings')}", set_ or say("as_set")))
        lines += [(f"{name}{key}", value) for key, value in one.configuration.says.items()]
    lines += [(key, value) for key, value in evaluation.about.items() if key not in ("documents", "passages")]
    body = [el("tr", el("td", what), el("td", value)) for what, value in lines]
    return el("section", el("h2", say("settings")), el("table", el("tbody", body), class_="said"))


def key(named: Sequence[tuple[str, str]]) -> Html:
    """Return which colour is what."""
    return el("div", [el("span", el("i", class_=kind), label) for label, kind in named], class_="key")


def note(text: str) -> Html:
    return el("p", text, class_="note")
