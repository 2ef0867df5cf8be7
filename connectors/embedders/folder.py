"""A sentence encoder in a local folder, as sentence-transformers and the hub lay it out, its graph in ONNX.

Read are `tokenizer.json`; `model.onnx` or `onnx/model.onnx`; and, where they are there, `modules.json`,
`1_Pooling/config.json`, `sentence_bert_config.json`, `tokenizer_config.json` and `config.json`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from ragline.config import settings as config
from ragline.connectors.embedders.local import LocalEmbedder, LocalModel, Pooling, Reader, reader_of
from ragline.connectors.embedders.runtime import damaged
from ragline.errors import SetupError
from ragline.types import Json

GRAPHS = ("model.onnx", "onnx/model.onnx")
TOKENIZER = "tokenizer.json"
FALLBACK_TOKENS = 512
OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet")
"""Model types whose first two positions are never used."""
INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_UNSUPPORTED_MODULES = ("Dense", "CNN", "LSTM", "WordEmbeddings")  # they calculate something after the graph
_LONGEST_NAME = 60

Config = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Output:
    """An output of a graph: `rank` dimensions, the last of `size`, None where the graph leaves it open."""

    name: str
    rank: int
    size: int | None


async def open_folder(settings: config.Embedder) -> LocalEmbedder:
    """Return the model in the folder `settings.path`. Its files are read at first use, the graph's head and hash here.

    Raises SetupError for a folder without a model, and for a model that needs more than this module does.
    """
    if settings.path is None:
        raise SetupError("embedder.path is missing: the folder embedder needs the folder of its model.")
    model = await asyncio.to_thread(
        read_folder,
        settings.path,
        query_prefix=settings.query_prefix or "",
        passage_prefix=settings.passage_prefix or "",
    )
    return LocalEmbedder(model, runtime=settings.runtime, threads=settings.threads, batch_size=settings.batch_size)


def read_folder(folder: Path, *, query_prefix: str = "", passage_prefix: str = "") -> LocalModel:
    """Return what the files say of the model. `model_id` changes with all that changes vectors. Raises as above."""
    graph = next((folder / name for name in GRAPHS if (folder / name).is_file()), None)
    if graph is None or not (folder / TOKENIZER).is_file():
        raise SetupError(f"{str(folder)!r} is no model: {TOKENIZER} and one of {', '.join(GRAPHS)} must be there.")
    _check_modules(folder)
    inputs, outputs = head(graph)
    output, pooling = _choose_output(graph, outputs, _pooling(folder))
    max_tokens = longest_input(folder)
    recipe = f"{pooling} {output.name} {max_tokens} {passage_prefix}"
    return LocalModel(
        graph=graph,
        load_reader=partial(_load_reader, folder / TOKENIZER),
        model_id=f"{folder.resolve().name[:_LONGEST_NAME]}/{_digest(folder, graph, recipe)}",
        dimension=_dimension(folder, output),
        max_tokens=max_tokens,
        query_prefix=query_prefix,
        passage_prefix=passage_prefix,
        inputs=inputs,
        output=output.name,
        pooling=pooling,
    )


def head(graph: Path) -> tuple[list[str], list[Output]]:
    """Return the inputs and outputs that the graph declares."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # nor a package of stubs here

    try:
        declared = onnx.load(graph, load_external_data=False).graph
    except (OSError, DecodeError) as error:
        raise SetupError(damaged(graph, error)) from error
    constants = {constant.name for constant in declared.initializer}
    inputs = [value.name for value in declared.input if value.name not in constants]
    if "input_ids" not in inputs or not set(inputs) <= INPUTS:
        raise SetupError(f"{str(graph)!r} asks for {inputs}: a sentence encoder takes {sorted(INPUTS)} or fewer.")
    outputs = []
    for value in declared.output:
        sizes = value.type.tensor_type.shape.dim
        outputs.append(Output(value.name, len(sizes), (sizes[-1].dim_value or None) if sizes else None))
    return inputs, outputs


def _choose_output(graph: Path, outputs: Sequence[Output], pooling: Pooling) -> tuple[Output, Pooling]:
    """Ready sentence vectors if there are some; BERT's `pooler_output` was trained for something else."""
    ready = [out for out in outputs if out.rank == 2 and (out.name == "sentence_embedding" or len(outputs) == 1)]
    tokens = [out for out in outputs if out.rank == 3]
    if ready:
        return ready[0], "done"
    if tokens:
        return tokens[0], pooling
    names = [out.name for out in outputs]
    raise SetupError(f"{str(graph)!r} returns {names}: neither vectors of tokens nor 'sentence_embedding' is there.")


def _check_modules(folder: Path) -> None:
    modules = _json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    for module in cast(list[Config], modules):
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind in _UNSUPPORTED_MODULES:
            raise SetupError(f"{str(folder)!r} has a module {kind!r} after the encoder, which is not supported.")


def _pooling(folder: Path) -> Pooling:
    """Mean where nothing is said, as in sentence-transformers."""
    path = folder / "1_Pooling" / "config.json"
    settings = config_of(path)
    modes = {name.removeprefix("pooling_mode_") for name, on in settings.items() if on is True and "_mode_" in name}
    modes |= {str(settings["pooling_mode"])} if "pooling_mode" in settings else set()
    known: dict[frozenset[str], Pooling] = {
        frozenset(): "mean",
        frozenset({"mean_tokens"}): "mean",
        frozenset({"mean"}): "mean",
        frozenset({"cls_token"}): "cls",
        frozenset({"cls"}): "cls",
    }
    if frozenset(modes) not in known:
        raise SetupError(f"{str(path)!r} asks for the pooling {sorted(modes)}: only mean and cls are supported.")
    return known[frozenset(modes)]


def longest_input(folder: Path) -> int:
    """The least that a file names: what the model was tuned on, what its tokenizer cuts at, its table of positions."""
    model = config_of(folder / "config.json")
    unused = 2 if model.get("model_type") in OFFSET_POSITIONS else 0
    named = [
        config_of(folder / "sentence_bert_config.json").get("max_seq_length"),
        config_of(folder / "tokenizer_config.json").get("model_max_length"),
    ]
    positions = model.get("max_position_embeddings")
    limits = [limit for limit in named if isinstance(limit, int) and limit > 0]
    limits += [positions - unused] if isinstance(positions, int) and positions > unused else []
    return min(limits, default=FALLBACK_TOKENS)


def _dimension(folder: Path, output: Output) -> int:
    named = [output.size, *(config_of(folder / "config.json").get(name) for name in ("hidden_size", "dim", "d_model"))]
    sizes = [size for size in named if isinstance(size, int) and size > 0]
    if not sizes:
        raise SetupError(f"{str(folder)!r}: neither the graph nor config.json's hidden_size tells the vectors' size.")
    return sizes[0]


def _digest(folder: Path, graph: Path, recipe: str) -> str:
    """Twelve hexadecimal digits of the weights (also in files beside the graph), the tokenizer and the recipe."""
    digest = hashlib.sha256(recipe.encode())
    for path in (folder / TOKENIZER, *sorted(graph.parent.glob(f"{graph.name}*"))):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:12]


def _load_reader(path: Path) -> Reader:
    from tokenizers import Tokenizer

    try:
        return reader_of(Tokenizer.from_str(path.read_text(encoding="utf-8")), str)
    except Exception as error:  # the library raises nothing narrower
        raise SetupError(damaged(path, error)) from error


def config_of(path: Path) -> Config:
    """Return the file's settings, none where it is not there."""
    settings = _json(path) if path.is_file() else {}
    if not isinstance(settings, dict):
        raise SetupError(damaged(path, ValueError("an object is expected")))
    return settings


def _json(path: Path) -> Json:
    try:
        return cast(Json, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SetupError(damaged(path, error)) from error
