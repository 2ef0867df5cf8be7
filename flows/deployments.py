"""Deployments in Prefect: a sync for each source, a run for each evaluation, and the run that works on a pool."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from ragline.config.settings import Evaluation, Settings, Source
from ragline.flows.drain import drain_flow
from ragline.flows.evaluate import evaluate_flow
from ragline.flows.sync import sync_flow

TAG = "ragline"
ANCHOR = datetime(2000, 1, 1, tzinfo=UTC)
"""Intervals count from here: from the start of a server, one longer than it lives would never come due."""
DRAIN = "ingest-waiting-files"
"""Name of the deployment whose runs ingest on a work pool; full name `drain/ingest-waiting-files`."""


def deployments(settings: Settings) -> list[RunnerDeployment]:
    """Return one deployment a source and an evaluation, and the one that ingests where there is a work pool."""
    made = [sync_deployment(source) for source in settings.sources]
    made += [evaluation_deployment(evaluation) for evaluation in settings.evaluations]
    if settings.prefect.work_pool is not None:
        made.append(drain_deployment())
    return made


def sync_deployment(source: Source) -> RunnerDeployment:
    """Return the deployment of a source: one run at a time, one that comes due meanwhile is left out."""
    schedule: Schedule | None = None
    if source.cron is not None:
        schedule = Cron(source.cron, timezone=source.timezone)
    elif source.interval_s is not None:
        every = timedelta(seconds=source.interval_s)
        schedule = Interval(every, anchor_date=ANCHOR, timezone=source.timezone)
    return RunnerDeployment.from_flow(
        sync_flow,
        name=source.name,
        schedule=schedule,
        parameters={"source": source.name},
        description=f"{source.kind} {source.location} into the collection {source.collection!r}",
        tags=[TAG, source.kind],
        version=version_of(source),
        concurrency_limit=one_at_a_time(),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def evaluation_deployment(evaluation: Evaluation) -> RunnerDeployment:
    """Return the deployment of an evaluation, `evaluate/<name>`; without cron it runs when somebody asks for it."""
    cron = evaluation.cron
    return RunnerDeployment.from_flow(
        evaluate_flow,
        name=evaluation.name,
        schedule=Cron(cron, timezone=evaluation.timezone) if cron is not None else None,
        parameters={"evaluation": evaluation.name},
        description="Asks a set of questions and tells how good retrieval is.",
        tags=[TAG, "evaluation"],
        version=hashlib.sha256(evaluation.model_dump_json().encode()).hexdigest()[:8],
        concurrency_limit=one_at_a_time(),
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def drain_deployment() -> RunnerDeployment:
    """Return the deployment of `drain`, with no limit of its own: `dispatch` starts as many runs as there may be."""
    return RunnerDeployment.from_flow(
        drain_flow,
        name=DRAIN,
        description="Ingests the files that wait, batch by batch, until none is left.",
        tags=[TAG],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def one_at_a_time() -> ConcurrencyLimitConfig:
    return ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


def version_of(source: Source) -> str:
    """Return a version that changes with the settings of the source, its secrets left out."""
    return hashlib.sha256(source.model_dump_json(exclude={"secrets"}).encode()).hexdigest()[:8]


async def deploy(settings: Settings) -> list[str]:
    """Create or update the deployments in Prefect, on the work pool where there is one, and return their full names.

    Deployments of sources and evaluations that the settings have no more are deleted.
    """
    pool = settings.prefect.work_pool
    if pool is not None:
        await ensure_pool(pool)
    names = []
    for deployment in deployments(settings):
        await deployment.aapply(work_pool_name=pool)
        names.append(f"{deployment.flow_name}/{deployment.name}")
    await delete_others(set(names))
    return names


async def ensure_pool(name: str) -> None:
    """Make the work pool, of processes, where there is none of this name."""
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    async with get_client() as client:
        try:
            await client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return


async def delete_others(names: set[str]) -> None:
    """Delete Ragline's deployments of other names: their sources are gone."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    async with get_client() as client:
        known = await client.read_deployments(
            deployment_filter=DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG])), limit=200
        )
        for deployment in known:
            flow = await client.read_flow(deployment.flow_id)
            if f"{flow.name}/{deployment.name}" not in names:
                await client.delete_deployment(deployment.id)
