"""Write multilingual-e5-small as an ONNX graph: token ids in, sentence vectors of length 1 out.

Precision was chosen by measuring nDCG@10 (761 French PIAF passages, 400 questions; `benchmarks/embed.py`): fp32 .751;
int8 everywhere, inputs on one scale for each call, .734 at 2.0 times its speed; this graph .750 at 1.8 times. The loss
lies in the second half of the feed-forward layers, whose input has outliers: that half is quantized in blocks, inputs
too, the rest by output channel. Blocks everywhere: cosine to fp32 .9997 instead of .9989, but only 1.3 times as fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragline.connectors.embedders.e5_weights import BLOCK, E5Weights, Floats

Precision = Literal["int8", "fp32"]
_CONTRIB = "com.microsoft"  # operators that every onnxruntime has beside the standard ones
_WEIGHT_LIMIT = 63
"""Largest int8 weight. With 7 bits the sums of AVX2's multiply-add cannot overflow (onnxruntime: `reduce_range`)."""
_FINE_BLOCK = 128


class _Graph:
    """Nodes and constants in the making; each value is known by its name."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, domain=domain, **attributes))
        return name


def write_graph(weights: E5Weights, path: Path, *, precision: Precision) -> None:
    """Write the model to `path`. `fp32` calculates with the decoded weights: the reference for tests.

    Inputs `input_ids` and `attention_mask`: int64 (texts, tokens). Output `embedding`: float32 (texts, hidden).
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(precision)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.INT32)
    state = _embed(graph, weights)
    for layer in range(weights.shape.layers):
        state = _layer(graph, weights, f"l{layer}", state, mask)
    _pool(graph, state)
    tokens = [helper.make_tensor_value_info(n, TensorProto.INT64, ["texts", "tokens"]) for n in INPUTS]
    vectors = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["texts", weights.shape.hidden])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "multilingual-e5-small", tokens, [vectors], graph.constants),
        opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(_CONTRIB, 1)],
        ir_version=10,
    )
    onnx.save(model, path)


INPUTS = ("input_ids", "attention_mask")
OUTPUT = "embedding"


def _embed(graph: _Graph, weights: E5Weights) -> str:
    """Words and positions. The word table stays in its 4 bits: nothing is lost and it is the largest part."""
    hidden = weights.shape.hidden
    words, scales = weights.quantized("emb.word")
    word = graph.node(
        "GatherBlockQuantized",
        graph.constant("words", words.reshape(-1, hidden // 2)),
        "input_ids",
        graph.constant("word_scales", scales.reshape(-1, hidden // BLOCK)),
        domain=_CONTRIB,
        gather_axis=0,
        quantize_axis=1,
        block_size=BLOCK,
        bits=4,
    )
    token_type = weights.floats("emb.type")[:hidden]
    position = graph.node(
        "Slice",
        graph.constant("positions", weights.floats("emb.pos").reshape(-1, hidden) + token_type),
        graph.constant("from", np.array([0], np.int64)),
        graph.node("Shape", "input_ids", start=1, end=2),
        graph.constant("axis", np.array([0], np.int64)),
    )
    return _normalise(graph, weights, "emb.ln", graph.node("Add", word, position))


def _layer(graph: _Graph, weights: E5Weights, name: str, state: str, mask: str) -> str:
    shape = weights.shape
    query, key, value = (_linear(graph, weights, f"{name}.{part}", state) for part in "qkv")
    heads = graph.node("MultiHeadAttention", query, key, value, "", mask, domain=_CONTRIB, num_heads=shape.heads)
    attention = _linear(graph, weights, f"{name}.ao", heads)
    state = _normalise(graph, weights, f"{name}.aln", graph.node("Add", attention, state))
    inner = graph.node("Gelu", _linear(graph, weights, f"{name}.fi", state))
    outer = _linear(graph, weights, f"{name}.fo", inner)
    return _normalise(graph, weights, f"{name}.oln", graph.node("Add", outer, state))


def _linear(graph: _Graph, weights: E5Weights, name: str, value: str) -> str:
    """value x matrix + bias, in the precision that this matrix bears."""
    from_inner = name.endswith(".fo")
    matrix = weights.matrix(f"{name}.w", weights.shape.inner if from_inner else weights.shape.hidden)
    bias = graph.constant(f"{name}.b", weights.floats(f"{name}.b"))
    if graph.precision == "fp32":
        return graph.node("Add", graph.node("MatMul", value, graph.constant(name, matrix.T)), bias)
    if from_inner:
        return graph.node("Add", _multiply_in_blocks(graph, name, value, matrix), bias)
    scales = np.abs(matrix).max(axis=1) / _WEIGHT_LIMIT
    whole = np.rint(matrix / scales[:, None]).astype(np.int8)
    return graph.node(
        "DynamicQuantizeMatMul",
        value,
        graph.constant(name, whole.T),
        graph.constant(f"{name}.s", scales),
        "",
        bias,
        domain=_CONTRIB,
    )


def _multiply_in_blocks(graph: _Graph, name: str, value: str, matrix: Floats) -> str:
    """8-bit weights and 8-bit inputs (accuracy_level 4), both with a scale for each block of a row."""
    rows, columns = matrix.shape
    blocks = matrix.reshape(rows, columns // _FINE_BLOCK, _FINE_BLOCK)
    scales = np.abs(blocks).max(axis=2) / 127
    whole = (np.rint(blocks / scales[:, :, None]) + 128).astype(np.uint8)
    return graph.node(
        "MatMulNBits",
        value,
        graph.constant(name, whole),
        graph.constant(f"{name}.s", scales.ravel()),
        domain=_CONTRIB,
        K=columns,
        N=rows,
        bits=8,
        block_size=_FINE_BLOCK,
        accuracy_level=4,
    )


def _normalise(graph: _Graph, weights: E5Weights, name: str, value: str) -> str:
    return graph.node(
        "LayerNormalization",
        value,
        graph.constant(f"{name}.w", weights.floats(f"{name}.w")),
        graph.constant(f"{name}.b", weights.floats(f"{name}.b")),
        axis=-1,
        epsilon=weights.shape.norm_epsilon,
    )


def _pool(graph: _Graph, state: str) -> None:
    """Mean over the tokens that the mask keeps, then length 1. Dividing by their number changes no direction."""
    from onnx import TensorProto

    kept = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    column = graph.node("Unsqueeze", kept, graph.constant("last", np.array([2], np.int64)))
    tokens = graph.constant("tokens", np.array([1], np.int64))
    total = graph.node("ReduceSum", graph.node("Mul", state, column), tokens, keepdims=0)
    graph.node("LpNormalization", total, output=OUTPUT, axis=-1, p=2)
