"""The style sheet of reports: light and dark by what the reader's system prefers, and fit for paper."""

STYLE = (
    """
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #1d2430; --soft: #5b6472; --line: #dfe2e6;
  --dense: #3a6ea5; --bm25: #c07a1c; --fused: #14805e; --reranked: #8447a6; --answer: #7a828e; --a: #9aa7b5;
  --b: #14805e; --better: #14805e; --worse: #b83a3a; --muted: #a9b1bb; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171c; --card: #1c2027; --ink: #e6e9ee; --soft: #9aa4b2;
  --line: #323843; --dense: #6fa8e0; --bm25: #e0a14d; --fused: #41b890; --reranked: #bd86dc; --answer: #8f98a5;
  --a: #66727f; --b: #41b890; --better: #41b890; --worse: #e07070; --muted: #5d6673; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue",
  "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 60px; }
header p { margin: 2px 0; color: var(--soft); }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 0 0 8px; }
section, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px;
  margin: 16px 0 0; }
.heads { display: grid; grid-template-columns: repeat(auto-fit, minmax(220px, 1fr)); gap: 16px; }
.heads .card b { display: block; font-size: 34px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; }
.heads .card span { display: block; color: var(--soft); font-size: 13px; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(430px, 1fr)); gap: 0 16px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 0 32px; }
.plots > section:last-child:nth-child(odd) { grid-column: 1 / -1; }
.note { color: var(--soft); font-size: 13px; margin: 6px 0 0; }
.verdict { border-left: 5px solid var(--muted); font-size: 17px; }
.verdict.better { border-left-color: var(--better); } .verdict.worse { border-left-color: var(--worse); }
.verdict p { margin: 0; } .verdict p + p { font-size: 14px; color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 10px; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; font-size: 13px; color: var(--soft); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tbody tr:last-child td { border-bottom: 0; }
td small { display: block; color: var(--soft); font-size: 12px; white-space: nowrap; }
tr.head td { font-weight: 650; } tr.head td small { font-weight: 400; }
td.why { text-align: left; color: var(--soft); }
table.said td { text-align: left; } table.said td:first-child { color: var(--soft); white-space: nowrap; width: 1%; }
.question { border-top: 1px solid var(--line); padding: 10px 0; break-inside: avoid; }
.question:first-of-type { border-top: 0; }
.question h3 { font-size: 15px; margin: 0 0 4px; font-weight: 600; overflow-wrap: anywhere; }
.question h3 code { color: var(--soft); font-weight: 400; font-size: 12px; margin-left: 6px; }
.question dl { display: grid; grid-template-columns: 130px 1fr; gap: 2px 12px; margin: 0; font-size: 14px; }
.question dt { color: var(--soft); } .question dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
.question ol { margin: 0; padding-left: 20px; } .question li b { font-weight: 600; }
.question li.right b { color: var(--better); }
.question li span { color: var(--soft); display: block; font-size: 13px; }
.tag { display: inline-block; padding: 0 7px; border-radius: 9px; font-size: 12px; font-weight: 600; color: var(--card);
  background: var(--worse); margin-right: 8px; } .tag.better { background: var(--better); }
.key { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 13px; color: var(--soft); margin: 2px 0 4px; }
.key i { display: inline-block; width: 18px; height: 4px; border-radius: 2px; margin-right: 6px; vertical-align: 3px; }
svg.plot { display: block; width: 100%; height: auto; font-size: 12px; }
svg .grid { stroke: var(--line); } svg .axis { stroke: var(--muted); } svg .thin { stroke: var(--muted); }
svg .whisker { stroke: var(--ink); stroke-width: 1.3; fill: none; opacity: .75; }
svg text { fill: var(--ink); } svg .tick { fill: var(--soft); font-size: 11px; } svg .value { font-weight: 600; }
svg .stroke { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
"""
    + "".join(
        f"svg .fill.{kind} {{ fill: var(--{kind}); }} svg .stroke.{kind} {{ stroke: var(--{kind}); }} "
        f".key i.{kind} {{ background: var(--{kind}); }}\n"
        for kind in ("dense", "bm25", "fused", "reranked", "answer", "a", "b", "better", "worse", "muted")
    )
    + """svg .stroke.bm25 { stroke-dasharray: 7 4; } svg .stroke.dense { stroke-dasharray: 2 4; }
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #ccc; }
  @page { margin: 12mm; } body { font-size: 9px; line-height: 1.35; } main { max-width: none; padding: 0; }
  h1 { font-size: 17px; } h2 { font-size: 12px; margin: 0 0 4px; } .question h3 { font-size: 10px; }
  section, .card { border-radius: 0; padding: 7px 9px; margin: 8px 0 0; break-inside: avoid; }
  section.long { break-inside: auto; } .heads { grid-template-columns: repeat(4, 1fr); gap: 8px; }
  .plots { grid-template-columns: repeat(2, 1fr); gap: 0 8px; } .pair { grid-template-columns: repeat(2, 1fr); }
  .heads .card b { font-size: 20px; } .heads .card span, .note, .key, td small, th { font-size: 8px; }
  .question h3 code, .tag { font-size: 8px; }
  .wide { overflow: visible; } th, td { padding: 2px 5px; } .verdict { font-size: 11px; }
  .verdict p + p, .question dl, .question li span { font-size: 8.5px; } .question { padding: 5px 0; }
  .question dl { grid-template-columns: 80px 1fr; }
}
@media (max-width: 560px) { main { padding: 16px 10px; } .plots { grid-template-columns: 1fr; }
  .question dl { grid-template-columns: 1fr; } }
"""
)
