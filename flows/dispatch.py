"""Where a work pool ingests: the server starts runs of `drain` on it as long as files wait."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING
from uuid import UUID

from ragline.app import App
from ragline.background import in_background
from ragline.connectors.records.changes import QUEUE
from ragline.flows.prefect_server import PrefectServer
from ragline.flows.runner import BATCH_BYTES, BATCH_FILES, upkeep

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.filters import FlowRunFilter
    from prefect.client.schemas.objects import FlowRun

log = logging.getLogger(__name__)

LOOK_S = 10.0
"""How often the queue is looked at without being told."""
PAUSE_S = 2.0
"""Shortest time between two looks: uploads come in crowds."""
SILENT_S = 60.0
"""A run that gave no sign of life for so long, and holds no file, has lost its process."""
START_S = 300.0
"""So long a worker may take to start the process of a run."""


@asynccontextmanager
async def dispatching(app: App, prefect: PrefectServer) -> AsyncIterator[None]:
    """Have workers ingest what waits, for the length of the block."""
    async with in_background(dispatch(app, prefect), upkeep(app)):
        yield


async def dispatch(app: App, prefect: PrefectServer) -> None:
    """Look at the queue for ever. When Prefect does not answer, files wait and the log says so, once."""
    pool = Pool(app)
    trouble: str | None = None
    with app.records.changes.watching(QUEUE) as told:
        while True:
            told.clear()
            try:
                await look(pool, prefect)
                if trouble:
                    log.info("workers can be asked again: %s", prefect.api_url)
                trouble = None
            except Exception as error:  # noqa: BLE001  # the edge of the loop: it must not end
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("files wait, no worker can be asked to ingest: %s", trouble)
            await asyncio.sleep(PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await told.wait()


async def look(pool: Pool, prefect: PrefectServer) -> None:
    """Look once, unless another server on this database is at it: two would start too many runs."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    if not await prefect.answers():
        raise ConnectionError(f"Prefect does not answer at {prefect.api_url}")
    with temporary_settings({PREFECT_API_URL: prefect.api_url}):
        async with pool.app.records.alone("dispatch") as ours, get_client() as client:
            if ours:
                await pool.look(client)


class Pool:
    """What a server knows of the runs that ingest: whether they are deployed, and how long each has been silent."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._deployment: UUID | None = None
        self._heard: dict[UUID, tuple[object, float]] = {}
        self._orphans: set[UUID] = set()

    async def look(self, client: PrefectClient) -> None:
        """Close the runs whose process has ended and start those that are missing."""
        from prefect.exceptions import ObjectNotFound

        if self._deployment is None:
            self._deployment = await deployed(self.app, client)
        living = await self._close_dead(client)
        files, size_bytes = await self.app.records.queue.due()
        owners = await self.app.records.queue.owners()
        batches = math.ceil(max(files / BATCH_FILES, size_bytes / BATCH_BYTES))
        if files and all(works(run, owners) for run in living):
            batches = max(batches, len(living) + 1)  # all have their hands full
        for _ in range(min(self.app.settings.prefect.max_workers, batches) - len(living)):
            try:
                run = await client.create_flow_run_from_deployment(self._deployment)
            except ObjectNotFound:
                self._deployment = None  # somebody deleted it: deploy again
                raise
            log.info("asked for a worker run=%s waiting=%d", run.id, files)

    async def _close_dead(self, client: PrefectClient) -> list[FlowRun]:
        """Set runs whose process has ended to Crashed, and return those that live."""
        runs = await unfinished(client, "drain")
        owners = await self.app.records.queue.owners()
        now = time.monotonic()
        self._heard = {run.id: self._last_sign(run, now) for run in runs}
        living = []
        for run in runs:
            silent_s = now - self._heard[run.id][1]
            if silent_s < patience_s(run) or works(run, owners):
                living.append(run)
            else:
                await close(client, [*await children(client, [run]), run])
        await self._close_orphans(client, living)
        return living

    def _last_sign(self, run: FlowRun, now: float) -> tuple[object, float]:
        """Return what the run shows of itself and since when. By our own clock: those of workers may be wrong."""
        from ragline.flows.drain import BEAT

        shown = (run.state_type, run.labels.get(BEAT))
        known = self._heard.get(run.id)
        return known if known and known[0] == shown else (shown, now)

    async def _close_orphans(self, client: PrefectClient, living: Sequence[FlowRun]) -> None:
        """Close the unfinished batches of runs that are over, if they still are at the next look."""
        batches = [run for run in await unfinished(client, "ingest") if run.parent_task_run_id]
        kept = {run.id for run in await children(client, living)} if batches and living else set()
        orphans = [run for run in batches if run.id not in kept]
        await close(client, [run for run in orphans if run.id in self._orphans])
        self._orphans = {run.id for run in orphans}


async def deployed(app: App, client: PrefectClient) -> UUID:
    """Bring the deployments in line with the settings and return the id of the one whose runs ingest."""
    from ragline.flows.deployments import DRAIN, deploy

    names = await deploy(app.settings)
    log.info("deployed in Prefect: %s", ", ".join(names))
    return (await client.read_deployment_by_name(f"drain/{DRAIN}")).id


def works(run: FlowRun, owners: Iterable[str]) -> bool:
    """Tell whether a run has files in hand; `drain.owner_of` puts its id at the end."""
    return any(owner.endswith(str(run.id)) for owner in owners)


def patience_s(run: FlowRun) -> float:
    """Return how long a run may show no sign of life: one that no worker has taken yet waits for ever."""
    from prefect.client.schemas.objects import StateType

    return {StateType.RUNNING: SILENT_S, StateType.PENDING: START_S}.get(run.state_type or StateType.RUNNING, math.inf)


async def unfinished(client: PrefectClient, flow: str) -> list[FlowRun]:
    """Return the runs of a flow that wait or run."""
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    return await client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])), flow_run_filter=open_runs()
    )


async def children(client: PrefectClient, parents: Sequence[FlowRun]) -> list[FlowRun]:
    """Return the unfinished runs below these."""
    from prefect.client.schemas.filters import FlowRunFilterParentFlowRunId

    below = open_runs()
    below.parent_flow_run_id = FlowRunFilterParentFlowRunId(any_=[run.id for run in parents])
    return await client.read_flow_runs(flow_run_filter=below)


def open_runs() -> FlowRunFilter:
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
    from prefect.client.schemas.objects import StateType

    states = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING]
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=states)))


async def close(client: PrefectClient, runs: Sequence[FlowRun]) -> None:
    """Set these runs to Crashed."""
    from prefect.states import Crashed

    for run in runs:
        await client.set_flow_run_state(run.id, Crashed(message="its process has ended"), force=True)
        log.info("closed in Prefect: run %s, its process has ended", run.id)
