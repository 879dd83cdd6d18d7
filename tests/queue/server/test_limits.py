"""How much, how often, and what is said about it."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import socket
from urllib.parse import urlsplit

import pytest
import requests

from .conftest import ADMIN, PASSWORD, RunningService


def test_a_user_asks_so_often_and_no_more(start) -> None:
    service = start(requests_per_minute=20)
    ada, bob = service.user("ada@lab.example"), service.user("bob@lab.example")
    codes = [ada.get("/v1/me").status_code for _ in range(30)]
    assert set(codes) == {200, 429}
    refused = ada.get("/v1/me")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["error"]["kind"] == "too_many"
    assert bob.get("/v1/me").status_code == 200


@pytest.mark.slow
def test_passwords_cannot_be_guessed_quickly(start) -> None:
    service = start(logins_per_minute=5)
    guess = {"email": "ada@lab.example", "password": "guess guess"}
    codes = [service.client().post("/v1/login", json=guess).status_code for _ in range(7)]
    assert codes.count(401) == 5
    refused = service.client().post("/cognito", json={"AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": {
        "USERNAME": "Ada@lab.example", "PASSWORD": "guess",
    }})  # fmt: skip
    assert refused.status_code == 429  # the other door counts too
    assert service.client().post("/v1/login", json={"email": ADMIN, "password": PASSWORD}).status_code == 200


def test_what_is_too_large_is_refused_while_it_is_read(start) -> None:
    service = start(max_workload=1000, max_json=5000)
    ada, _ = service.user(), service.device()
    work_id = ada.post("/v1/works", json={"device_id": "ion0"}).json()["work_id"]
    refused = ada.put(f"/v1/works/{work_id}/workload", data=b"x" * 1001)
    assert (refused.status_code, refused.json()["error"]["kind"]) == (413, "too_large")
    chunks = (b"x" * 600 for _ in range(10_000))  # no Content-Length
    with contextlib.suppress(requests.ConnectionError):  # it was answered before all was sent
        assert ada.put(f"/v1/works/{work_id}/workload", data=chunks).status_code == 413
    assert ada.put(f"/v1/works/{work_id}/workload", data=b"x" * 1000).status_code == 200
    for size, code in ((1500, 413), (6000, 413)):
        assert ada.post("/v1/works", json={"device_id": "ion0", "workload": "x" * size}).status_code == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"text"',
        b"{" * 5000,
        b"[" * 100_000,
        b'{"device_id": "\xff\xfe"}',
        b'{"device_id": "\\ud800", "workload": "x"}',
        b'{"device_id": "a\\u0000b", "workload": "x"}',
        b'{"device_id": "any", "workload": "x", "convergence": NaN}',
        b'{"device_id": "any", "workload": "x", "convergence": 1e999}',
        b'{"device_id": "any", "workload": "x", "work_id": 1234567890123456789012345678901234567890}',
        b'{"device_id": "any", "workload": "x", "unknown": 1}',
        b'{"device_id": "any", "workload": "x", "workload_base64": "eA=="}',
        b'{"device_id": "any", "workload_base64": "\xc3\xa9"}',
        b'{"device_id": "any", "workload": "x", "name": "\\u202e\\n"}',
        b'{"device_id": "tag:", "workload": "x"}',
        b'{"device_id": "ion0", "workload": "{}", "format": "task"}',
        b'{"device_id": "ion0", "workload": "[[[[", "format": "tasks"}',
    ],
)
def test_nonsense_is_refused_as_nonsense(service: RunningService, body: bytes) -> None:
    ada, _ = service.user(), service.device()
    answer = ada.post("/v1/works", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 404, 422), answer.text
    assert set(answer.json()["error"]) == {"kind", "message"}


@pytest.mark.parametrize(
    "work_id", ["%00", "x" * 3000, "..%2f..%2fetc", "\u202e", "00000000-0000-0000-0000-00000000000g"]
)
def test_odd_ids_are_not_there(service: RunningService, work_id: str) -> None:
    assert service.admin.get(f"/v1/works/{work_id}").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=99999999999999999999",
        "since=nan",
        "since=inf",
        "status=DOING",
        "cursor=nonsense",
        "priority=1",
    ],
)
def test_odd_filters_are_refused(service: RunningService, query: str) -> None:
    assert service.admin.get(f"/v1/works?{query}").status_code in (400, 422)


def test_a_list_is_compressed_for_those_who_ask(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    for n in range(30):
        ada.create("ion0", str(n))
    with ada.get("/v1/works", headers={"Accept-Encoding": "gzip"}, stream=True) as answer:
        raw = answer.raw.read(decode_content=False)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(raw))["works"]) == 30
    plain = ada.get("/v1/works", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers


def test_workloads_and_the_aws_wire_are_never_compressed(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    work = ada.create("ion0", "x" * 50_000)
    for path in (f"/v1/works/{work['work_id']}/workload", "/workloads", "/devices"):
        answer = ada.get(path, headers={"Accept-Encoding": "gzip"})
        assert "Content-Encoding" not in answer.headers


def test_the_log_has_what_happened_and_no_secret(service: RunningService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "conqure.queue.server")
    ada, _ = service.user(), service.device()
    work = ada.create("ion0", "my payload")
    url = ada.get(f"/workloads/{work['work_id']}").json()["WorkloadUrl"]
    service.client().get(url)
    facts = [record.facts for record in caplog.records if hasattr(record, "facts")]
    created = next(f for f in facts if f["route"] == "/v1/works" and f["method"] == "POST")
    assert (created["user"], created["code"], created["work_id"]) == ("ada@lab.example", 201, work["work_id"])
    assert created["ms"] > 0
    text = json.dumps(facts)
    for secret in (ada.token, PASSWORD, "my payload", urlsplit(url).query.partition("right=")[2] or url):
        assert secret not in text


def test_metrics_count_what_was_answered(service: RunningService) -> None:
    ada, _ = service.user(), service.device()
    ada.create("ion0")
    text = service.client().get("/metrics").text
    assert 'conqure_requests_total{code="201",method="POST",route="/v1/works"} 1.0' in text
    assert 'conqure_works{device="ion0",status="READY"} 1.0' in text


def test_metrics_through_a_proxy_are_for_administrators(service: RunningService) -> None:
    ada, elsewhere = service.user(), {"X-Forwarded-For": "192.0.2.1"}
    codes = [c.get("/metrics", headers=elsewhere).status_code for c in (service.client(), ada, service.admin)]
    assert codes == [401, 403, 200]


def test_health_and_readiness_need_no_token(service: RunningService) -> None:
    assert service.client().get("/health").status_code == 200
    assert service.client().get("/ready").status_code == 200


def test_garbage_on_the_wire_ends_a_connection_and_not_the_service(service: RunningService) -> None:
    host = urlsplit(service.url)
    for garbage in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/works HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        with socket.create_connection((host.hostname, host.port), timeout=10) as line:
            line.sendall(garbage)
            line.shutdown(socket.SHUT_WR)
            while line.recv(4096):
                pass
    assert service.client().get("/health").status_code == 200
