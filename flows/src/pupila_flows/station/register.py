"""Registers the work pool, the deployments and the automations with a Prefect server.

This module imports Prefect, which reads its settings from the environment. So a station runs it in
a separate process, with the deployments as JSON on standard input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml

from pupila.errors import PupilaError
from pupila_flows.run.verdicts import VERDICT_CHANGED
from pupila_flows.station.deployments import POOL, TAG, Deployment
from pupila_flows.station.night import Night
from pupila_flows.station.retrained import RETRAINED

_AUTOMATIONS = Path(__file__).with_name("automations.yaml")


def register(deployments: Iterable[Deployment], notify: str | None = None) -> None:
    """Register deployments with the server in Prefect's settings.

    The work pool runs one flow at a time, so that two runs never train at once. Deployments that
    exist are updated. Deployments that an earlier call registered, but that are not among
    `deployments`, are removed.

    Args:
        deployments: All deployments that should exist; if empty, the registered ones stay.
        notify: Prefect block, such as `slack-webhook/my-channel`, that sends a notification when
            a nightly run fails or is late, and when a verdict has changed.

    Raises:
        PupilaError: the block does not exist, or the server does not answer or refuses.
    """
    from prefect.client.orchestration import get_client

    specs = list(deployments)
    with _explain_errors(), get_client(sync_client=True) as client:
        _make_pool(client)
        block = _block(client, notify) if notify else None
        for deployment in specs:
            _deployment(deployment).apply()
        if specs or notify:
            _automate(client, block)
        if specs:
            _remove_others(client, {(spec.flow, spec.name) for spec in specs})


@contextmanager
def _explain_errors() -> Generator[None]:
    """Turn errors of a server into one sentence for the user."""
    import httpx
    from prefect.deployments.runner import DeploymentApplyError
    from prefect.settings import get_current_settings

    try:
        yield
    except (httpx.HTTPError, DeploymentApplyError, RuntimeError) as error:
        reason = error.__cause__ if isinstance(error.__cause__, httpx.HTTPError) else error
        server = f"The Prefect server at {get_current_settings().api.url!r}"
        if isinstance(reason, httpx.HTTPStatusError):
            raise PupilaError(f"{server} {_refusal(reason.response.status_code, error)}") from error
        if isinstance(reason, httpx.HTTPError):
            raise PupilaError(
                f"{server} does not answer ({reason}): start it, or correct PREFECT_API_URL."
            ) from error
        if not isinstance(error, DeploymentApplyError):  # a defect
            raise
        raise PupilaError(f"{server} refused a deployment: {error}") from error


def _refusal(status: int, error: Exception) -> str:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return "asks for another password: set PREFECT_API_AUTH_STRING to its `user:password`."
    return f"refused: {error}"


def as_json(deployments: Iterable[Deployment], notify: str | None) -> str:
    """Return the JSON that `main` reads from standard input."""
    return json.dumps({"deployments": [asdict(spec) for spec in deployments], "notify": notify})


def _make_pool(client: Any) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectAlreadyExists
    from prefect.workers.process import ProcessWorker

    pool = WorkPoolCreate(
        name=POOL,
        type="process",
        description="One run at a time: nightly runs and others never train side by side.",
        base_job_template=ProcessWorker.get_default_base_job_template(),
        concurrency_limit=1,
    )
    try:
        client.create_work_pool(pool)
    except ObjectAlreadyExists:
        client.update_work_pool(POOL, WorkPoolUpdate(concurrency_limit=1))


def _remove_others(client: Any, kept: set[tuple[str, str]]) -> None:
    """Remove all of a station's deployments except `kept`; past runs of removed ones stay."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags

    tagged = DeploymentFilter(tags=DeploymentFilterTags(all_=[TAG]))
    for deployment in client.read_deployments(deployment_filter=tagged):
        flow = client.read_flow(deployment.flow_id)
        if (flow.name, deployment.name) not in kept:
            client.delete_deployment(deployment.id)


def _deployment(spec: Deployment) -> Any:
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.deployments.runner import RunnerDeployment
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType
    from prefect.utilities.annotations import freeze

    from pupila_flows.run import flow

    deployment: Any = RunnerDeployment.from_flow(
        getattr(flow, spec.flow),
        name=spec.name,
        description=spec.description,
        tags=list(spec.tags),
        parameters={name: freeze(value) for name, value in spec.parameters.items()},
        schedules=[Cron(spec.night.cron, timezone=spec.night.timezone)] if spec.night else [],
        triggers=[_trigger(spec)] if spec.teachers else [],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
        ),
        work_pool_name=POOL,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    show_form(deployment._parameter_openapi_schema, spec.form)
    return deployment


def show_form(schema: Any, form: dict[str, Any]) -> None:
    """Make the form of a recipe the schema of `changes`, shown before the other parameters.

    Programs may also send whole sections, which the form does not show.
    """
    sections = schema.definitions["Changes"]["properties"]
    patterns = {f"^{name}$": sections[name] for name in sections if name not in form["properties"]}
    schema.properties["changes"] = {
        **form,
        "position": -1,
        "patternProperties": patterns,
        "additionalProperties": False,
    }


def _trigger(spec: Deployment) -> Any:
    from prefect.events import DeploymentEventTrigger

    return DeploymentEventTrigger(
        name=f"{spec.name}: a teacher was retrained",
        expect={RETRAINED},
        match={"prefect.resource.id": list(spec.teachers)},  # pyright: ignore[reportArgumentType]
    )


def _block(client: Any, notify: str) -> str:
    """Return the id of the notification block."""
    from prefect.exceptions import ObjectNotFound

    slug, _, name = notify.partition("/")
    try:
        return str(client.read_block_document_by_name(name, slug).id)
    except ObjectNotFound:
        raise PupilaError(
            f"Block {notify!r} does not exist: make one in the UI under Blocks, and give "
            "`type/name`, as in `slack-webhook/my-channel`."
        ) from None


def _automate(client: Any, block: str | None) -> None:
    """Create the automations of the template, in place of earlier ones with the same names."""
    from prefect.events.schemas.automations import AutomationCore

    for given in yaml.safe_load(_AUTOMATIONS.read_text())["automations"]:
        before = client.read_automations_by_name(given["name"])
        notified = {"actions": [_notification(block, given)]} if block else {}
        client.create_automation(AutomationCore.model_validate(given | notified))
        for old in before:
            client.delete_automation(old.id)


def _notification(block: str, automation: dict[str, Any]) -> dict[str, Any]:
    """Return the action that sends an automation's notification: a run's state, or an event."""
    run = "{{ flow_run.name }} of {{ deployment.name }}"
    if VERDICT_CHANGED in automation["trigger"]["expect"]:
        what, message = "another verdict", "{{ event.payload.message }}"
    else:
        what, message = "{{ flow_run.state.name }}", "{{ flow_run.state.message }}"
    return {
        "type": "send-notification",
        "block_document_id": block,
        "subject": f"Pupila: {run}: {what}",
        "body": f"{message}\n{{{{ flow_run.ui_url }}}}",
    }


def main() -> None:
    """Register the deployments read from standard input; if that fails, say why and exit with 2."""
    given = json.load(sys.stdin)
    specs = [
        Deployment(**spec | {"night": Night(**spec["night"]) if spec["night"] else None})
        for spec in given["deployments"]
    ]
    try:
        register(specs, given["notify"])
    except PupilaError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
