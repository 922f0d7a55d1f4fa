"""What a station registers with a server: its deployments, and the automations that tell."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from prefect.blocks.notifications import SlackWebhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr

from pupila import PupilaError
from pupila_flows.station.deployments import TAG, Deployment
from pupila_flows.station.register import register

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def client() -> Generator[SyncPrefectClient]:
    with prefect_test_harness(server_startup_timeout=200), get_client(sync_client=True) as client:
        yield client


def test_deployments_stay_until_others_are_wanted_in_their_place(client: SyncPrefectClient):
    def spec(name: str) -> Deployment:
        form = {"type": "object", "properties": {"seed": {"type": "integer", "default": 7}}}
        given = {"recipe": "r", "workspace": "w"}
        return Deployment(name, "compress", "", (TAG,), given, form)

    def there() -> set[str]:
        return {deployment.name for deployment in client.read_deployments()}

    register([spec("one"), spec("two")])
    automations = client.read_automations()
    register([])
    assert there() == {"one", "two"}
    assert client.read_automations() == automations
    with pytest.raises(PupilaError, match="Block 'webhook/none' does not exist"):
        register([spec("three")], "webhook/none")
    assert there() == {"one", "two"}
    register([spec("two")])
    assert there() == {"two"}
    assert len(client.read_automations()) == len(automations) == 3


def test_a_block_is_told_of_a_failed_run_by_its_state_and_of_a_verdict_by_what_changed(
    client: SyncPrefectClient,
):
    block: Any = SlackWebhook(url=SecretStr("https://hooks.slack.com/services/a/b/c"))
    block.save("nights")
    register([], "slack-webhook/nights")
    bodies: dict[str, str] = {
        automation.name: automation.model_dump()["actions"][0]["body"]
        for automation in client.read_automations()
    }
    assert "flow_run.state.message" in bodies["Pupila: a night failed"]
    assert "flow_run.state.message" in bodies["Pupila: a night is late"]
    assert "event.payload.message" in bodies["Pupila: a verdict changed"]
