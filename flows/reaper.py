"""Closes the runs that a killed server left RUNNING in Prefect, so that its UI shows no ghosts."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed


async def close_dead_runs(api_url: str) -> int:
    """Set every unfinished run of `ingest` to Crashed and return how many there were.

    To be called before the first run of a process that is the only one to ingest.
    """
    unfinished = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
    reason = "the server that ran it has ended; its files went back to the queue"
    with temporary_settings({PREFECT_API_URL: api_url}):
        async with get_client() as client:
            runs = await client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=["ingest"])),
                flow_run_filter=FlowRunFilter(state=unfinished),
            )
            for run in runs:
                await client.set_flow_run_state(run.id, Crashed(message=reason), force=True)
    return len(runs)
