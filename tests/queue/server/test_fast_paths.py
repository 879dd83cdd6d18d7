"""The short ways through the service say what the ordinary ways say, byte for byte: see `ways`."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conqure.queue.server.bodies import Route
from conqure.queue.server.changes import LARGE, Changes
from conqure.queue.server.direct import direct
from conqure.queue.server.express import ROUTES, Express
from conqure.queue.server.metrics import Metrics
from conqure.queue.server.works import create, list_works, results
from conqure.queue.stores.sql import SQLStore
from conqure.queue.testing import ready_work
from conqure.queue.work import WorkStatus, new_work_id
from qpu_executors.errors import StoreError, UnknownWork, WorkConflict

from .conftest import Client, until
from .ways import EXPRESS, FASTAPI, LAYERS, Ways, exchange, in_chunks, said, ways

WORKS, JSON = "/v1/works", "Content-Type: application/json"
GOOD = json.dumps({"device_id": "ion0", "workload": "x"}).encode()


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    with ways(tmp_path_factory.mktemp("doors"), max_json=5000) as opened:
        opened.service.device()
        yield opened


@pytest.fixture(scope="module")
def ada(doors: Ways) -> Client:
    return doors.service.user()


@pytest.fixture(scope="module")
def done(doors: Ways, ada: Client) -> str:
    """The path to the results of a work of Ada's."""
    work_id = ada.create("ion0", name="done")["work_id"]
    doors.service.store.claim([work_id], "me", None, 1.0)
    doors.service.store.move(work_id, WorkStatus.DONE, 2.0, results=b"\0\xff\r\n" * 3000)
    return f"{WORKS}/{work_id}/results"


def post(body: bytes, *headers: str, token: str = "", path: str = WORKS) -> bytes:
    return said("POST", path, *(headers or (JSON,)), body=body, token=token)


def code(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def error(answer: bytes) -> dict[str, str]:
    return json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


# -- works that are handed in --


@pytest.mark.parametrize(
    "values",
    [
        {"workload": "x"},
        {},
        {"workload_base64": "AP8="},
        {"workload": "x", "priority": "HIGH", "name": "é", "loop": "vqe", "convergence": 0.5},
        {"workload": "x" * 4000},
        {"workload": "x", "convergence": "0.25"},
    ],
)
def test_a_work_is_accepted_in_the_same_words(doors: Ways, ada: Client, values: dict[str, Any]) -> None:
    assert code(doors.answer(post(json.dumps({"device_id": "ion0"} | values).encode(), token=ada.token))) == 201


def test_what_one_way_accepted_is_there_for_the_others(doors: Ways, ada: Client) -> None:
    for first in (EXPRESS, LAYERS, FASTAPI):
        order = {"work_id": new_work_id(), "device_id": "ion0", "workload": "x"}
        made = doors.client(first, ada.token).post(WORKS, json=order)
        assert made.status_code == 201
        again = doors.answer(post(json.dumps(order).encode(), token=ada.token))
        assert code(again) == 200
        conflict = doors.answer(post(json.dumps(order | {"workload": "y"}).encode(), token=ada.token))
        assert (code(conflict), error(conflict)["kind"]) == (409, "work_conflict")
        for way in doors.urls:
            work = doors.client(way, ada.token).get(f"{WORKS}/{order['work_id']}").json()
            assert work == made.json() | {"position": work["position"]}


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"[]", b"null", b"0", b"false", b'""', b'"text"', b"{}x", b"\0", b"{" * 1000, b"[" * 4000),
        b"\xef\xbb\xbf" + GOOD,
        b'{"device_id": "\xff\xfe"}',
        b'{"device_id": "\\ud800", "workload": "x"}',
        b'{"device_id": "a\\u0000b", "workload": "x"}',
        b'{"device_id": "any", "workload": "x", "convergence": NaN}',
        b'{"device_id": "any", "workload": "x", "convergence": 1e999}',
        b'{"device_id": "any", "workload": "x", "workload_base64": "eA=="}',
        b'{"device_id": "ion0", "workload_base64": "?"}',
        b'{"device_id": "ion0", "workload": ""}',
        b'{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6}',
        b'{"' + b"k" * 300 + b'": 1}',
        b'{"device_id": 5, "priority": "high", "work_id": 7}',
        b'{"device_id": "", "name": "' + b"n" * 201 + b'"}',
        b'{"device_id": "ion9", "workload": "x"}',
        b'{"device_id": "tag:", "workload": "x"}',
        b'{"device_id": "ion0", "format": "task", "workload": "{}"}',
        b'{"device_id": "ion0", "format": "tasks", "workload": "[[[["}',
        GOOD.ljust(5001),
    ],
)
def test_what_is_no_order_is_refused_in_the_same_words(doors: Ways, ada: Client, body: bytes) -> None:
    refused = doors.answer(post(body, token=ada.token))
    assert code(refused) in (400, 404, 413, 422)
    assert set(error(refused)) == {"kind", "message"}


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["ion0", "LOW"]),
    lambda value: st.lists(value, max_size=3) | st.dictionaries(st.text(max_size=5), value, max_size=3),
    max_leaves=5,
)
_names = st.sampled_from(["device_id", "priority", "format", "workload", "name", "convergence", "work_id"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.dictionaries(_names | st.text(max_size=5), _values, max_size=4))
def test_any_json_at_all_is_answered_alike(doors: Ways, ada: Client, values: dict[str, Any]) -> None:
    body = json.dumps({"device_id": "ion0"} | values).encode()
    assert code(doors.answer(post(body, token=ada.token))) < 500


@pytest.mark.parametrize(
    ("kind", "is_json"),
    [
        *((kind, True) for kind in ("application/json", "APPLICATION/Json; charset=utf-8", "application/json;")),
        *((kind, True) for kind in ("application/vnd.api+json; x=y", "application/+json")),
        *((kind, False) for kind in ("text/plain", "text/json", "application/jsonx", "application", "", "; a/b")),
        *((kind, False) for kind in ("application/json, text/plain", "application /json", "image/x+json")),
        *((kind, False) for kind in ("multipart/form-data; boundary=x", "application/x-www-form-urlencoded")),
    ],
)
def test_the_type_of_a_body_counts_alike(doors: Ways, ada: Client, kind: str, is_json: bool) -> None:
    assert code(doors.answer(post(GOOD, f"Content-Type: {kind}", token=ada.token))) == (201 if is_json else 422)


def test_a_body_may_come_in_any_way_that_http_has(doors: Ways, ada: Client) -> None:
    head = said("POST", WORKS, JSON, "Transfer-Encoding: chunked", token=ada.token)
    assert code(doors.answer(head + in_chunks(GOOD[:5], GOOD[5:]))) == 201
    assert code(doors.answer(head + in_chunks(*[b"x" * 1500] * 4))) == 413
    assert code(doors.answer(said("POST", WORKS, JSON, "Content-Length: 99999999999", token=ada.token))) == 413
    assert code(doors.answer(said("POST", WORKS, JSON, token=ada.token))) == 422  # none at all
    assert code(doors.answer(post(GOOD, "Content-Encoding: gzip", JSON, token=ada.token))) == 201  # we look inside
    assert code(doors.answer(post(gzip.compress(GOOD), "Content-Encoding: gzip", JSON, token=ada.token))) == 422
    assert doors.answer(post(GOOD, JSON, "Expect: 100-continue", token=ada.token)).startswith(b"HTTP/1.1 100 ")
    assert code(doors.answer(said("POST", WORKS, JSON, body=GOOD, token=ada.token, version="1.0"))) == 201


def test_headers_that_come_twice_count_alike(doors: Ways, ada: Client) -> None:
    mine, other = f"Authorization: Bearer {ada.token}", "Authorization: Bearer x"
    assert [code(doors.answer(post(GOOD, JSON, *pair))) for pair in ((mine, other), (other, mine))] == [201, 401]
    kinds = (JSON, "Content-Type: text/plain")
    assert [code(doors.answer(post(GOOD, *pair, token=ada.token))) for pair in (kinds, kinds[::-1])] == [201, 422]


def test_a_query_and_what_a_browser_adds_change_nothing(doors: Ways, ada: Client) -> None:
    for path in (f"{WORKS}?device_id=ion9&limit=0", f"{WORKS}?", "/v1/work%73", "http://other.example/v1/works"):
        assert code(doors.answer(post(GOOD, token=ada.token, path=path))) == 201, path
    asks = ("Origin: http://other.example", "Accept-Encoding: gzip", "Accept: text/html", "Cookie: a=b")
    made = doors.answer(post(GOOD, JSON, *asks, token=ada.token))
    assert code(made) == 201
    assert b"access-control" not in made.lower()
    assert b"content-encoding" not in made.lower()


# -- who asks --


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer x", "Bearer x.y.z", "Basic eDp5", "Bearer \xe9", "{token}", "Bearer {token} x"],
)
def test_strangers_are_refused_in_the_same_words(doors: Ways, ada: Client, done: str, header: str) -> None:
    headers = [f"Authorization: {header.format(token=ada.token)}"] if header else []
    for request in (post(GOOD, JSON, *headers), said("GET", done, *headers)):
        refused = doors.answer(request)
        assert (code(refused), error(refused)["kind"]) == (401, "not_logged_in")
        assert b"www-authenticate: Bearer" in refused


@pytest.mark.parametrize("header", ["bearer {token}", "BEARER   {token}  ", "Bearer \t{token}"])
def test_a_token_may_be_written_loosely(doors: Ways, ada: Client, done: str, header: str) -> None:
    written = f"Authorization: {header.format(token=ada.token)}"
    assert code(doors.answer(post(GOOD, JSON, written))) == 201
    assert code(doors.answer(said("GET", done, written))) == 200


def test_the_short_way_asks_who_it_is_before_it_looks_at_what_they_say(doors: Ways) -> None:
    found = doors.answers(post(b"{", token="nonsense"))
    assert {way: code(answer) for way, answer in found.items()} == {EXPRESS: 401, LAYERS: 401, FASTAPI: 422}


@pytest.mark.slow
def test_a_stranger_may_not_send_a_long_body(tmp_path: Path) -> None:
    with ways(tmp_path) as roomy:  # where bodies may be long
        found = roomy.answers(post(b"x" * 2**17, token="nonsense"))
    assert [(code(answer), error(answer)["kind"]) for answer in found.values()] == [(401, "not_logged_in")] * 3
    assert len({error(answer)["message"] for answer in found.values()}) == 1


def test_works_of_others_are_not_there(doors: Ways, done: str) -> None:
    service = doors.service
    bob, (_, ion) = service.user("bob@lab.example"), service.device("ion1")
    for token in (bob.token, ion.token):
        refused = doors.answer(said("GET", done, token=token))
        assert (code(refused), error(refused)["kind"]) == (404, "unknown_work")
    assert code(doors.answer(said("GET", done, token=service.admin_token))) == 200
    by_device = doors.answer(post(GOOD, token=ion.token))
    assert (code(by_device), error(by_device)["kind"]) == (403, "not_allowed")
    service.device("ion2", users=["bob@lab.example"])
    order = json.dumps({"device_id": "ion2", "workload": "x"}).encode()
    until(lambda: set(map(code, doors.answers(post(order, token=bob.token)).values())) == {201})  # all know of it
    cy = service.user("cy@lab.example")
    assert error(doors.answer(post(order, token=cy.token)))["kind"] == "not_allowed"
    assert code(doors.answer(post(order, token=service.admin_token))) == 201


@pytest.mark.slow
def test_a_login_that_was_ended_and_a_closed_account_are_refused_everywhere(doors: Ways, done: str) -> None:
    service, requests = doors.service, []
    ends = {
        "dot@lab.example": lambda user: user.post("/v1/logout"),
        "eve@lab.example": lambda _: service.admin.put("/v1/users/eve@lab.example", json={"is_active": False}),
        "fay@lab.example": lambda _: service.admin.delete("/v1/users/fay@lab.example"),
    }
    for name, end in ends.items():
        user = service.user(name)
        requests += [post(GOOD, token=user.token), said("GET", done, token=user.token)]
        assert [code(doors.answer(request)) for request in requests[-2:]] == [201, 404]
        assert end(user).status_code < 300
    assert [code(doors.answers(request)[EXPRESS]) for request in requests] == [401] * 6  # where it was ended: at once
    for request in requests:
        until(lambda r=request: set(map(code, doors.answers(r).values())) == {401})
        assert error(doors.answer(request))["kind"] == "not_logged_in"


@pytest.mark.slow
def test_who_asks_too_often_is_refused_in_the_same_words(tmp_path: Path) -> None:
    with ways(tmp_path, requests_per_minute=4) as doors:
        doors.service.device()
        ada = doors.service.user()
        answers = [doors.answers(post(GOOD, token=ada.token)) for _ in range(6)]
        for way in doors.urls:
            assert [code(answer[way]) for answer in answers] == [201] * 4 + [429] * 2
            assert error(answers[-1][way])["kind"] == "too_many"
            assert b"retry-after: " in answers[-1][way]


# -- results --


def test_results_are_the_same_bytes_with_the_same_headers(doors: Ways, ada: Client, done: str) -> None:
    plain = doors.answer(said("GET", done, token=ada.token))
    assert plain.partition(b"\r\n\r\n")[2] == b"\0\xff\r\n" * 3000
    assert b"x-conqure-format: opaque" in plain.lower()
    asks = ("Accept-Encoding: gzip", "Range: bytes=0-1", "If-None-Match: *", "Accept: text/html")
    assert doors.answer(said("GET", done, *asks, token=ada.token)) == plain
    assert doors.answer(said("GET", f"{done}?attempt=7", token=ada.token)) == plain
    assert doors.answer(said("GET", done, JSON, body=b"{" * 6000, token=ada.token)) == plain
    assert doors.answer(said("GET", done.replace("-", ""), token=ada.token)) == plain


def test_results_that_are_not_there_are_said_so_alike(doors: Ways, ada: Client) -> None:
    waiting = f"{WORKS}/{ada.create('ion0')['work_id']}/results"
    assert error(doors.answer(said("GET", waiting, token=ada.token)))["kind"] == "work_not_done"
    for odd in (new_work_id(), "x", "%00", "%20", "%ff", "x" * 3000, "..%2f..", "%0a", "{}", "x%0a"):
        refused = doors.answer(said("GET", f"{WORKS}/{odd}/results", token=ada.token))
        assert (code(refused), error(refused)["kind"]) == (404, "unknown_work")


# -- what the short way leaves to the others --


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE"])
def test_other_methods_are_left_to_the_layers(doors: Ways, ada: Client, done: str, method: str) -> None:
    allowed = {(WORKS, method): 405, (done, method): 422 if method == "PUT" else 405}
    for (path, _), wanted in allowed.items():
        assert code(doors.answer(said(method, path, JSON, body=b"{}", token=ada.token))) == wanted


@pytest.mark.parametrize(
    "path", ["/v1/works/", "//v1/works", "/v1/./works", "/v1%2f%2fworks", "/V1/works", "/v1/wörks"]
)
def test_other_paths_are_left_to_the_layers(doors: Ways, ada: Client, path: str) -> None:
    path = path.replace("ö", "%C3%B6")
    assert code(doors.answer(post(GOOD, token=ada.token, path=path))) in (404, 405)


def test_other_routes_are_left_to_the_layers(doors: Ways, ada: Client, done: str) -> None:
    devices = said("GET", "/v1/devices", token=ada.token)
    until(lambda: len(set(doors.answers(devices).values())) == 1)  # new ones are listed everywhere after a second
    paths = [WORKS, f"{WORKS}?limit=0", "/v1/me", "/v1/devices", done.removesuffix("/results"), f"{done}/"]
    codes = [code(doors.answer(said("GET", path, token=ada.token))) for path in paths]
    assert codes == [200, 422, 200, 200, 200, 404]
    workload = done.replace("/results", "/workload")
    assert doors.answer(said("GET", workload, token=ada.token)).endswith(b"\r\n\r\npulse")


def test_only_a_route_that_is_direct_can_be_express() -> None:
    assert direct(create, WORKS) is not None
    assert direct(results, "/v1/works/{work_id}/results") is not None
    assert direct(list_works, WORKS) is None  # asks for a query
    assert direct(results, "/v1/results") is None  # the part is not in the path
    router = APIRouter(route_class=Route)
    for method, path in ROUTES:
        with pytest.raises(TypeError, match=f"{method} .* is no route that is direct"):
            Express(FastAPI(), router, Metrics.__new__(Metrics))
        router.add_api_route(path, create if method == "POST" else results, methods=[method])
    assert Express(FastAPI(), router, Metrics.__new__(Metrics))


# -- the log, the metrics, and what fails --


def test_the_log_and_the_metrics_say_the_same(doors: Ways, ada: Client, done: str, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "conqure.queue.server")
    requests = (
        post(GOOD, token=ada.token),
        post(b'{"device_id": "ion9"}', token=ada.token),
        post(GOOD),
        said("GET", done, token=ada.token),
        said("GET", done),
    )
    before = {way: counted(doors.client(way)) for way in doors.urls}
    for request in requests:
        seen = []
        for way in doors.urls:
            caplog.clear()
            exchange(doors.urls[way], request)
            (facts,) = until(lambda: [record.facts for record in caplog.records if record.message == "answered"])
            seen.append(facts | {"ms": facts["ms"] > 0, "work_id": bool(facts["work_id"])})
        assert seen[0] == seen[1] == seen[2]
    counts = []
    for way in doors.urls:
        grown = {line: n - before[way].get(line, 0.0) for line, n in counted(doors.client(way)).items()}
        counts.append({line: n for line, n in grown.items() if n and "/metrics" not in line})
    assert counts[0] == counts[1] == counts[2]
    assert sum(counts[0].values()) == len(requests)


def counted(client: Client) -> dict[str, float]:
    text = client.get("/metrics").text
    lines = [line.rpartition(" ") for line in text.splitlines() if line.startswith("conqure_requests_total{")]
    return {name: float(n) for name, _, n in lines}


def test_a_fault_of_ours_keeps_its_text_to_itself(doors: Ways, ada: Client, monkeypatch: Any, caplog: Any) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("the secret of the service")

    monkeypatch.setattr("conqure.queue.server.orders.create", broken)
    failed = doors.answer(post(GOOD, token=ada.token))
    assert (code(failed), error(failed)["kind"]) == (500, "error")
    assert b"secret" not in failed
    logged = [record for record in caplog.records if record.exc_info and "ASGI" in record.message]
    assert len(logged) == 3  # the log says why


def test_who_goes_away_in_the_middle_of_a_body_is_no_fault_of_ours(doors: Ways, ada: Client, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "conqure.queue.server")
    for way, url in doors.urls.items():
        caplog.clear()
        where = urlsplit(url)
        with socket.create_connection((where.hostname or "", where.port or 0), timeout=10) as line:
            line.sendall(said("POST", WORKS, JSON, "Content-Length: 1000", token=ada.token) + b"{")
        (facts,) = until(lambda: [record.facts for record in caplog.records if record.message == "answered"])
        assert (way, facts["code"], facts["error"]) == (way, 400, "invalid_work")
        assert not [record for record in caplog.records if record.exc_info]


# -- changes of one moment --


def test_changes_of_one_moment_share_a_commit_and_each_has_its_own_end(sqlite_store: SQLStore) -> None:
    commits: list[str] = []
    connection = sqlite_store._commits
    taken = sqlite_store.add(ready_work(), b"one")
    driver = connection._connection.connection.driver_connection  # type: ignore[union-attr]
    driver.set_trace_callback(commits.append)

    async def ask() -> list[Any]:
        changes = Changes(sqlite_store)
        asked = [changes.ask("add", ready_work(), b"x") for _ in range(20)]
        asked += [changes.ask("add", taken, b"two"), changes.ask("ask_cancel", new_work_id(), 1.0)]
        asked += [changes.ask("ask_cancel", taken.work_id, 1.0)]
        return await asyncio.gather(*asked, return_exceptions=True)

    ends = asyncio.run(ask())
    driver.set_trace_callback(None)
    assert all(sqlite_store.get(work.work_id) == work for work in ends[:20])
    assert [type(end) for end in ends[20:22]] == [WorkConflict, UnknownWork]
    assert ends[22].status is WorkStatus.CANCELED
    assert commits.count("COMMIT") == 1


def test_one_who_goes_away_changes_nothing_and_the_others_go_on(sqlite_store: SQLStore) -> None:
    async def ask() -> tuple[Any, Any]:
        changes = Changes(sqlite_store)
        gone, stays = (asyncio.create_task(changes.ask("add", ready_work(), b"x")) for _ in range(2))
        asyncio.get_running_loop().call_soon(gone.cancel)  # after both have asked, before anybody settles
        return await asyncio.gather(gone, stays, return_exceptions=True)

    gone, stays = asyncio.run(ask())
    assert isinstance(gone, asyncio.CancelledError)
    assert sqlite_store.find() == [stays]


def test_what_is_large_is_written_by_another_thread(sqlite_store: SQLStore) -> None:
    work, large = ready_work(), b"x" * (LARGE + 1)
    threads: list[str] = []
    sqlite_store.listeners.append(lambda _: threads.append(threading.current_thread().name))

    async def ask() -> Any:
        changes = Changes(sqlite_store)
        await changes.ask("add", ready_work(), b"x")
        return await changes.ask("add", work, workload=large)

    added = asyncio.run(ask())
    assert sqlite_store.payload(added.workload) == large
    assert threads == [threading.current_thread().name, "works-writer"]


def test_nobody_waits_for_a_loop_that_is_closed(sqlite_store: SQLStore) -> None:
    other = sqlite3.connect(sqlite_store.url.removeprefix("sqlite:"), timeout=30)
    other.execute("BEGIN IMMEDIATE")
    work = ready_work()

    async def leave() -> None:
        asking = asyncio.create_task(Changes(sqlite_store).ask("add", work, b"x"))
        await asyncio.sleep(0.1)
        assert not asking.done()

    asyncio.run(leave())  # cancels what it still runs
    other.commit()
    other.close()
    later = sqlite_store.add(ready_work())  # the writer goes on
    assert later in sqlite_store.find()


def test_a_database_that_cannot_be_opened_any_more_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    store = SQLStore(f"sqlite:{tmp_path}/gone/works.db")
    store.engine.dispose()
    shutil.rmtree(tmp_path / "gone")
    with pytest.raises(StoreError, match="unable to open database file"):
        asyncio.run(asyncio.wait_for(Changes(store).ask("add", ready_work(), b"x"), 30))
    (tmp_path / "gone").mkdir()
    store.close()


# -- another process holds the database --


@pytest.mark.slow
def test_while_another_process_writes_the_service_reads_and_accepts_afterwards(doors: Ways, ada: Client) -> None:
    service = doors.service
    work = ada.create("ion0")
    order = {"work_id": new_work_id(), "device_id": "ion0", "workload": "while it is locked"}
    other = sqlite3.connect(service.store.url.removeprefix("sqlite:"), timeout=30, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with ThreadPoolExecutor(3) as threads:
            asked = [
                threads.submit(doors.client(EXPRESS, ada.token).post, WORKS, json=order) for _ in range(3)
            ]  # and again
            until(lambda: service.app.state.service.works._commits._writer is not None)
            until_s = time.monotonic() + 2.0
            while time.monotonic() < until_s:
                for path in ("/health", "/ready", f"{WORKS}/{work['work_id']}", WORKS, "/v1/me"):
                    assert ada.get(path).status_code == 200
            assert not any(ask.done() for ask in asked)
            assert ada.get(f"{WORKS}/{order['work_id']}").status_code == 404
            other.execute("COMMIT")
            codes = sorted(ask.result(30).status_code for ask in asked)
    finally:
        other.close()
    assert codes == [200, 200, 201]
    listed = ada.get(WORKS, params={"limit": 500}).json()["works"]
    assert [each["work_id"] for each in listed].count(order["work_id"]) == 1
    assert ada.get(f"{WORKS}/{order['work_id']}/workload").content == b"while it is locked"
