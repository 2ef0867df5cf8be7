"""Write multilingual-e5-small as an ONNX graph: token ids in, sentence vectors of length 1 out.

Only standard operators, so that any runtime calculates it. In int8 the 72 matrices of the layers and their inputs have
8 bits on fixed scales (weights one for each output, inputs one for all, smoothed: `e5_ranges.py`); attention and norms
stay in floats. How this was chosen is in docs/decisions/006-openvino-and-fixed-scales.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ragline.connectors.embedders.e5_ranges import Inputs, inputs_of
from ragline.connectors.embedders.e5_weights import BLOCK, E5Weights, Floats

Precision = Literal["int8", "fp32"]
INPUTS = ("input_ids", "attention_mask")
OUTPUT = "embedding"
_FAR_BELOW = 1e4  # subtracted from the score of a token that the mask leaves out


@dataclass
class _Graph:
    """Nodes and constants in the making; each value is known by its name."""

    weights: E5Weights
    precision: Precision
    weight_limit: int
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    matrix_inputs: dict[str, str] = field(default_factory=dict)

    def constant(self, name: str, values: npt.ArrayLike) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def whole(self, name: str, *values: int) -> str:
        return self.constant(name, np.array(values, np.int64))

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name


def write_graph(
    weights: E5Weights, path: Path, *, precision: Precision, weight_limit: int = 127, show_inputs: bool = False
) -> dict[str, str]:
    """Write the model to `path`. `fp32` calculates with the decoded weights: the reference for tests. Int8
    weights lie in -weight_limit..weight_limit.

    Inputs `input_ids` and `attention_mask`: int64 (texts, tokens). Output `embedding`: float32 (texts, hidden). Returns
    the names in the graph of what goes into the matrices; `show_inputs` makes them outputs too, for calibration.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph(weights, precision, weight_limit)
    state = _embed(graph)
    mask = graph.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    far = _bias_of(graph, mask)
    for layer in range(weights.shape.layers):
        state = _layer(graph, f"l{layer}", state, far)
    _pool(graph, state, mask)
    tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"]) for name in INPUTS]
    outputs = [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["texts", weights.shape.hidden])]
    if show_inputs:
        shown = graph.matrix_inputs.values()
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in shown]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "multilingual-e5-small", tokens, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )
    onnx.save(model, path)
    return graph.matrix_inputs


def _embed(graph: _Graph) -> str:
    """Words and positions. The word table stays in its 4 bits: nothing is lost and it is the largest part."""
    from onnx import TensorProto

    weights, hidden = graph.weights, graph.weights.shape.hidden
    packed, scales = weights.quantized("emb.word")
    blocks = hidden // BLOCK
    pairs = graph.node("Gather", graph.constant("words", packed.reshape(-1, hidden // 2)), "input_ids")
    scale = graph.node(
        "Gather", graph.constant("word_scales", scales.reshape(-1, blocks, 1).astype(np.float16)), "input_ids"
    )
    # Looking up both weights of a byte takes a quarter of the time of shifting and masking it.
    byte = np.arange(256)
    both = graph.constant("weights_of_byte", np.stack([(byte & 15) - 8, (byte >> 4) - 8], axis=1).astype(np.float32))
    values = graph.node("Gather", both, graph.node("Cast", pairs, to=TensorProto.INT32))
    values = graph.node("Reshape", values, graph.whole("in_blocks", 0, 0, blocks, BLOCK))
    values = graph.node("Mul", values, graph.node("Cast", scale, to=TensorProto.FLOAT))
    word = graph.node("Reshape", values, graph.whole("joined", 0, 0, hidden))
    position = graph.node(
        "Slice",
        graph.constant(
            "positions", weights.floats("emb.pos").reshape(-1, hidden) + weights.floats("emb.type")[:hidden]
        ),
        graph.whole("from", 0),
        graph.node("Shape", "input_ids", start=1, end=2),
        graph.whole("axis", 0),
    )
    return _normalise(graph, "emb.ln", graph.node("Add", word, position))


def _bias_of(graph: _Graph, mask: str) -> str:
    """What is added to the scores of attention: 0 for a token that counts, far below the rest for one that does not."""
    spread = graph.node("Unsqueeze", mask, graph.whole("heads_and_rows", 1, 2))
    less_one = graph.node("Sub", spread, graph.constant("one", np.float32(1)))
    return graph.node("Mul", less_one, graph.constant("far_below", np.float32(_FAR_BELOW)))


def _layer(graph: _Graph, name: str, state: str, far: str) -> str:
    attention = _linear(graph, f"{name}.ao", _attend(graph, name, state, far))
    state = _normalise(graph, f"{name}.aln", graph.node("Add", attention, state))
    inner = graph.node("Gelu", _linear(graph, f"{name}.fi", state))
    outer = _linear(graph, f"{name}.fo", inner)
    return _normalise(graph, f"{name}.oln", graph.node("Add", outer, state))


def _attend(graph: _Graph, name: str, state: str, far: str) -> str:
    shape = graph.weights.shape
    size = shape.hidden // shape.heads
    split = graph.whole(f"{name}.split", 0, 0, shape.heads, size)
    heads = {}
    for part, order in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        rows = graph.node("Reshape", _linear(graph, f"{name}.{part}", state), split)
        heads[part] = graph.node("Transpose", rows, perm=order)
    scores = graph.node("Add", graph.node("MatMul", heads["q"], heads["k"]), far)
    mixed = graph.node("MatMul", graph.node("Softmax", scores, axis=-1), heads["v"])
    together = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
    return graph.node("Reshape", together, graph.whole(f"{name}.join", 0, 0, shape.hidden))


def _linear(graph: _Graph, name: str, value: str) -> str:
    """value x matrix + bias, in the precision asked for."""
    layer, part = name.split(".")
    shared = f"{layer}.q" if part in ("q", "k", "v") else name  # these three read the same
    matrix, bias, factor = _parameters(graph.weights, layer, part)
    if graph.precision == "fp32":
        graph.matrix_inputs[shared] = value
        product = graph.node("MatMul", value, graph.constant(name, (matrix * factor[:, None]).T))
    else:
        inputs = inputs_of(shared, _rows_reading(graph.weights, shared))
        if part == "v":  # attention only mixes rows: what follows may be divided here, where it costs nothing
            factor = factor / inputs_of(f"{layer}.ao", _rows_reading(graph.weights, f"{layer}.ao")).divisors
        if shared not in graph.matrix_inputs:
            graph.matrix_inputs[shared] = _in_8_bits(graph, shared, value, inputs, divide=part != "ao")
        whole = _weights_in_8_bits(graph, name, matrix * inputs.divisors * factor[:, None])
        product = graph.node("MatMul", graph.matrix_inputs[shared], whole)
    return graph.node("Add", product, graph.constant(f"{name}.b", bias * factor))


def _parameters(weights: E5Weights, layer: str, part: str) -> tuple[Floats, Floats, Floats]:
    """Return a matrix, its bias, and a factor for each output; scores of attention are divided by sqrt(head size)."""
    shape = weights.shape
    matrix = weights.matrix(f"{layer}.{part}.w", shape.inner if part == "fo" else shape.hidden)
    factor = (shape.hidden / shape.heads) ** -0.5 if part == "q" else 1.0
    return matrix, weights.floats(f"{layer}.{part}.b"), np.full(len(matrix), factor, np.float32)


def _rows_reading(weights: E5Weights, name: str) -> Floats:
    """All rows that are multiplied with the inputs `name`."""
    layer, part = name.split(".")
    parts = ("q", "k", "v") if part == "q" else (part,)
    return np.concatenate([_parameters(weights, layer, part)[0] for part in parts])


def _in_8_bits(graph: _Graph, name: str, value: str, inputs: Inputs, *, divide: bool) -> str:
    if divide:
        value = graph.node("Mul", value, graph.constant(f"{name}.divide", (1 / inputs.divisors).astype(np.float32)))
    scale = graph.constant(f"{name}.scale", np.float32(inputs.scale))
    zero = graph.constant(f"{name}.zero", np.uint8(inputs.zero))
    return graph.node("DequantizeLinear", graph.node("QuantizeLinear", value, scale, zero), scale, zero)


def _weights_in_8_bits(graph: _Graph, name: str, matrix: Floats) -> str:
    scales = (np.abs(matrix).max(axis=1) / graph.weight_limit).astype(np.float32)
    return graph.node(
        "DequantizeLinear",
        graph.constant(name, np.rint(matrix / scales[:, None]).astype(np.int8).T),
        graph.constant(f"{name}.scales", scales),
        graph.constant(f"{name}.zeros", np.zeros(len(scales), np.int8)),
        axis=1,
    )


def _normalise(graph: _Graph, name: str, value: str) -> str:
    return graph.node(
        "LayerNormalization",
        value,
        graph.constant(f"{name}.w", graph.weights.floats(f"{name}.w")),
        graph.constant(f"{name}.b", graph.weights.floats(f"{name}.b")),
        axis=-1,
        epsilon=graph.weights.shape.norm_epsilon,
    )


def _pool(graph: _Graph, state: str, mask: str) -> None:
    """Mean over the tokens that the mask keeps, then length 1. Dividing by their number changes no direction."""
    column = graph.node("Unsqueeze", mask, graph.whole("last", 2))
    total = graph.node("ReduceSum", graph.node("Mul", state, column), graph.whole("tokens", 1), keepdims=0)
    graph.node("LpNormalization", total, output=OUTPUT, axis=-1, p=2)
