"""What no client of ours would send: bombs, endless and slow requests, lies about length, names that are paths."""

import base64
import gzip
import io
import json
import pickle
import re
import socket
import threading
import time

import psutil
import pytest

from conqure.queue.server import bodies, connections

from .conftest import SECRET, Town, answer, raw, until

MIB = 2**20


class Boom:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("kind", ["pickle", "python", "yaml", "dax", "npy", "html"])
def test_a_workload_is_bytes_and_nothing_more(town: Town, tmp_path, kind: str):
    sign = tmp_path / "it ran"
    numpy = io.BytesIO(b"\x93NUMPY\x01\x00\x76\x00{'descr': '|O', 'fortran_order': False, 'shape': (), }\n")
    text = {
        "pickle": pickle.dumps(Boom(sign)),
        "python": f"open({str(sign)!r}, 'w')".encode(),
        "yaml": f"!!python/object/apply:builtins.open [{sign}, w]".encode(),
        "dax": f"class X(DaxProgram, Experiment):\n    open({str(sign)!r}, 'w')\n".encode(),
        "npy": numpy.getvalue() + pickle.dumps(Boom(sign)),
        "html": b"<script>alert(1)</script>",
    }[kind]
    values = {"device_id": "trap0", "workload_base64": base64.b64encode(text).decode()}
    for format in ("opaque", "dax", "task", "tasks"):
        made = town.ada.post("/v1/works", json=values | {"format": format})
        assert made.status_code in (201, 400), made.text
        if made.status_code != 201:
            continue
        work_id = made.json()["work_id"]
        (claimed,) = town.trap.post("/v1/devices/trap0/claim", json={"most": 1}).json()["works"]
        assert town.trap.put(f"/v1/works/{claimed['work_id']}/results?attempt=1", data=text).status_code == 200
        for what in ("workload", "results"):
            found = town.ada.get(f"/v1/works/{work_id}/{what}")
            assert found.content == text
            assert found.headers["Content-Type"] == "application/octet-stream"
            assert found.headers["X-Content-Type-Options"] == "nosniff"
            assert found.headers["Content-Disposition"].startswith("attachment")
        for page in ("", "/workload", "/results"):
            town.ada.get(f"/web/works/{work_id}{page}")
    assert not sign.exists()


@pytest.mark.parametrize(
    "bomb",
    [b"[" * MIB, b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"[1" + b"0" * MIB + b"]", b'"' + b"\\u0000" * 99_999],
)
def test_json_that_is_too_deep_or_too_long_is_refused(town: Town, bomb: bytes):
    began = time.monotonic()
    for verb, path in (("POST", "/v1/works"), ("POST", "/v1/login"), ("POST", "/workloads"), ("POST", "/cognito")):
        said = town.ada.ask(verb, path, data=bomb, headers={"Content-Type": "application/json"})
        assert said.status_code in (400, 413, 422), (path, said.text[:200])
    for format in ("task", "tasks", "dax"):
        values = {"device_id": "ion0", "format": format, "workload": bomb.decode()}
        said = town.ada.post("/v1/works", json=values)
        assert said.status_code in (400, 201 if format == "dax" else 400), (format, said.text[:200])
    assert time.monotonic() - began < 20


def test_nothing_is_decompressed(town: Town):
    """A body that calls itself compressed is read as it came; so there is no bomb in it."""
    bomb = gzip.compress(b"0" * (64 * MIB))
    coded = {"Content-Encoding": "gzip"}
    said = town.ada.post("/v1/works", data=bomb, headers=coded | {"Content-Type": "application/json"})
    assert said.status_code in (400, 415, 422)
    work_id = town.ada.post("/v1/works", json={"device_id": "ion0"}).json()["work_id"]
    assert town.ada.put(f"/v1/works/{work_id}/workload", data=bomb, headers=coded).json()["workload_size"] == len(bomb)


def test_endless_heads_fill_no_memory(town: Town):
    before = psutil.Process().memory_info().rss
    for head in (b"GET /health HTTP/1.1\r\nX: ", b"GET /"):
        with raw(town.service) as connection:
            sent = 0
            with pytest.raises(OSError):  # noqa: PT012  # it closes while we send
                while sent < 64 * MIB:
                    sent += connection.send(head)
                    head = b"a" * 2**16
                    connection.getpeername()
            assert sent < 32 * MIB
    with raw(town.service) as connection, pytest.raises(OSError):  # noqa: PT012
        connection.sendall(b"GET /health HTTP/1.1\r\n")
        for number in range(10**6):
            connection.sendall(b"X-%d: a\r\n" % number)
    assert psutil.Process().memory_info().rss - before < 32 * MIB


def test_a_slow_head_and_a_slow_body_are_given_up(town: Town, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "HEAD_S", 0.3)
    monkeypatch.setattr(bodies, "SILENCE_S", 0.3)
    with raw(town.service) as silent, raw(town.service) as slow, raw(town.service) as stuck:
        slow.sendall(b"GET /health HTT")
        token = town.ada.token.encode()
        stuck.sendall(b"POST /v1/works HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer ")
        stuck.sendall(token + b"\r\nContent-Length: 100\r\n\r\n{")
        assert answer(silent) == answer(slow) == b""
        assert b" 408 " in answer(stuck).partition(b"\r\n")[0]
    with raw(town.service) as ordinary:  # a second request on the same connection comes as late as it likes
        began = time.monotonic()
        for moment in (0.0, 0.5, 1.0):
            until(lambda: time.monotonic() - began >= moment)  # noqa: B023
            ordinary.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            until(lambda: b'"ok"' in ordinary.recv(65536))


def test_a_stranger_cannot_send_much(town: Town):
    much = json.dumps({"workload": "x" * MIB}).encode()
    for token in ("", "x.y.z", town.ada.token[:-3] + "abc"):
        said = town.service.client(token).post("/v1/works", data=much, headers={"Content-Type": "application/json"})
        assert said.status_code == 401
        assert said.json()["error"]["kind"] == "not_logged_in"
    assert town.ada.post("/v1/works", data=much, headers={"Content-Type": "application/json"}).status_code == 201


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_before_it_is_read(start, chunked: bool):
    service = start(max_workload=MIB, max_json=MIB)
    _, device = service.device("ion0")
    user = service.user()
    work_id = user.post("/v1/works", json={"device_id": "ion0"}).json()["work_id"]
    body = (b"x" * 2**16 for _ in range(64)) if chunked else b"x" * (4 * MIB)
    assert user.put(f"/v1/works/{work_id}/workload", data=body).status_code == 413
    body = (b" " * 2**16 for _ in range(64)) if chunked else b" " * (4 * MIB)
    assert user.post("/v1/works", data=body, headers={"Content-Type": "application/json"}).status_code == 413
    body = (b"x" * 2**16 for _ in range(64)) if chunked else b"x" * (4 * MIB)
    assert device.put("/v1/devices/ion0/configuration", data=body).status_code == 413


SMUGGLED = b"0\r\n\r\nDELETE /v1/devices/ion0 HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "lie",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Content-Length: 2\r\nContent-Length: 50",
        b"Content-Length: abc",
        b"Content-Length: +2",
        b"Content-Length: -1",
        b"Content-Length: 99999999999999999999999",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 2",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: chunked\r\n Content-Length: 2",
        b"X: a\0b",
        b"X: a\rb",
        b"X y: z",
    ],
)
def test_who_lies_about_the_length_of_a_body_is_not_believed(town: Town, lie: bytes):
    head = b"POST /v1/works HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + town.admin.token.encode()
    with raw(town.service) as connection:
        connection.sendall(head + b"\r\n" + lie + b"\r\n\r\n" + SMUGGLED)
        said = answer(connection)
    assert re.findall(rb"HTTP/1\.1 (\d+)", said) == [b"400"]
    assert town.admin.get("/v1/devices/ion0").status_code == 200


def test_no_text_of_a_request_becomes_a_header_or_a_path(town: Town, tmp_path):
    for extension in ("../../x", "a/b", "a\r\nX: y", "sh\0", "..", "%2e%2e", "a" * 17):
        said = town.ion.put("/v1/devices/ion0/configuration", params={"extension": extension}, data=b"x")
        assert said.status_code == 422, extension
        body = {"DeviceStatus": "ONLINE", "DeviceConfigurationFileExtension": extension}
        said = town.ion.put(f"/devices/{town.devices['ion0']['uuid']}", json=body)
        if said.status_code != 400:
            assert town.ion.put(said.json()["UploadUrl"], data=b"x").status_code == 200
            name = town.ada.get("/v1/devices/ion0/configuration").headers["Content-Disposition"]
            assert re.fullmatch(r'attachment; filename="[0-9a-f-]{36}-configuration\.[A-Za-z0-9]+"', name), name
    for name in ("a\r\nSet-Cookie: x=y", "\0", "\x1b[31m", "x" * 201):
        values = {"device_id": "ion0", "workload": "x", "name": name}
        assert town.ada.post("/v1/works", json=values).status_code == 422
        assert town.admin.post("/v1/users", json={"email": "x@lab.example", "full_name": name}).status_code == 422
    for name in ("../etc", "a/b", "a b", "", "any", "é", "x\r\ny", "-rf"):
        assert town.admin.post("/v1/devices", json={"device_id": name}).status_code in (400, 422), name
    for path in (
        "/v1/works/..%2f..%2fetc%2fpasswd",
        "/web/static/..%2f..%2f..%2f..%2fetc/passwd",
        "/web/static/%2e%2e/guard.py",
    ):
        with raw(town.service) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            said = answer(connection)
        assert said.split()[1] in (b"401", b"404", b"303"), (path, said[:100])
        assert b"root:" not in said


def test_a_host_that_a_request_makes_up_changes_nothing_for_others(town: Town):
    headers = {"Host": "evil.example"}
    hers = town.ada.get(f"/workloads/{town.done['work_id']}", headers=headers).json()["WorkloadUrl"]
    assert hers.startswith("http://evil.example/")  # only she sees it, who asked so
    assert town.ada.get(f"/workloads/{town.done['work_id']}").json()["WorkloadUrl"].startswith(town.service.url)


def test_many_connections_that_say_nothing_hold_up_nobody(town: Town):
    host, _, port = town.service.url.removeprefix("http://").partition(":")
    idle = [socket.create_connection((host, int(port))) for _ in range(200)]
    try:
        assert town.ada.get("/v1/me").status_code == 200
        assert town.ada.get(f"/v1/works/{town.done['work_id']}/workload").content == SECRET
    finally:
        for each in idle:
            each.close()


@pytest.mark.slow
def test_a_workload_that_takes_long_to_check_holds_up_nobody(town: Town):
    gates = {"gates": 1, "qubits": 1, "registers": [["c", 1]], "parameters": [], "ops": [["h", [0]]] * 200_000}
    task = json.dumps({"conqure": 1, "is": "task", "program": json.dumps(gates), "language": "gates"})
    body = {"device_id": "ion0", "format": "task", "workload": task}
    sent = threading.Thread(target=lambda: town.bob.post("/v1/works", json=body))
    first = time.monotonic()
    sent.start()
    slowest = 0.0
    while sent.is_alive():
        began = time.monotonic()
        assert town.ada.get("/v1/me").status_code == 200
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < (time.monotonic() - first) / 2
