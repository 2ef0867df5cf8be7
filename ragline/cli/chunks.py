"""`ragline chunks`: how a file would be read and cut, without a server and without storing anything."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragline.cli.options import config_option, data_dir_option, run, settings_of
from ragline.errors import BadInput

if TYPE_CHECKING:
    from ragline.config.settings import Chunking, Settings
    from ragline.pipelines.reading import Options
    from ragline.types import Chunk, Parsed

PROFILES = ("auto", "prose", "code", "table", "qa")
ENGINES = ("auto", "fast", "unstructured")
SHOWN_CHARS = 300
"""Of a longer passage the beginning is shown, and this much of it."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file became. `texts` are embedded for the passages, of `tokens` tokens each, the lines before included."""

    content_type: str
    parsed: Parsed
    chunks: Sequence[Chunk]
    texts: Sequence[str]
    tokens: Sequence[int]
    read_s: float
    cut_s: float


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--profile", type=click.Choice(PROFILES), help="How it is cut, else as in the settings.")
@click.option("--max-tokens", type=int, help="Longest passage, in tokens of the embedding model.")
@click.option("--overlap-tokens", type=int, help="Tokens a passage repeats of the one before.")
@click.option("--prefix/--no-prefix", default=None, help="Embed titles and file name with each passage or not.")
@click.option("--engine", type=click.Choice(ENGINES), help="Which library reads it.")
@click.option("--password", help="Password of the document; `-` asks for it.")
@click.option("--full", is_flag=True, help="Show whole passages.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all there is to know.")
@data_dir_option
@config_option
def chunks(
    *,
    file: Path,
    profile: str | None,
    max_tokens: int | None,
    overlap_tokens: int | None,
    prefix: bool | None,
    engine: str | None,
    password: str | None,
    full: bool,
    as_json: bool,
    data_dir: Path | None,
    config_file: Path | None,
) -> None:
    """Show the passages that a file would become.

    FILE is read as an upload would be, in a process with limits. Nothing is stored, and no server is needed.
    """
    from ragline.config.environment import quiet_libraries
    from ragline.pipelines.choices import chosen, in_force
    from ragline.pipelines.reading import Options

    quiet_libraries()
    settings = settings_of(config_file, data_dir)
    cutting = {"profile": profile, "max_tokens": max_tokens, "overlap_tokens": overlap_tokens, "prefix": prefix}
    try:
        wanted = chosen({"parsing": {"engine": engine}, "chunking": cutting})
    except BadInput as error:
        raise click.UsageError(str(error)) from error
    if password == "-":
        password = click.prompt("Password of the document", hide_input=True)
    parsing, chunking = in_force(settings, wanted.stored())
    preview = run(preview_of(settings, file, Options.of(parsing, password=password), chunking))
    if as_json:
        click.echo(json_of(file, preview))
    else:
        show(preview, full=full)


async def preview_of(settings: Settings, path: Path, options: Options, chunking: Chunking) -> Preview:
    """Read a file in a worker and cut it. Raises what an upload and its processing raise."""
    from ragline.connectors.embedders import open_embedder
    from ragline.connectors.workers import Workers
    from ragline.pipelines.accept import type_of
    from ragline.pipelines.chunking.embedded import passages_of
    from ragline.pipelines.read import read_document

    with path.open("rb") as content:
        content_type = type_of(path.name, content)
    workers = Workers(settings.parsing)
    try:
        began = time.monotonic()
        parsed = await read_document(workers, settings.parsing, path, path.name, content_type, options=options)
        read_s = time.monotonic() - began
    finally:
        await workers.close()
    with tempfile.TemporaryDirectory(prefix="ragline-models-") as scratch:
        installed = settings.data_dir.is_dir()
        models = settings.data_dir.resolve() / "models" if installed else Path(scratch)
        embedder = await open_embedder(settings.embedder, folder=models)
        try:
            embedder.count_tokens(["loads the tokenizer"])
            began = time.monotonic()
            found, texts = passages_of(parsed.elements, path.name, settings=chunking, embedder=embedder)
            cut_s = time.monotonic() - began
            tokens = embedder.count_tokens(texts)
        finally:
            await embedder.close()
    return Preview(content_type, parsed, found, texts, tokens, read_s, cut_s)


def show(preview: Preview, *, full: bool) -> None:
    """Print the passages, then what was left out, then figures."""
    from ragline.cli.shown import plain

    for chunk, text, tokens in zip(preview.chunks, preview.texts, preview.tokens, strict=True):
        click.secho(plain(head_of(chunk, tokens)), bold=True)
        for line in text[: len(text) - len(chunk.text)].splitlines():
            click.echo(f"    + {plain(line)}")
        cut = chunk.text if full or len(chunk.text) <= SHOWN_CHARS else chunk.text[:SHOWN_CHARS] + " …"
        for line in cut.split("\n"):
            click.echo(f"    {plain(line)}".rstrip())
    for note in preview.parsed.notes:
        click.echo(f"note: {plain(note)}")
    for name, value in preview.parsed.about.items():
        click.echo(plain(f"{name}: {value}"))
    click.echo(summary_of(preview))


def head_of(chunk: Chunk, tokens: int) -> str:
    """Return where a passage stands, and what it is, in a line."""
    pages = ""
    if chunk.page is not None:
        pages = f"page {chunk.page}" if chunk.page_end in (None, chunk.page) else f"pages {chunk.page}-{chunk.page_end}"
    parts = [
        f"[{chunk.index}] {chunk.start}-{chunk.end}",
        chunk.member,
        pages,
        " ".join(filter(None, [chunk.sheet, chunk.cells])),
        chunk.heading,
        chunk.kind,
        chunk.language,
        f"{tokens} tokens",
    ]
    return "  ".join(filter(None, parts))


def summary_of(preview: Preview) -> str:
    said = f"{preview.content_type}, read in {preview.read_s:.2f} s, cut in {preview.cut_s:.2f} s"
    if not preview.chunks:
        return f"0 passages; {said}"
    least, middle, most = min(preview.tokens), statistics.median(preview.tokens), max(preview.tokens)
    number = len(preview.chunks)
    named = "1 passage" if number == 1 else f"{number} passages"
    return f"{named} of {least} to {most} tokens, median {middle:g}; {said}"


def json_of(path: Path, preview: Preview) -> str:
    import orjson

    passages = [
        {**asdict(chunk), "tokens": tokens, "embedded": text}
        for chunk, text, tokens in zip(preview.chunks, preview.texts, preview.tokens, strict=True)
    ]
    shown = {
        "file": path.name,
        "content_type": preview.content_type,
        "about": dict(preview.parsed.about),
        "notes": list(preview.parsed.notes),
        "passages": passages,
        "read_s": round(preview.read_s, 3),
        "cut_s": round(preview.cut_s, 3),
    }
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
