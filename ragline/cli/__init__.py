"""The command `ragline`. Errors that Ragline raises on purpose are one line each and exit code 1."""

from __future__ import annotations

import sys

import click

from ragline import __version__
from ragline.cli import check, chunks, documents, evaluating, explaining, reindexing, serving, upkeep
from ragline.errors import RaglineError


class Group(click.Group):
    """Prints Ragline's own errors as a line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except RaglineError as error:
            for line in str(error).splitlines():
                click.echo(f"ragline: {line}", err=True)
            sys.exit(1)


@click.group(cls=Group)
@click.version_option(__version__, package_name="ragline")
def main() -> None:
    """Chat with your documents through Open WebUI's and OpenAI's HTTP APIs."""


for command in (
    serving.serve,
    serving.pull,
    serving.config,
    serving.key,
    documents.ingest,
    documents.sync,
    documents.forget,
    chunks.chunks,
    check.check,
    evaluating.evaluate,
    explaining.explain,
    reindexing.reindex,
    upkeep.audit,
    upkeep.queue,
    upkeep.retry,
    upkeep.cancel,
    upkeep.flows,
):
    main.add_command(command)
