"""What the service says about itself, and the one door that no tool asks (the others: tests/queue/security)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.conftest import REPOSITORY

from .conftest import RunningService, running_service

COGNITO = "/cognito"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with running_service(tmp_path_factory.mktemp("schema")) as running:
        yield running


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
