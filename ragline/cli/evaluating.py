"""`ragline eval`: how good retrieval is on a set of questions whose right answers are known."""

from __future__ import annotations

import json
import locale
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragline.cli.options import config_option, data_dir_option, run, settings_of
from ragline.errors import BadInput, NotFound

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ragline.config.settings import Settings
    from ragline.retrieval.evaluation.index import Progress
    from ragline.retrieval.evaluation.results import Evaluation
    from ragline.retrieval.evaluation.sets import QuestionSet

DOING: Mapping[str, str] = {
    "embed": "embedding documents",
    "calibrate": "calibrating",
    "ask": "asking",
    "ask A": "asking, A",
    "ask B": "asking, B",
}
"""What is shown of the parts of the work."""


@click.command("eval")
@click.argument("target", metavar="PATH")
@click.option("--collection", help="Name or id of the collection that a golden set is asked of; without it, all.")
@click.option("--set", "set_", multiple=True, metavar="SETTING=VALUE", help="Search with this setting.")
@click.option("--against", multiple=True, metavar="SETTING=VALUE", help="Compare with a search that has this setting.")
@click.option("--limit", type=click.IntRange(min=1), help="Ask only so many of the questions, drawn by --seed.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which questions --limit draws.")
@click.option("--fail-under", type=click.FloatRange(0, 1), help="Exit with 1 where nDCG@10 is less.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with all there is to know.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page with plots.")
@click.option("--lang", type=click.Choice(["en", "fr"]), help="Language of the page, else that of the locale.")
@click.option("--history/--no-history", default=True, show_default=True, help="Keep the result, show earlier ones.")
@click.option("--rebuild", is_flag=True, help="Cut and store the documents of a BEIR set anew.")
@click.option("--server", help="Address of a Ragline server for a golden set, instead of the one of this machine.")
@click.option("--key", envvar="RAGLINE_KEY", help="API key for --server, else that of RAGLINE_KEY.")
@data_dir_option
@config_option
def evaluate(
    *,
    target: str,
    collection: str | None,
    set_: Sequence[str],
    against: Sequence[str],
    limit: int | None,
    seed: int,
    fail_under: float | None,
    as_json: bool,
    report: Path | None,
    lang: str | None,
    history: bool,
    rebuild: bool,
    server: str | None,
    key: str | None,
    data_dir: Path | None,
    config_file: Path | None,
) -> None:
    """Measure retrieval on questions with known answers.

    PATH is a folder in BEIR's layout, a golden set of yours (CSV, TSV or JSON Lines with the columns question and file)
    or the name of one of the [[evaluations]] in ragline.toml.
    """
    settings = settings_of(config_file, data_dir)
    from ragline.cli.evaluated import lines_of
    from ragline.config.environment import quiet_libraries
    from ragline.retrieval.evaluation.choices import parsed
    from ragline.retrieval.evaluation.history import earlier, entries, keep
    from ragline.retrieval.evaluation.report import page
    from ragline.retrieval.evaluation.sets import read_set

    quiet_libraries()
    path, collection, fail_under = meant(settings, target, collection, fail_under)
    base = parsed(set_)
    sets = [base, {**base, **parsed(against)}] if against else [base]
    if report is not None and not report.absolute().parent.is_dir():
        raise BadInput(f"--report: there is no folder {str(report.absolute().parent)!r}")
    chosen = read_set(path).sampled(limit, seed)
    if chosen.kind == "beir" and (collection or server):
        raise BadInput(f"{chosen.name!r} brings its own documents: --collection and --server are for golden sets")
    place = Place(settings, collection, server, key)
    evaluation = run(asked(place, chosen, sets, rebuild=rebuild))
    runs = earlier(settings.data_dir, evaluation) if history else []
    if as_json:
        click.echo(json.dumps(list(entries(evaluation)), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(lines_of(evaluation, runs)))
    if history:
        keep(settings.data_dir, evaluation)
    if report is not None:
        text = page(evaluation, runs, language="fr" if spoken(lang) == "fr" else "en")
        try:
            report.write_text(text, encoding="utf-8")
        except OSError as error:
            raise BadInput(f"--report: {str(report)!r} cannot be written: {error.strerror}") from error
    sys.exit(judged(evaluation, fail_under))


@dataclass(frozen=True, slots=True)
class Place:
    """Who is asked: the installation of these settings, or a server elsewhere."""

    settings: Settings
    collection: str | None
    server: str | None
    key: str | None


def meant(
    settings: Settings, target: str, collection: str | None, fail_under: float | None
) -> tuple[Path, str | None, float | None]:
    """Return the path of a set, or that of the evaluation of this name with what its settings say. Raises NotFound."""
    path = Path(target)
    named = {one.name: one for one in settings.evaluations}
    if path.exists() or (target not in named and not named):
        return path, collection, fail_under
    if target not in named:
        raise NotFound(f"{target!r}: there is no such folder or file, nor an evaluation; known: {', '.join(named)}")
    own = named[target]
    return own.path, collection or own.collection, own.fail_under if fail_under is None else fail_under


async def asked(place: Place, chosen: QuestionSet, sets: Sequence[Mapping[str, str]], *, rebuild: bool) -> Evaluation:
    """Ask all questions and return what was found."""
    from ragline.retrieval.evaluation.run import run_beir

    with showing() as progress:
        if chosen.kind == "beir":
            return await run_beir(place.settings, chosen, sets, progress=progress, rebuild=rebuild)
        if place.server is not None:
            return await asked_at(place, chosen, sets, progress, url=place.server, token=place.key)
        from ragline.local import a_server, check_installed

        check_installed(place.settings)
        async with a_server(place.settings) as server:
            return await asked_at(place, chosen, sets, progress, url=server.url, token=server.token)


async def asked_at(
    place: Place,
    chosen: QuestionSet,
    sets: Sequence[Mapping[str, str]],
    progress: Progress,
    *,
    url: str,
    token: str | None,
) -> Evaluation:
    """Ask the questions of a golden set of a server."""
    from ragline.retrieval.evaluation.over_http import OverHttp
    from ragline.retrieval.evaluation.run import run_golden

    async with OverHttp(url, token) as asker:
        return await run_golden(asker, place.settings, chosen, sets, collection=place.collection, progress=progress)


@contextmanager
def showing() -> Iterator[Progress]:
    """Give what shows how far it is, on standard error: a bar on a terminal, else a line for each part of the work."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True, highlight=False)
    begun: dict[str, TaskID] = {}
    if not console.is_terminal:
        seen: set[str] = set()

        def line(what: str, done: int, total: int) -> None:
            if what not in seen:
                seen.add(what)
                click.echo(
                    f"{DOING.get(what, what)} … ({total})" if total > 1 else f"{DOING.get(what, what)} …", err=True
                )

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn())
    with Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console, transient=True) as bars:

        def bar(what: str, done: int, total: int) -> None:
            if what not in begun:
                begun[what] = bars.add_task(DOING.get(what, what), total=total)
            bars.update(begun[what], completed=done, total=total)

        yield bar


def spoken(lang: str | None) -> str:
    """Return the language that was asked for, else that of the locale."""
    return lang or (locale.getlocale()[0] or "en")[:2].lower()


def judged(evaluation: Evaluation, fail_under: float | None) -> int:
    """Return the exit code, and say by how much nDCG@10 is too low."""
    if fail_under is None:
        return 0
    *_, last = evaluation.configurations
    mean = last.figure().mean
    if mean >= fail_under:
        return 0
    name = f" of {last.configuration.name}" if last.configuration.name else ""
    click.echo(
        f"ragline: nDCG@10{name} is {mean:.4f}: {fail_under - mean:.4f} under the {fail_under:g} of --fail-under",
        err=True,
    )
    return 1
