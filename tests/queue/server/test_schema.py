"""The service does what its description says, and no input makes it fail: schemathesis asks every route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.conftest import REPOSITORY

from .conftest import Client, RunningService, running_service

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

EXAMPLES = 15  # for each route and each of four people
COGNITO = "/cognito"  # its media type is none that schemathesis knows; below is a test of its own
# Asked by strangers only here, since they would end what goes on asking; the tests of rights and tokens ask them too.
ENDS_LOGINS = {"/v1/logout", "/v1/me/password", "/v1/users/{user_id}", "/v1/devices/{device}"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("schema")) as running:
        yield running


def people(service: RunningService) -> dict[str, Client]:
    """An administrator, a user and a device, who have something to ask about."""
    ada, (_, ion) = service.user("ada@lab.example"), service.device("ion0")
    for text in ("one", "two", "three"):
        ada.create("ion0", text)
    ion.post("/v1/devices/ion0/claim", json={"most": 2})
    return {"admin": service.admin, "user": ada, "device": ion, "nobody": service.client()}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_input_makes_the_service_fail(service: RunningService) -> None:
    schema = schemathesis.openapi.from_dict(service.client().get("/openapi.json").json())
    schema.config.base_url = service.url
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 40
    wrong = []
    for who, client in people(service).items():
        for operation in operations:
            ends = operation.path in ENDS_LOGINS and operation.method.upper() != "GET"
            if operation.path == COGNITO or (ends and client.token):
                continue
            try:
                ask(operation, client)
            except Exception as error:  # all of it, not only the first
                wrong.append(f"{who}: {operation.label}: {str(error)[:1500]}")
    assert not wrong, "\n\n".join(wrong)
    assert service.client().get("/ready").status_code == 200


def ask(operation: Any, client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.token}"} if client.token else {}

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )
    @hypothesis.seed(7)
    @hypothesis.given(case=operation.as_strategy())
    def once(case: Any) -> None:
        case.validate_response(case.call(session=client.session, headers=headers), checks=_checks())

    once()


def _checks() -> list[Any]:
    found = schemathesis.checks
    return [
        found.not_a_server_error,
        found.status_code_conformance,
        found.content_type_conformance,
        found.response_schema_conformance,
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{" * 9999,
        b'{"AuthFlow": 1, "AuthParameters": 2}',
        b'{"AuthFlow": "\xff"}',
        b"x" * 100_000,
        b'{"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {"USERNAME": "\\u0000", "PASSWORD": "\\ud800"}}',
    ],
)
def test_nonsense_at_the_door_for_old_logins_is_refused(service: RunningService, body: bytes) -> None:
    headers = {"Content-Type": "application/x-amz-json-1.1"}
    assert requests.post(service.url + COGNITO, data=body, headers=headers, timeout=30).status_code in (400, 413)


def test_the_page_about_the_interface_names_every_route(service: RunningService) -> None:
    page = (REPOSITORY / "docs" / "queue-api.md").read_text()
    named = set(re.findall(r"`(GET|PUT|POST|DELETE) (/[^`\s?;]*)`", page))
    described = service.client().get("/openapi.json").json()["paths"]
    there = {(method.upper(), path) for path, methods in described.items() for method in methods}
    assert named <= there
    assert {(m, path) for m, path in there - named if m != "OPTIONS" and not path.startswith("/transfer")} == set()
