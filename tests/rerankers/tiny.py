"""A tiny cross-encoder in a folder: its logit is the number of words that question and passage have in common, less 2.

The same words count once. Without `token_type_ids` among the inputs, which tell the two apart, it is the number of
tokens that are the last word it knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
BOTH = ("input_ids", "attention_mask", "token_type_ids")
BIAS = -2.0


def write_tiny(
    folder: Path,
    texts: Sequence[str],
    *,
    inputs: Sequence[str] = BOTH,
    labels: int = 1,
    output: str = "logits",
    max_tokens: int = 64,
    files: Mapping[str, object] | None = None,
) -> Path:
    """Write a model that knows the words of `texts`, with so many labels, of which the last counts."""
    normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase()])
    words = [*SPECIAL, *dict.fromkeys(re.findall(r"\w+", normalizer.normalize_str(" ".join(texts))))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.enable_truncation(8)  # as many published files: nothing must be cut there
    tokenizer.enable_padding()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    onnx.save(_model(len(words), inputs, output, labels), folder / "model.onnx")
    config = {"model_type": "bert", "max_position_embeddings": max_tokens}
    for name, content in {"config.json": config, **(files or {})}.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def _model(words: int, inputs: Sequence[str], output: str, labels: int) -> onnx.ModelProto:
    counted = np.zeros((words, labels), np.float32)
    counted[len(SPECIAL) if "token_type_ids" in inputs else -1 :, -1] = 1
    bias = np.zeros(labels, np.float32)
    bias[-1] = BIAS
    nodes = [
        helper.make_node("OneHot", ["input_ids", "words", "off_on"], ["tokens"], axis=-1),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask_column"]),
        helper.make_node("Mul", ["tokens", "mask_column"], ["read"]),
    ]
    if "token_type_ids" in inputs:
        nodes += [
            helper.make_node("Cast", ["token_type_ids"], ["types"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["types", "last"], ["is_passage"]),
            helper.make_node("Sub", ["one", "is_passage"], ["is_question"]),
            helper.make_node("Mul", ["read", "is_passage"], ["passage"]),
            helper.make_node("Mul", ["read", "is_question"], ["question"]),
            helper.make_node("ReduceMax", ["passage", "middle"], ["in_passage"], keepdims=0),
            helper.make_node("ReduceMax", ["question", "middle"], ["in_question"], keepdims=0),
            helper.make_node("Mul", ["in_passage", "in_question"], ["common"]),
        ]
    else:
        nodes += [helper.make_node("ReduceSum", ["read", "middle"], ["common"], keepdims=0)]
    nodes += [
        helper.make_node("MatMul", ["common", "counted"], ["number"]),
        helper.make_node("Add", ["number", "bias"], [output]),
    ]
    constants = {
        "words": np.array(words, np.int64),
        "off_on": np.array([0, 1], np.float32),
        "one": np.array(1, np.float32),
        "last": np.array([-1], np.int64),
        "middle": np.array([1], np.int64),
        "counted": counted,
        "bias": bias,
    }
    return helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in inputs],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["texts", labels])],
            [numpy_helper.from_array(values, name) for name, values in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
