"""The Prefect flow `ingest`: one run takes a batch of files, with a task for each stage and a table of results."""

from __future__ import annotations

from contextvars import ContextVar

from prefect import flow, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from ragline.app import App
from ragline.pipelines.ingest import STAGES, Batch, ingest, run_stage

current: ContextVar[tuple[App, Batch]] = ContextVar("current")
"""What the run works on. Not a parameter: Prefect would write it out and read it back."""

ARTIFACT_KEY = "ingested-files"


@flow(name="ingest", flow_run_name="ingest {title}", validate_parameters=False)
async def ingest_flow(title: str, file_ids: list[str]) -> State[None]:
    """Ingest the batch in `current`; `title` and `file_ids` are what the Prefect UI shows of it."""
    app, batch = current.get()
    batch.flow_run_id = str(flow_run.id)
    await ingest(app, batch, run=stage_task)
    await acreate_table_artifact(
        key=ARTIFACT_KEY, table=results(batch), description=f"{len(batch.jobs)} files, {chunk_count(batch)} passages"
    )
    summary = f"{len(batch.live)} of {len(batch.jobs)} files, {chunk_count(batch)} passages"
    if not batch.live and not batch.failed:
        return Completed(message="cancelled or deleted meanwhile")
    return Completed(message=summary) if batch.live else Failed(message=f"no file could be read: {summary}")


async def stage_task(number: int) -> None:
    """Run a stage as a task of its own name."""
    name = STAGES[number].__name__.removesuffix("_batch")
    await run_task.with_options(name=name, task_run_name=name)(number)


@task(cache_policy=NO_CACHE, persist_result=False)
async def run_task(number: int) -> None:
    app, batch = current.get()
    await run_stage(app, batch, number)


def results(batch: Batch) -> list[dict[str, object]]:
    """Return a row a file: name, outcome, passages, seconds, reason."""
    return [
        {
            "file": job.file.filename,
            "outcome": "failed" if job.error else "cancelled" if job.lost else "completed",
            "chunks": len(job.chunks),
            "seconds": round(job.seconds, 2),
            "reason": job.error or "",
            "id": job.file.id,
        }
        for job in batch.jobs
    ]


def chunk_count(batch: Batch) -> int:
    return sum(len(job.chunks) for job in batch.live)
