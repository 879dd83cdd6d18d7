"""schemathesis over the service's own description of itself: no request, however odd, is a fault of ours."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from .conftest import Town

# Until a request is answered with what its route does not describe, or with 5xx.
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
schemathesis.serializer.alias("application/x-amz-json-1.1", "application/json")

LONG_POLLS = {"/v1/works/{work_id}", "/v1/devices/{device}/claim"}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("who", ["nobody", "user", "admin", "device"])
def test_every_route_keeps_to_its_description(town: Town, who: str):
    client = {"nobody": town.service.client(), "user": town.bob, "admin": town.admin, "device": town.trap}[who]
    schema = schemathesis.openapi.from_url(f"{town.service.url}/openapi.json")
    number = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if who == "admin" and operation.label in ("PUT /v1/users/{user_id}",):
            continue  # it would close the account that asks
        number += 1
        _ask(operation, client)
    assert number > 30


def _ask(operation: Any, client: Any) -> None:
    """Some good and some bad requests of one route."""

    modes = [operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]

    @given(case=st.one_of(modes))
    @settings(
        max_examples=3,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def some(case: Any) -> None:
        if operation.path in LONG_POLLS:
            _hurry(case)
        headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}
        answer = case.call(headers=headers, session=client.session)
        case.validate_response(answer, checks=CHECKS)

    some()


def _hurry(case: Any) -> None:
    """Nobody waits for long."""
    if isinstance(case.query, dict):
        case.query.pop("wait", None)
    if isinstance(case.body, dict):
        case.body.pop("wait", None)
