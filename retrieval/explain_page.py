"""An explanation of a search as one HTML page that needs nothing else."""

from __future__ import annotations

from ragline.retrieval.evaluation.markup import Html, el
from ragline.retrieval.evaluation.style import STYLE
from ragline.retrieval.explain_drawing import COLOURS, ways
from ragline.retrieval.explain_words import Language, Speech
from ragline.retrieval.explained import Explanation, Given, Traced

ROWS = 24
"""Passages in the table."""

LIGHT = ("#14805e", "#3a6ea5", "#c07a1c", "#8447a6", "#b83a5a", "#1d8a99", "#6b7a1e", "#8a5a3c")
DARK = ("#41b890", "#6fa8e0", "#e0a14d", "#bd86dc", "#ea7c97", "#4fc0cf", "#b3c455", "#c99673")
"""Of the passages that a model is given."""

OWN_STYLE = (
    ":root {"
    + "".join(f" --c{number}: {colour};" for number, colour in enumerate(LIGHT))
    + " }\n@media (prefers-color-scheme: dark) { :root {"
    + "".join(f" --c{number}: {colour};" for number, colour in enumerate(DARK))
    + " } }\n"
    + "".join(f".c{number} {{ --own: var(--c{number}); }} " for number in range(COLOURS))
    + """
.off { --own: var(--muted); }
.heads { grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 0 16px; }
h1 { overflow-wrap: anywhere; } .asked { font-size: 20px; margin: 6px 0 0; color: var(--ink); overflow-wrap: anywhere; }
svg.ways { display: block; width: 100%; min-width: 820px; height: auto; font-size: 12px; }
svg.ways .head { font-size: 13px; font-weight: 600; fill: var(--soft); }
svg.ways path { fill: none; stroke: var(--own); stroke-width: 2.6; stroke-linecap: round; }
svg.ways path.off { stroke-width: 1.1; opacity: .55; } svg.ways path.far { stroke-dasharray: 3 4; }
svg.ways rect { fill: color-mix(in srgb, var(--own) 15%, var(--card)); stroke: var(--own); stroke-width: 1.2; }
svg.ways .off rect { fill: var(--card); stroke: var(--line); } svg.ways .off text { fill: var(--soft); }
svg.ways .place { font-weight: 700; fill: var(--own); } svg.ways .score { text-anchor: end; font-size: 11px;
  fill: var(--soft); font-variant-numeric: tabular-nums; }
.stages { display: flex; height: 14px; border-radius: 7px; overflow: hidden; gap: 2px; margin: 4px 0 10px; }
.stages i { background: var(--own); min-width: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 20px; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px; background: var(--own);
  margin-right: 6px; vertical-align: -1px; }
.legend b { color: var(--ink); font-weight: 600; font-variant-numeric: tabular-nums; }
.chips { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 6px; padding: 0; list-style: none; }
.chips li { border: 1px solid var(--line); border-radius: 8px; padding: 4px 10px 6px; min-width: 74px; max-width: 100%;
  overflow-wrap: anywhere; }
.chips small { display: block; color: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.bar { display: block; height: 4px; border-radius: 2px; background: var(--line); margin-top: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--own, var(--fused)); }
table.passages td { font-size: 14px; }
table.passages td.text { text-align: left; min-width: 300px; overflow-wrap: anywhere; }
table.passages td.text span { color: var(--soft); } table.passages td.text b { font-weight: 600; }
table.passages td.figure { width: 84px; } table.passages td.why, table.passages th.left { text-align: left; }
table.passages td:first-child b { color: var(--own); } tr.off td.text b { font-weight: 500; }
.given { border-left: 4px solid var(--muted); padding: 2px 0 2px 14px; margin: 12px 0 0; }
.given h3 { font-size: 14px; margin: 0 0 2px; } .given h3 span { color: var(--soft); font-weight: 400; }
.given .text { max-height: 15em; overflow: auto; font-size: 14px; overflow-wrap: anywhere; }
.given p { margin: 0 0 4px; }
"""
)


def page(said: Explanation, *, language: Language) -> str:
    """Return the page."""
    say = Speech(language)
    parts = [header(said, say), heads(said, say), stages(said, say), *notes(said, say)]
    if said.passages:
        drawing = [el("h2", say("way")), el("div", ways(said, say), class_="wide"), note(say("way_note"))]
        parts += [el("section", drawing), words(said, say), context(said, say), table(said, say)]
    else:
        parts.append(el("section", el("p", say("nothing"))))
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("title", f"{said.question[:80]} · Ragline"),
        Html(f"<style>{STYLE}{OWN_STYLE}</style>"),
    )
    return f"<!DOCTYPE html>\n{el('html', head, el('body', el('main', parts)), lang=language)}\n"


def note(text: str) -> Html:
    return el("p", text, class_="note")


def header(said: Explanation, say: Speech) -> Html:
    more = [note(say("searched", text=said.searched))] if said.searched else []
    if said.cut_off:
        more.append(note(say("cut_off", count=said.cut_off)))
    return el("header", el("h1", say("title")), el("p", said.question, class_="asked", dir="auto"), more)


def heads(said: Explanation, say: Speech) -> Html:
    """Return the figures that matter most."""
    total = sum(stage.ms for stage in said.stages)
    by = said.weighing
    cards = [
        (f"{say.number(total, 0)} ms", say("time")),
        (str(said.candidates), say("candidates")),
        (str(len(said.context)), f"{say('given')}, {said.context_tokens} {say('tokens', budget=said.budget_tokens)}"),
        (
            f"{by.dense_weight * 100:.0f} : {100 - by.dense_weight * 100:.0f}",
            f"{say('by.meaning')} : {say('by.words')}",
        ),
    ]
    return el(
        "div", [el("div", el("b", big), el("span", small), class_="card") for big, small in cards], class_="heads"
    )


def stages(said: Explanation, say: Speech) -> Html:
    """Return how long each step took, and how the search was weighed."""
    total = max(sum(stage.ms for stage in said.stages), 1e-9)
    marks = [f"c{number % COLOURS}" for number in range(len(said.stages))]
    bars = [
        el("i", class_=mark, style=f"width: {stage.ms / total * 100:.2f}%")
        for mark, stage in zip(marks, said.stages, strict=True)
    ]
    named = [
        el("span", el("i", class_=mark), f"{say(f'step.{stage.name}')} ", el("b", f"{say.number(stage.ms, 1)} ms"))
        for mark, stage in zip(marks, said.stages, strict=True)
    ]
    by = said.weighing
    facts = [
        f"fusion {by.fusion}",
        f"top_k {by.top_k}",
        f"{by.candidates} {say('by.each')}",
        f"{say('by.min_relevance')} {say.number(by.min_relevance)}",
        f"{say('by.diversity')} {say.number(by.diversity)}" if by.diversity else "",
        f"{say('by.recency')} {say.number(by.recency)}" if by.recency else "",
        f"{say('by.reranker')} {by.reranker}" if by.reranker != "none" else "",
    ]
    return el(
        "section",
        el("div", bars, class_="stages"),
        el("div", named, class_="legend"),
        note(" · ".join(filter(None, facts))),
    )


def notes(said: Explanation, say: Speech) -> list[Html]:
    if not said.notes:
        return []
    return [el("section", el("h2", say("notes")), [el("p", text) for text in said.notes])]


def words(said: Explanation, say: Speech) -> Html:
    """Return the words of the question, each with how common it is among the candidates."""
    chips = [
        el("li", word.word, el("small", f"{word.passages}"), bar(word.passages / max(1, said.candidates)))
        for word in said.words
        if word.passages is not None
    ]
    left = ", ".join(word.word for word in said.words if word.passages is None)
    return el(
        "section",
        el("h2", say("words")),
        el("ul", chips, class_="chips") if chips else el("p", say("no_words")),
        note(say("words_note", count=said.candidates)) if chips else "",
        note(say("not_searched", words=left)) if left else "",
    )


def bar(part: float) -> Html:
    return el("span", el("i", style=f"width: {max(0.0, min(1.0, part)) * 100:.1f}%"), class_="bar")


def table(said: Explanation, say: Speech) -> Html:
    """Return all passages with their scores: those for the model first."""
    ordered = sorted(said.passages, key=lambda one: one.orders["final"].rank if "final" in one.orders else 10_000)
    most = max((one.lexical for one in said.passages), default=0) or 1
    titles = ("place", "passage", "cosine", "bm25", "relevance", "why")
    head = [el("th", say(f"col.{name}"), class_="left" if name in ("passage", "why") else None) for name in titles]
    more = said.candidates - min(len(ordered), ROWS)
    return el(
        "section",
        el("h2", say("passages")),
        el(
            "div",
            el(
                "table",
                el("thead", el("tr", head)),
                el("tbody", [row(one, most, say) for one in ordered[:ROWS]]),
                class_="passages",
            ),
            class_="wide",
        ),
        note(say("more", count=more)) if more > 0 else "",
        note(say("passages_note", least=say.number(said.weighing.min_relevance))),
        class_="long",
    )


def row(one: Traced, most: float, say: Speech) -> Html:
    place = str(one.orders["final"].rank) if "final" in one.orders else "–"
    page = say("page", page=one.page) if one.page is not None else ""
    where = " · ".join(filter(None, (one.name, page, one.heading)))
    relevance = "–" if one.relevance is None else say.number(one.relevance)
    shown = one.outcome == "shown"
    return el(
        "tr",
        el("td", el("b", place)),
        el("td", el("b", where), " ", el("span", " ".join(one.text.split()), dir="auto"), class_="text"),
        el("td", say.number(one.cosine, 3), bar((one.cosine - 0.5) * 2), class_="figure"),
        el("td", say.number(one.lexical, 2), bar(one.lexical / most), class_="figure"),
        el("td", relevance, bar(one.relevance or 0.0), class_="figure"),
        el("td", say(f"why.{one.outcome}"), class_="why"),
        class_=f"c{(one.orders['final'].rank - 1) % COLOURS}" if shown and "final" in one.orders else "off",
    )


def context(said: Explanation, say: Speech) -> Html:
    return el(
        "section",
        el("h2", say("context")),
        [given(one, say) for one in said.context],
        note(say("context_note")),
        class_="long",
    )


def given(one: Given, say: Speech) -> Html:
    page = f" · {say('page', page=one.page)}" if one.page is not None else ""
    head = el("h3", f"[{one.number}] {one.name}{page} ", el("span", say("count", tokens=one.tokens)))
    lines = [el("p", line, dir="auto") for line in one.text.splitlines() if line.strip()]
    return el("div", head, el("div", lines, class_="text"), class_="given")
