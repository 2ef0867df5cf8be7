"""A tiny sentence encoder in a folder: the vector of a text is the mean of random vectors of its longer words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

DIMENSION = 64
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def write_tiny(
    folder: Path,
    texts: Sequence[str],
    *,
    graph: str = "model.onnx",
    inputs: Sequence[str] = ("input_ids", "attention_mask", "token_type_ids"),
    output: str = "last_hidden_state",
    files: Mapping[str, object] | None = None,
) -> Path:
    """Write a model that knows the words of `texts` to `folder`, and `files` (name -> content in JSON) beside it."""
    normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    found = re.findall(r"\w+", normalizer.normalize_str(" ".join(texts)))
    words = [*SPECIAL, *sorted(set(found))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(8)  # as many published files: Ragline must not cut there
    tokenizer.enable_padding()
    (folder / graph).parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.random.default_rng(7).normal(size=(len(words), DIMENSION)).astype(np.float32)
    table[[number for number, word in enumerate(words) if len(word) < 4 or word in SPECIAL]] *= 0.05
    onnx.save(_model(table, inputs, output), folder / graph)
    defaults: dict[str, object] = {
        "1_Pooling/config.json": {"word_embedding_dimension": DIMENSION, "pooling_mode_mean_tokens": True},
        "sentence_bert_config.json": {"max_seq_length": 256},
        "config.json": {"model_type": "bert", "max_position_embeddings": 512},
    }
    for name, content in {**defaults, **(files or {})}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _model(table: npt.NDArray[np.float32], inputs: Sequence[str], output: str) -> onnx.ModelProto:
    """One node: each token is looked up. The other inputs are declared, as in real models, and unused."""
    nodes = [helper.make_node("Gather", ["table", "input_ids"], [output])]
    return helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in inputs],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["texts", "tokens", table.shape[1]])],
            [numpy_helper.from_array(table, "table")],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
