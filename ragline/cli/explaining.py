"""`ragline explain`: how a question is searched, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragline.cli.options import config_option, data_dir_option, run, settings_of
from ragline.errors import BadInput

if TYPE_CHECKING:
    from ragline.retrieval.explained import Explanation


@click.command()
@click.argument("question")
@click.option("--collection", multiple=True, help="Name or id of a collection to search; without any, everything.")
@click.option("--file", "files", multiple=True, metavar="ID", help="Id of a file to search.")
@click.option("--before", multiple=True, metavar="QUESTION", help="A question before this one, the oldest first.")
@click.option("--set", "set_", multiple=True, metavar="NAME=VALUE", help="Search with this value of a setting.")
@click.option("--all", "all_rows", is_flag=True, help="Show all candidates.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all there is to know.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page that shows it.")
@click.option("--lang", type=click.Choice(["en", "fr"]), help="Language of the page, else that of the question.")
@click.option("--server", help="Address of a Ragline server, instead of the one of this machine.")
@click.option("--key", envvar="RAGLINE_KEY", help="API key for --server, else that of RAGLINE_KEY.")
@data_dir_option
@config_option
def explain(
    *,
    question: str,
    collection: Sequence[str],
    files: Sequence[str],
    before: Sequence[str],
    set_: Sequence[str],
    all_rows: bool,
    as_json: bool,
    html: Path | None,
    lang: str | None,
    server: str | None,
    key: str | None,
    data_dir: Path | None,
    config_file: Path | None,
) -> None:
    """Show how a question is searched: what each step finds, how it is scored, and why a passage is left out."""
    if not question.strip():
        raise click.UsageError("the question is empty: write what is to be searched for")
    if html is not None and not html.absolute().parent.is_dir():
        raise BadInput(f"--html: there is no folder {str(html.absolute().parent)!r}")
    asked = {
        "query": question.encode("utf-8", "replace").decode(),
        "collection_names": [*collection, *(f"file-{id}" for id in files)],
        "before": list(before),
        **wishes(set_),
    }
    said = run(asked_at(server, key, asked) if server is not None else asked_here(config_file, data_dir, asked))
    if html is not None:
        from ragline.retrieval.explain_page import page

        language = lang or ("fr" if said.language == "fr" else "en")
        html.write_text(page(said, language="fr" if language == "fr" else "en"), encoding="utf-8")
        click.echo(f"wrote {html}", err=True)
    if as_json:
        click.echo(said.model_dump_json(indent=2))
    elif html is None:
        from ragline.cli.explained import lines_of

        for line in lines_of(said, all_rows=all_rows):
            click.echo(line)


def wishes(given: Sequence[str]) -> dict[str, object]:
    """Return what is to be other than in the settings, as JSON has it. Raises BadInput for what is no NAME=VALUE."""
    from pydantic import TypeAdapter, ValidationError

    from ragline.config.allowed import faults
    from ragline.retrieval.wishes import Wishes

    pairs: dict[str, str] = {}
    for one in given:
        name, sign, value = one.partition("=")
        name = name.strip().removeprefix("retrieval.")
        if not sign:
            raise BadInput(f"--set {one!r} sets nothing: write a name and its value, as in top_k=5")
        pairs[name] = value.strip()
    try:
        known = TypeAdapter(Wishes).validate_python(pairs)
    except ValidationError as error:
        raise BadInput("\n".join(f"--set: {line}" for line in faults(error, Wishes.model_fields))) from None
    return known.model_dump(mode="json", exclude_unset=True)


async def asked_here(config_file: Path | None, data_dir: Path | None, asked: Mapping[str, object]) -> Explanation:
    """Ask the server that has the data folder, or one for this command."""
    from ragline.local import a_server, check_installed

    settings = settings_of(config_file, data_dir)
    check_installed(settings)
    async with a_server(settings) as server:
        await asked_at(server.url, server.token, {"query": "warm"})  # a model that is still to be loaded takes seconds
        return await asked_at(server.url, server.token, asked)


async def asked_at(url: str, token: str | None, asked: Mapping[str, object]) -> Explanation:
    from ragline.client import Client
    from ragline.retrieval.explained import Explanation

    async with Client(url, token) as client:
        await client.check()
        return Explanation.model_validate(await client.explain(asked))
