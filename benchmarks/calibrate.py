"""Makes connectors/embedders/e5_ranges.npz: what goes into the matrices of the packaged embedder, channel by channel.

    python benchmarks/calibrate.py [--data ../shared/data] [--out connectors/embedders/e5_ranges.npz]

The model runs in float32 over some 370 texts: French and English passages and questions (PIAF, XQuAD), passages of
other document types, and a few lines in other languages and of code. Nothing but the lowest and the highest value of
each channel is kept. Run it after a change of `e5_onnx.py` that moves what goes into a matrix; a minute on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np

from ragline.connectors.embedders.e5_build import write_tokenizer
from ragline.connectors.embedders.e5_onnx import INPUTS, write_graph
from ragline.connectors.embedders.e5_ranges import TABLE
from ragline.connectors.embedders.e5_weights import Floats, find_weights, read_weights

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
LONGEST = 320
MORE = (
    "def main(argv: list[str]) -> int:\n    for path in argv[1:]:\n        print(open(path).read())\n    return 0",
    "SELECT name, sum(amount) FROM invoices WHERE paid = 0 GROUP BY name ORDER BY 2 DESC LIMIT 10;",
    "Die Bundesregierung hat am Mittwoch den Entwurf eines Gesetzes zur Stärkung der Pflege beschlossen.",
    "El tren de alta velocidad une Madrid y Barcelona en dos horas y media.",
    "Il contratto di locazione ha una durata di quattro anni ed è rinnovabile.",
    "東京は日本の首都であり、世界最大の都市圏のひとつである。",
    "Столица России — Москва, крупнейший по численности населения город страны.",
    "يقع المتحف في وسط المدينة ويفتح أبوابه كل يوم ما عدا الاثنين.",
    "1 234,56 € | 2024-11-22 | +33 1 23 45 67 89 | https://example.org/a?b=c&d=e#f | ☎ ✔ → ½",
    "",
    "a",
    "?",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what goes into the matrices of the packaged embedder.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with beir/ and docs/expected/")
    parser.add_argument("--out", type=Path, default=TABLE, help="the table to write")
    options = parser.parse_args()
    ranges = measure(given := texts(options.data))
    table: dict[str, Any] = {name: np.stack(both).astype(np.float16) for name, both in ranges.items()}
    np.savez_compressed(options.out, **table)
    print(f"{len(given)} texts, {len(ranges)} matrices, {options.out.stat().st_size / 1000:.0f} kB")


def texts(data: Path) -> list[str]:
    """Return what is measured, with the prefix each text is embedded with."""
    passages, questions = list(MORE), list(MORE)
    for name in ("piaf_a", "xquad_en"):
        documents = read_lines(data / "beir" / name / "corpus.jsonl")
        passages += [f"{document['title']} {document['text']}".strip() for document in documents[-80:]]
        questions += [question["text"] for question in read_lines(data / "beir" / name / "queries.jsonl")[-80:]]
    for path in sorted((data / "docs" / "expected").iterdir()):
        text = path.read_text(encoding="utf-8")
        passages += [text[start : start + 900] for start in range(0, min(len(text), 9000), 900)]
    return [*(f"passage: {text}" for text in passages), *(f"query: {text}" for text in questions)]


def measure(given: list[str]) -> dict[str, tuple[Floats, Floats]]:
    """Return the lowest and the highest value of each channel, by the name of the inputs."""
    import onnxruntime
    from tokenizers import Tokenizer

    weights = read_weights(find_weights())
    with tempfile.TemporaryDirectory() as scratch:
        graph, file = Path(scratch) / "model.onnx", Path(scratch) / "tokenizer.json"
        names = write_graph(weights, graph, precision="fp32", show_inputs=True)
        session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        write_tokenizer(weights, file)
        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.enable_truncation(LONGEST)
        ranges: dict[str, tuple[Floats, Floats]] = {}
        for text in given:
            clean = unicodedata.normalize("NFC", text).translate(weights.charmap)
            ids = np.array([tokenizer.encode(clean).ids], np.int64)
            shown = session.run(list(names.values()), dict(zip(INPUTS, (ids, np.ones_like(ids)), strict=True)))
            for name, (values,) in zip(names, shown, strict=True):
                low, high = ranges.get(name, (np.float32(np.inf), np.float32(-np.inf)))
                ranges[name] = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
    return ranges


def read_lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


if __name__ == "__main__":
    main()
