"""The Prefect flow `evaluate`: one run asks a set of questions, keeps the numbers, and fails where they are too bad."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import flow, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from ragline.app import open_app, open_stores
from ragline.bootstrap import first_admin
from ragline.config.environment import quiet_libraries
from ragline.config.load import load_settings
from ragline.config.settings import Evaluation as EvaluationSettings
from ragline.config.settings import Settings
from ragline.errors import NotFound
from ragline.retrieval.evaluation.asking import Asker, InProcess
from ragline.retrieval.evaluation.history import earlier, keep
from ragline.retrieval.evaluation.metrics import METRICS
from ragline.retrieval.evaluation.over_http import ROUTES, OverHttp
from ragline.retrieval.evaluation.report import page
from ragline.retrieval.evaluation.results import Evaluation
from ragline.retrieval.evaluation.run import run_beir, run_golden
from ragline.retrieval.evaluation.sets import read_set
from ragline.retrieval.evaluation.words import Speech
from ragline.running import running_server

REPORTS = "eval/reports"
"""Folder in the data folder: the last report of each evaluation, by its name."""
KEY_NAME = "scheduled evaluation"
KEY_S = 24 * 3600
"""How long the key of a run is valid that could not delete it."""


@flow(name="evaluate", flow_run_name="evaluate {evaluation}")
async def evaluate_flow(evaluation: str) -> State[None]:
    """Ask the questions of one of the [[evaluations]]; the run fails under its `fail_under`."""
    quiet_libraries()
    settings = load_settings()
    own = named(settings, evaluation)
    done = await measure.with_options(task_run_name=f"measure {own.name}")(settings, own)
    await report(settings, own, done)
    message = summary(own, done)
    await acreate_table_artifact(
        key=f"evaluate-{own.name}".replace("_", "-"), table=rows_of(done), description=f"{own.name}: {message}"
    )
    mean = done.configurations[-1].figure().mean
    failed = own.fail_under is not None and mean < own.fail_under
    return Failed(message=message) if failed else Completed(message=message)


@task(name="measure", cache_policy=NO_CACHE, persist_result=False)
async def measure(settings: Settings, own: EvaluationSettings) -> Evaluation:
    """Ask all questions: of the server that has the data folder, else of the installation itself."""
    chosen = await asyncio.to_thread(read_set, own.path)
    if chosen.kind == "beir":
        return await run_beir(settings, chosen, [{}], progress=silent)
    async with an_asker(settings) as asker:
        return await run_golden(asker, settings, chosen, [{}], collection=own.collection, progress=silent)


@asynccontextmanager
async def an_asker(settings: Settings) -> AsyncIterator[Asker]:
    """Give who answers: the running server, by a key for this run only, or the installation in this process."""
    running = await asyncio.to_thread(running_server, settings.data_dir)
    if running is None:
        async with open_app(settings) as app:
            yield InProcess(app, (await first_admin(app.records, settings.auth))[0])
        return
    async with open_stores(settings) as stores:
        admin, _ = await first_admin(stores.records, settings.auth)
        expires_at = int(time.time()) + KEY_S
        key, made = await stores.records.keys.add(admin.id, name=KEY_NAME, routes=ROUTES, expires_at=expires_at)
        try:
            async with OverHttp(running.url, key) as asker:
                yield asker
        finally:
            await stores.records.keys.delete(admin.id, key_id=made.id)


async def report(settings: Settings, own: EvaluationSettings, done: Evaluation) -> None:
    """Keep the numbers, and write the page anew."""

    def write() -> None:
        runs = earlier(settings.data_dir, done)
        keep(settings.data_dir, done)
        path = settings.data_dir / REPORTS / f"{own.name}.html"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(page(done, runs, language="en"), encoding="utf-8")

    await asyncio.to_thread(write)


def named(settings: Settings, name: str) -> EvaluationSettings:
    """Return the evaluation of this name. Raises NotFound."""
    for own in settings.evaluations:
        if own.name == name:
            return own
    known = ", ".join(own.name for own in settings.evaluations) or "none; add [[evaluations]] to ragline.toml"
    raise NotFound(f"no evaluation {name!r}; known: {known}")


def summary(own: EvaluationSettings, done: Evaluation) -> str:
    """Return the outcome in a line."""
    figure = done.configurations[-1].figure()
    said = f"nDCG@10 {figure.mean:.4f} ({figure.low:.3f} to {figure.high:.3f}) on {len(done.set.questions)} questions"
    if own.fail_under is None:
        return said
    if figure.mean < own.fail_under:
        return f"{said}: {own.fail_under - figure.mean:.4f} under fail_under = {own.fail_under:g}"
    return f"{said}, not under fail_under = {own.fail_under:g}"


def rows_of(done: Evaluation) -> list[dict[str, object]]:
    """Return a row for each way to search, with the interval of nDCG@10."""
    one, say = done.configurations[-1], Speech("en")
    return [
        {
            "search": say(row),
            **{metric: round(figure.mean, 4) for metric, figure in zip(METRICS, figures, strict=True)},
            "nDCG@10 low": round(figures[0].low, 4),
            "nDCG@10 high": round(figures[0].high, 4),
        }
        for row, figures in one.figures.items()
    ]


def silent(what: str, done: int, total: int) -> None:
    """A run shows its end."""
