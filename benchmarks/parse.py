"""Measure how fast and how well documents are read, beside unstructured with its defaults, in one run.

    python benchmarks/parse.py [--docs ../shared/data/docs] [--peer PYTHON] [--only pdf,docx] [--markdown]

Both read the same files, each in a process of its own that has read a file of the type before, so imports do not
count. CPU seconds are of the process and the programs it starts. Recall is the share of the manifest's snippets that
are in the text. Machines are noisy: quote the ratios.

unstructured's model `en_core_web_sm` is downloaded at first use. Where it is not there, an untrained spaCy pipeline of
the same architecture takes its place: the same layers and sizes, so the same work for each word, with other results.
`--peer` names a Python in which `unstructured.partition.pdf` can be imported (its requirements are not Ragline's).
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONG_ENOUGH_S = 0.3
"""A file is read again until so many CPU seconds have gone, at most MOST_TIMES: short times are mostly noise."""
MOST_TIMES = 30


@dataclass
class Score:
    """What one engine did with the files of one format: characters read a second time or more count once."""

    files: int = 0
    failed: int = 0
    chars: int = 0
    cpu_s: float = 0.0
    found: int = 0
    wanted: int = 0

    @property
    def speed(self) -> float:
        return self.chars / self.cpu_s if self.cpu_s else 0.0


@dataclass
class Row:
    format: str
    ours: Score = field(default_factory=Score)
    peer: Score = field(default_factory=Score)


def cpu_s() -> float:
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def ours() -> Callable[[Path], str]:
    from ragline.config.environment import quiet_libraries
    from ragline.pipelines.parse import content_type_of, document_text, parse

    quiet_libraries()

    def read(path: Path) -> str:
        with path.open("rb") as file:
            content_type = content_type_of(path.name, file)
        return document_text(parse(path, path.name, content_type).elements)[0]

    return read


def unstructured_defaults() -> Callable[[Path], str]:
    from unstructured.nlp import tokenize
    from unstructured.partition.auto import partition

    stood_in = untrained_pipeline()
    tokenize._get_nlp = lambda: stood_in
    remembered = [each for each in vars(tokenize).values() if hasattr(each, "cache_clear")]

    def read(path: Path) -> str:
        for each in remembered:  # a file that is read once finds nothing there
            each.cache_clear()
        strategy = {"strategy": "fast"} if path.suffix == ".pdf" else {}
        return "\n\n".join(str(element) for element in partition(str(path), **strategy))

    return read


def untrained_pipeline() -> Any:
    """Return spaCy's small English model where it is installed, else one of its architecture that learned nothing."""
    import spacy
    from spacy.training import Example

    try:
        return spacy.load("en_core_web_sm", exclude=["ner", "lemmatizer", "attribute_ruler"])
    except OSError:
        pass
    nlp = spacy.blank("en")
    embed = {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 96,
        "attrs": ["NORM", "PREFIX", "SUFFIX", "SHAPE", "SPACY", "IS_SPACE"],
        "rows": [5000, 1000, 2500, 2500, 50, 50],
        "include_static_vectors": False,
    }
    encode = {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": 96,
        "depth": 4,
        "window_size": 1,
        "maxout_pieces": 3,
    }
    nlp.add_pipe("tok2vec", config={"model": {"@architectures": "spacy.Tok2Vec.v2", "embed": embed, "encode": encode}})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "tok2vec"}
    nlp.add_pipe("tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener}})
    parser = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "parser",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": True,
        "tok2vec": listener,
    }
    nlp.add_pipe("parser", config={"model": parser})
    words = ["Pumps", "are", "repaired", "in", "the", "harbour", ".", "Reports", "follow", "in", "May", "."]
    doc = {
        "words": words,
        "tags": ["NNS", "VBP", "VBN", "IN", "DT", "NN", ".", "NNS", "VBP", "IN", "NNP", "."],
        "heads": [2, 2, 2, 2, 5, 3, 2, 8, 8, 8, 9, 8],
        "deps": ["nsubj", "aux", "ROOT", "prep", "det", "pobj", "punct", "nsubj", "ROOT", "prep", "pobj", "punct"],
        "sent_starts": [True, *[False] * 6, True, *[False] * 4],
    }
    example = Example.from_dict(nlp.make_doc(" ".join(words)), doc)
    nlp.initialize(lambda: [example])
    return nlp


def serve(engine: str) -> None:
    """Read the files named on standard input, a line each: `path` in, {chars, cpu_s, text} or {error} out."""
    read = ours() if engine == "ours" else unstructured_defaults()
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        try:
            text, took = timed(read, path)
            answer = {"text": text, "cpu_s": took}
        except Exception as error:  # noqa: BLE001  # whatever an engine says is what is measured
            answer = {"error": f"{type(error).__name__}: {str(error)[:200]}"}
        print(json.dumps(answer), file=answers, flush=True)


def timed(read: Callable[[Path], str], path: Path) -> tuple[str, float]:
    """Return the text and the CPU seconds of one reading, on average."""
    times: list[float] = []
    while sum(times) < LONG_ENOUGH_S and len(times) < MOST_TIMES:
        before = cpu_s()
        text = read(path)
        times.append(cpu_s() - before)
    return text, sum(times) / len(times)


class Engine:
    """A process that reads files."""

    def __init__(self, python: str, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen(  # a model that is not on this machine is not looked for on the net
            ["env", "HF_HUB_OFFLINE=1", python, __file__, "--serve", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(self, path: Path) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(path, file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": "the process died"}')
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def normal(text: str) -> str:
    return re.sub(r"\s+", " ", unicodedata.normalize("NFKC", text))


def documents(docs: Path, only: Sequence[str]) -> Iterator[tuple[str, Path, Sequence[str]]]:
    """Yield format, path and snippets of the documents that can be read."""
    for row in json.loads((docs / "manifest.json").read_text())["files"]:
        suffix = row["path"].rsplit(".", 1)[-1]
        if row["expected"] != "clean_error" and (not only or suffix in only):
            yield suffix, docs / row["path"], row["must_contain"]


def count(score: Score, answer: Mapping[str, Any], snippets: Sequence[str]) -> None:
    score.files += 1
    score.wanted += len(snippets)
    if "error" in answer or not answer["text"].strip():
        score.failed += 1
        return
    score.chars += len(answer["text"])
    score.cpu_s += answer["cpu_s"]
    score.found += sum(normal(snippet) in normal(answer["text"]) for snippet in snippets)


def measure(docs: Path, peer: str, only: Sequence[str]) -> list[Row]:
    rows: dict[str, Row] = {}
    by_format: defaultdict[str, list[tuple[Path, Sequence[str]]]] = defaultdict(list)
    for suffix, path, snippets in documents(docs, only):
        by_format[suffix].append((path, snippets))
    engines = [Engine(sys.executable, "ours"), Engine(peer, "unstructured")]
    for suffix, group in by_format.items():
        for engine in engines:
            engine.read(group[0][0])  # pays for the imports
        for path, snippets in group:
            answers = [engine.read(path) for engine in engines]
            # What only one of them can read at all, such as a scanned page, says nothing about speed: a row of its own.
            readable = ["error" not in answer and bool(answer["text"].strip()) for answer in answers]
            name = suffix if all(readable) else f"{suffix}, {'only Ragline' if readable[0] else 'not Ragline'}"
            row = rows.setdefault(name, Row(name))
            for answer, score in zip(answers, (row.ours, row.peer), strict=True):
                count(score, answer, snippets)
            if not all(readable):
                print(path.name, *(answer.get("error", "no text") for answer in answers[1:]), sep=": ", file=sys.stderr)
    for engine in engines:
        engine.close()
    return sorted(rows.values(), key=lambda row: ("," in row.format, row.format))


def show(rows: Sequence[Row]) -> None:
    print("| format | files | Ragline, chars/CPU s | unstructured | ratio | snippets, Ragline | unstructured |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        ratio = f"{row.ours.speed / row.peer.speed:.1f}" if row.ours.speed and row.peer.speed else ""
        speeds = [f"{score.speed:,.0f}" if score.speed else "" for score in (row.ours, row.peer)]
        found = [f"{score.found}/{score.wanted}" for score in (row.ours, row.peer)]
        print("|", " | ".join([row.format, str(row.ours.files), *speeds, ratio, *found]), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=Path, default=Path(__file__).resolve().parents[1] / "../shared/data/docs")
    parser.add_argument("--peer", default=sys.executable, help="the Python that runs unstructured")
    parser.add_argument("--only", default="", help="formats by their suffixes, joined with commas")
    parser.add_argument("--serve", choices=["ours", "unstructured"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    started = time.monotonic()
    show(measure(options.docs, options.peer, [part for part in options.only.split(",") if part]))
    print(f"\n{time.monotonic() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
