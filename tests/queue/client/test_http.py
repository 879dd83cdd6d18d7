"""Connections to a service: what is repeated, what is not, and where the token goes."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from conqure import ConqureError, NotLoggedIn, QueueUnavailable, TooMany, UnknownWork
from conqure.queue.http import Line

Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


def says(code: int, value: object = None, **headers: str) -> Reply:
    def reply(request: http.server.BaseHTTPRequestHandler) -> None:
        content = json.dumps(value).encode()
        request.send_response(code)
        for name, text in headers.items():
            request.send_header(name.replace("_", "-"), text)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    return reply


def hangs_up(request: http.server.BaseHTTPRequestHandler) -> None:
    """The request was read, and perhaps done; the answer is lost."""
    request.close_connection = True


@contextmanager
def service(*replies: Reply) -> Iterator[tuple[str, list[tuple[str, str, dict[str, str], bytes]]]]:
    """A service that gives these answers in turn, the last one for ever; and what it was asked."""
    asked: list[tuple[str, str, dict[str, str], bytes]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, dict(self.headers), body))
            replies[min(len(asked), len(replies)) - 1](self)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def line_to(url: str, **options: object) -> Iterator[Line]:
    line = Line(url, headers={"Authorization": "Bearer secret"}, **{"patience_s": 5.0, **options})
    try:
        yield line
    finally:
        line.close()


def test_a_connection_is_kept_for_the_next_request() -> None:
    ports = []
    with service(lambda r: (ports.append(r.client_address[1]), says(200)(r))[1]) as (url, _), line_to(url) as line:
        for _ in range(3):
            line.ask("GET", "/v1/works")
        assert len(set(ports)) == 1


@pytest.mark.parametrize("trouble", [hangs_up, says(503), says(502), says(429, retry_after="0")])
def test_a_request_whose_answer_is_lost_is_repeated(trouble: Reply) -> None:
    with service(trouble, trouble, says(201, "made")) as (url, asked), line_to(url) as line:
        assert line.ask("POST", "/v1/works", json_={"work_id": "a"}).json() == "made"
        assert [body for *_, body in asked] == [b'{"work_id":"a"}'] * 3


def test_what_would_do_harm_twice_is_not_repeated_once_it_was_sent() -> None:
    with service(hangs_up, says(201)) as (url, asked), line_to(url) as line:
        with pytest.raises(QueueUnavailable):
            line.request("POST", "/workloads", json_={}, repeat=False)
        assert len(asked) == 1


def test_patience_ends_with_what_to_look_for() -> None:
    with service(says(200)) as (url, _):
        pass
    with line_to(url, patience_s=0.2) as line, pytest.raises(QueueUnavailable, match=r"does not answer.*conqure serve"):
        line.ask("GET", "/v1/works")


def test_when_the_service_stays_busy_its_own_error_is_raised() -> None:
    busy = says(429, {"error": {"kind": "too_many", "message": "60 a minute"}}, retry_after="1")
    with service(busy) as (url, _), line_to(url, patience_s=0.2) as line, pytest.raises(TooMany, match="60 a minute"):
        line.ask("GET", "/v1/works")


def test_errors_are_those_that_the_service_names() -> None:
    unknown = says(404, {"error": {"kind": "unknown_work", "message": "no work 'x'"}})
    with service(unknown) as (url, _), line_to(url) as line, pytest.raises(UnknownWork, match="no work 'x'"):
        line.ask("GET", "/v1/works/x")


def test_who_is_not_logged_in_hears_how_to() -> None:
    with service(says(401, "?")) as (url, _), line_to(url) as line:
        text = f"conqure login {url}$"
        with pytest.raises(NotLoggedIn, match=text):
            line.ask("GET", "/v1/works/x")


def test_the_token_is_sent_to_no_other_place() -> None:
    with service(says(200)) as (other, asked):
        moved = says(302, location=f"{other}/v1/works")
        with service(moved) as (url, _), line_to(url) as line:
            with pytest.raises(ConqureError, match="is not followed"):
                line.ask("GET", "/v1/works")
            assert asked == []
            line.request("PUT", f"{other}/transfer/x", body=b"abc")
            assert "Authorization" not in asked[0][2]


def test_what_is_no_queue_is_recognised() -> None:
    def page(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "6")
        request.end_headers()
        request.wfile.write(b"<html>")

    with service(page) as (url, _), line_to(url) as line, pytest.raises(QueueUnavailable, match="address of a cloud"):
        line.ask("GET", "/v1/devices").json()


def test_one_line_serves_several_threads() -> None:
    with service(says(200, 1)) as (url, asked), line_to(url) as line:
        threads = [threading.Thread(target=lambda: [line.ask("GET", "/") for _ in range(10)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(asked) == 80
