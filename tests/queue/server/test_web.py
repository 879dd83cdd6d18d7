"""The page, asked as a browser asks: who sees what, what forms do, and what protects them. Real service on loopback."""

import json
import threading
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from conqure.queue.work import WorkloadFormat, WorkStatus
from qpu_executors import QuantumResult, QuantumTask, as_task

from .conftest import ADMIN, PASSWORD, until
from .web_place import ADA, BELL, BOB, HOSTILE, Place, Visitor, serving

POSTS = [
    "/logout", "/submit", "/works/{work}/cancel", "/account/password", "/account/tokens", "/account/tokens/x/revoke",
    "/devices", "/devices/sv0/secret", "/devices/sv0/remove", "/users", "/users/change",
]  # fmt: skip
PAGES = ["/works", "/works/{work}", "/devices", "/submit", "/account"]
GATES = as_task(BELL).program
ADMIN_PAGES = ["/users", "/devices/sv0"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with serving(tmp_path_factory.mktemp("web")) as found:
        yield found


@pytest.fixture
def ada(place: Place) -> Iterator[Visitor]:
    with place.visitor() as found:
        yield found


@pytest.fixture
def bob(place: Place) -> Iterator[Visitor]:
    with place.visitor(BOB) as found:
        yield found


@pytest.fixture
def admin(place: Place) -> Iterator[Visitor]:
    with place.visitor(ADMIN) as found:
        yield found


def result(task: QuantumTask, *counts: dict[str, int]) -> bytes:
    shots = sum(counts[0].values())
    return QuantumResult(task.task_id, "sv0", counts, shots, 0.1, 0.2, 1.0, 1.2).to_json().encode()


# Logging in


def test_without_a_login_every_page_leads_to_the_form_and_back(place: Place) -> None:
    with place.visitor(None) as stranger:
        for path in [*PAGES, *ADMIN_PAGES]:
            answer = stranger.show(path, allow_redirects=False)
            assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/web/login")
        asked = stranger.show("/works?status=DONE&device=sv0", allow_redirects=False).headers["location"]
        place_after = stranger.log_in(ADA, next=parse_qs(urlsplit(asked).query)["next"][0]).url
        assert place_after == f"{place.url}/works?status=DONE&device=sv0"


def test_the_service_itself_leads_to_the_page(place: Place) -> None:
    with place.visitor(None) as stranger:
        assert stranger.get(place.url.removesuffix("/web"), timeout=30).url == f"{place.url}/login"
        assert stranger.show("").url.startswith(f"{place.url}/login")


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example/x", "/\\evil.example", "javascript:x"])
def test_a_login_never_leads_to_another_site(place: Place, elsewhere: str) -> None:
    with place.visitor(None) as stranger:
        assert stranger.log_in(ADA, next=elsewhere).url == f"{place.url}/works"


def test_a_wrong_password_is_refused_and_says_nothing_about_the_account(place: Place) -> None:
    with place.visitor(None) as stranger:
        wrong = stranger.log_in(ADA, "wrong password")
        unknown = stranger.log_in("nobody@lab.example", "wrong password")
        assert (wrong.status_code, unknown.status_code) == (401, 401)
        assert "do not go together" in wrong.text
        assert wrong.text.replace(ADA, "") == unknown.text.replace("nobody@lab.example", "")
        assert "conqure_session" not in stranger.cookies


def test_the_cookie_is_for_this_site_alone_and_no_script_reads_it(place: Place) -> None:
    with place.visitor(None) as stranger:
        form = {"form_token": stranger.token("/login"), "email": ADA, "password": PASSWORD}
        answer = stranger.post(f"{place.url}/login", form, timeout=30, allow_redirects=False)
        cookie = next(c for c in answer.headers["set-cookie"].split(", conqure") if "session" in c).lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "path=/web" in cookie
        assert "secure" not in cookie  # plain http on loopback; a browser would not keep it


def test_a_login_that_was_ended_or_an_account_that_was_closed_is_over_at_once(place: Place, admin: Visitor) -> None:
    place.service.accounts.add_user("eve@lab.example", "Eve", place.service.accounts.user(ADA).password)
    with place.visitor("eve@lab.example") as eve, Visitor(place.url) as copy:
        copy.cookies.update(eve.cookies)
        assert copy.show("/works").url.endswith("/works")
        eve.submit("/logout")
        assert copy.show("/works").url.endswith("/login")
        eve.log_in("eve@lab.example")
        assert admin.submit("/users/change", {"user_id": "eve@lab.example", "what": "close"}).status_code == 200
        assert eve.show("/works").url.endswith("/login")
        assert eve.log_in("eve@lab.example").status_code == 401


def test_a_link_on_another_site_works_for_who_is_logged_in(place: Place) -> None:
    """SameSite=Strict keeps the cookie back then, so the page asks once more by itself."""
    with place.visitor(None) as stranger:
        answer = stranger.show("/works", headers={"Sec-Fetch-Site": "cross-site"})
        assert '<meta http-equiv="refresh" content="0">' in answer.text


# Forms


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("forged", [None, "", "0" * 64, "ä"])
def test_a_form_without_the_token_of_this_login_does_nothing(place: Place, path: str, forged: str | None) -> None:
    with place.visitor(ADMIN) as admin:
        work = place.work(ADMIN)
        fields = {} if forged is None else {"form_token": forged}
        answer = admin.post(place.url + path.format(work=work.work_id), fields, timeout=30)
        assert answer.status_code == 403
        assert "Load the page again" in answer.text
        assert place.service.works.get(work.work_id).status is WorkStatus.READY


def test_the_token_of_another_login_does_not_fit(place: Place, ada: Visitor, bob: Visitor) -> None:
    answer = bob.post(f"{place.url}/account/tokens", {"form_token": ada.token(), "name": "x", "days": "1"}, timeout=30)
    assert answer.status_code == 403


def test_a_form_from_another_site_is_refused_even_with_the_right_token(place: Place, ada: Visitor) -> None:
    form = {"form_token": ada.token(), "name": "x", "days": "1"}
    for site, code in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        answer = ada.post(f"{place.url}/account/tokens", form, headers={"Sec-Fetch-Site": site}, timeout=30)
        assert answer.status_code == code


def test_a_login_cannot_be_forged_either(place: Place) -> None:
    with place.visitor(None) as stranger:
        answer = stranger.post(f"{place.url}/login", {"email": ADA, "password": PASSWORD}, timeout=30)
        assert answer.status_code == 403
        assert "conqure_session" not in stranger.cookies


def test_a_form_that_is_too_large_is_refused_before_it_is_read(place: Place, ada: Visitor) -> None:
    answer = ada.post(f"{place.url}/account/tokens", {"form_token": ada.token(), "name": "x" * 100_000}, timeout=30)
    assert answer.status_code == 413


ODD = [
    "\0",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin1"),
    "💩" * 300,
    "9" * 5000,
    "-1",
    "[" * 5000,
    "\r\n",
    "{",
]
FIELDS = {
    "/submit": ("text", "format", "device_id", "priority", "shots", "name", "work_id"),
    "/works/{work}/cancel": ("reason",),
    "/account/password": ("old", "new"),
    "/account/tokens": ("name", "days"),
    "/devices": ("device_id", "n_qubits", "slots", "refresh_timeout_s", "tags", "users"),
    "/devices/sv0/remove": ("sure",),
    "/users": ("email", "full_name"),
    "/users/change": ("user_id", "what"),
}


@pytest.mark.slow
@pytest.mark.parametrize("path", FIELDS)
def test_whatever_a_form_holds_it_is_the_senders_mistake(place: Place, admin: Visitor, path: str) -> None:
    usual = {"text": GATES, "device_id": "sv0", "name": "x", "days": "1", "email": "odd@lab.example", "what": "admin"}
    path, token = path.replace("{work}", place.work(ADMIN).work_id), admin.token()
    for field in FIELDS.get(path, ("reason",)):
        for odd in ODD:
            form = usual | {"form_token": token, field: odd}
            assert admin.post(place.url + path, form, timeout=60).status_code < 500, (field, odd[:20])
    url = place.url + path
    for body, kind in ((b"\xff" * 99, "application/x-www-form-urlencoded"), (b"--x\r\n\r\n", "multipart/form-data")):
        for suffix in ("", "; boundary=x", "; boundary=" + "y" * 200, "; charset=utf-7"):
            answer = admin.post(url, data=body, headers={"Content-Type": kind + suffix}, timeout=60)
            assert 400 <= answer.status_code < 500, (kind, suffix)


# Works


def test_a_user_never_sees_the_works_of_another(place: Place, ada: Visitor, bob: Visitor, admin: Visitor) -> None:
    task = as_task(BELL, shots=100)
    secret = place.ended(place.work(ADA, name="secret of ada"), results=result(task, {"00": 100}))
    waits = place.work(ADA, name="secret of ada")
    for path in ("", "/part", "/workload", "/results"):
        mine, others = ada.show(f"/works/{secret.work_id}{path}"), bob.show(f"/works/{secret.work_id}{path}")
        assert (mine.status_code, others.status_code) == (200, 404)
        assert "secret of ada" not in others.text
        assert admin.show(f"/works/{secret.work_id}{path}").status_code == 200
    assert bob.submit(f"/works/{waits.work_id}/cancel").status_code == 404
    assert place.service.works.get(waits.work_id).status is WorkStatus.READY
    for asked in ("", "?whose=all", "/part?whose=all", f"?owner={ADA}"):
        assert "secret of ada" not in bob.show(f"/works{asked}").text
    assert "secret of ada" in admin.show("/works?whose=all").text
    assert "secret of ada" not in admin.show("/works").text


def test_works_are_filtered_and_turned_over_page_by_page(place: Place, bob: Visitor) -> None:
    works = [place.work(BOB, name=f"number {i}", priority="HIGH" if i % 2 else "LOW") for i in range(30)]
    seen, path = [], "/works?device=sv0"
    while path:
        text = bob.show(path).text
        seen += [work for work in works if f"/works/{work.work_id}" in text]
        older = [line for line in text.splitlines() if 'data-key="older"' in line]
        path = older[0].split('href="/web')[1].split('"')[0].replace("&amp;", "&") if older else ""
    assert {work.work_id for work in seen} == {work.work_id for work in works}
    assert len(seen) == 30
    high = bob.show("/works?priority=HIGH").text
    assert sum(work.work_id in high for work in works) == 15
    assert "No works here with this filter" in bob.show("/works?status=DONE").text
    for work in works:
        place.service.works.ask_cancel(work.work_id, 0.0)


def test_a_list_and_a_work_say_how_many_are_before_it(place: Place, bob: Visitor) -> None:
    works = [place.work(BOB, device_id="sv1") for _ in range(3)]
    place.work(ADA, device_id="sv1", priority="HIGH")
    listed = bob.show("/works?device=sv1").text
    assert all(f"{n} before it" in listed for n in (1, 2, 3))
    assert "3 works before it" in bob.show(f"/works/{works[2].work_id}").text


def test_nonsense_in_an_address_is_no_error_of_the_service(place: Place, ada: Visitor, admin: Visitor) -> None:
    for path in (
        "/works?cursor=x_y", "/works?cursor=nan_1", "/works?status=LATE&priority=9&whose=all&source=%00",
        "/works/none", "/works/%00", f"/works/{place.work().work_id}?row=-1", f"/works/{place.work().work_id}?row=9e9",
        "/nothing", "/static/../pages.py", "/static/%2e%2e/pages.py", "/works?device=%F0%9F%92%A9%00", "/devices/%00",
    ):  # fmt: skip
        for somebody in (ada, admin):
            assert somebody.show(path).status_code in (200, 400, 403, 404), path


def test_hostile_names_and_texts_are_text(place: Place, bob: Visitor, admin: Visitor) -> None:
    failed = place.work(BOB, name=HOSTILE, device_id="sv0", loop=HOSTILE)
    place.ended(failed, WorkStatus.ERROR, error=HOSTILE, error_kind="device_fault", ran_on=HOSTILE)
    counted = place.work(BOB, name=HOSTILE)
    place.ended(counted, results=result(as_task(BELL), {HOSTILE: 1}))
    place.work(BOB, b'{"is":"task",' + HOSTILE.encode(), name="broken")
    paths = ["/works", "/works?device=" + HOSTILE, f"/works/{failed.work_id}", f"/works/{counted.work_id}", "/account"]
    for path in [*paths, "/submit?device=" + HOSTILE, "/login?next=" + HOSTILE]:
        text = bob.show(path).text
        assert "&lt;img" in text or path in ("/submit", "/account"), path
        assert "<img" not in text
        assert "<b>" not in text
    assert "<img" not in admin.show("/users").text


def test_what_cannot_be_shown_is_said(place: Place, ada: Visitor) -> None:
    broken = place.work(ADA, b"no task at all", name="broken")
    opaque = place.work(ADA, b"\x00\xff", format=WorkloadFormat.OPAQUE)
    place.ended(opaque, results=b"\x01")
    odd = place.work(ADA)
    place.ended(odd, results=b'{"counts": 3}')
    dax = place.work(ADA, b"self.h(0)\nself.m_z(0)", format=WorkloadFormat.DAX)
    gone = place.ended(place.work(ADA))
    assert "not JSON" in ada.show(f"/works/{broken.work_id}").text
    assert "download them" in ada.show(f"/works/{opaque.work_id}").text
    assert "not a quantum result" in ada.show(f"/works/{odd.work_id}").text
    assert "self.m_z(0)" in ada.show(f"/works/{dax.work_id}").text
    assert ada.show(f"/works/{gone.work_id}").status_code == 200


@pytest.mark.parametrize(
    "odd", ['"shots":"x"', '"counts":[{"0":Infinity}]', '"counts":[{"0":1e999}]', '"counts":3', '"device_id":{}',
            f'"counts":[{{"0":{"9" * 4000}}}]', '"counts":[{"0":-5,"1":5}]', '"counts":[' + "[" * 3000]
)  # fmt: skip
def test_odd_results_of_a_device_break_no_page(place: Place, ada: Visitor, odd: str) -> None:
    good = json.loads(result(as_task(BELL), {"00": 1}))
    name = odd.partition(":")[0].strip('"')
    rest = json.dumps({key: value for key, value in good.items() if key != name})
    work = place.ended(place.work(ADA), results=f"{rest[:-1]},{odd}}}".encode())
    assert ada.show(f"/works/{work.work_id}").status_code == 200
    assert ada.show(f"/works/{work.work_id}/part").status_code == 200


def test_a_work_of_many_rows_and_tasks_shows_the_row_that_is_asked_for(place: Place, ada: Visitor) -> None:
    ops = '["ry",[0],[[0,0,1]]],["measure",[0],[0]]'
    program = f'{{"gates":1,"qubits":1,"registers":[["c",1]],"parameters":["theta"],"ops":[{ops}]}}'
    tasks = [QuantumTask(program, shots=8, parameter_values=[[0.125], [0.25]]) for _ in range(2)]
    payload = ("[" + ",".join(task.to_json() for task in tasks) + "]").encode()
    work = place.work(ADA, payload, format=WorkloadFormat.TASKS, n_rows=4)
    results = [result(task, {"0": 8 - i, "1": i}, {"1": 8}).decode() for i, task in enumerate(tasks)]
    place.ended(work, results=("[" + ",".join(results) + "]").encode())
    third = ada.show(f"/works/{work.work_id}?row=3").text
    assert "row 3 of 4, 8 shots on sv0" in third
    assert "theta = 0.125" in third
    assert "0: 7 (87.50%)" in third
    assert "row 4 of 4" in ada.show(f"/works/{work.work_id}?row=99").text


def test_payloads_are_downloads_and_never_shown_by_the_browser(place: Place, ada: Visitor) -> None:
    page = b"<script>alert(1)</script>"
    work = place.work(ADA, page, format=WorkloadFormat.OPAQUE)
    place.ended(work, results=page)
    for path in ("workload", "results"):
        answer = ada.show(f"/works/{work.work_id}/{path}")
        assert answer.content == page
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith(f'attachment; filename="{work.work_id}-')
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_part_is_sent_again_only_when_it_has_changed(place: Place, ada: Visitor) -> None:
    work = place.work()
    path = f"/works/{work.work_id}/part?row=1"
    first = ada.show(path)
    again = ada.show(path, headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert ada.show(path, headers={"If-None-Match": f"W/{first.headers['etag']}"}).status_code == 304
    place.service.works.ask_cancel(work.work_id, 0.0)
    changed = ada.show(path, headers={"If-None-Match": first.headers["etag"]})
    assert "CANCELED" in changed.text
    assert "data-live" not in changed.text  # final: nobody asks any more
    with place.visitor(None) as stranger:
        assert stranger.show(path).status_code == 401


# Submitting


@pytest.mark.slow
def test_a_circuit_is_submitted_from_a_text_or_a_file(place: Place, ada: Visitor, tmp_path: Path) -> None:
    task = as_task(BELL, shots=7).to_json()
    with place.dispatching():
        for fields, upload in (
            ({"text": BELL, "shots": "50", "name": "typed"}, None),
            ({"text": task, "shots": "50", "priority": "HIGH", "device_id": "tag:simulator"}, None),
            ({"shots": "50"}, ("bell.json", GATES.encode())),
        ):
            answer = ada.submit("/submit", {"device_id": "sv0"} | fields, files={"file": upload} if upload else None)
            work_id = answer.url.rpartition("/")[2]
            work = until(lambda work_id=work_id: done(place, work_id))
            assert work.owner == ADA
            assert QuantumResult.from_json(place.service.works.payload(work.results)).shots == 50
            assert work.name == fields.get("name", "")
            assert work.priority == fields.get("priority", "LOW")


def done(place: Place, work_id: str) -> object:
    work = place.service.works.get(work_id)
    return work if work.status is WorkStatus.DONE else None


@pytest.mark.slow
def test_a_mistake_comes_back_with_what_was_typed(place: Place, ada: Visitor) -> None:
    for fields, code, says in (
        ({"text": "OPENQASM 2.0; qreg q[1]; nonsense q;"}, 400, "line 1"),
        ({"text": ""}, 400, "nothing to run"),
        ({"text": GATES, "device_id": "moon"}, 404, "sv0"),
        ({"text": GATES, "shots": "many"}, 400, "shots must be a whole number"),
        ({"text": GATES, "name": "x" * 300}, 400, "name must be"),
        ({"text": GATES, "format": "exe"}, 400, "circuit, dax or opaque"),
        ({"text": "{nonsense"}, 400, "JSON"),
        ({"text": BELL + "//" + "x" * 300_000}, 413, "conqure work create"),
    ):
        answer = ada.submit("/submit", fields)
        assert (answer.status_code, answer.url) == (code, f"{place.url}/submit"), fields
        assert says in answer.text
        assert fields["text"][:20] in unescape(answer.text)
    both = ada.submit("/submit", {"text": BELL}, files={"file": ("bell.qasm", BELL.encode())})
    assert "both a text and a file" in both.text


@pytest.mark.slow
@pytest.mark.parametrize("statement", ["{gates} g29 q[0];", "qreg r[100000000]; h r;"])
def test_a_short_text_that_stands_for_a_huge_circuit_costs_the_service_nothing(ada: Visitor, statement: str) -> None:
    """Each gate is twice the one before: half a billion operations in a kilobyte."""
    gates = "gate g0 a {x a;} " + " ".join(f"gate g{i} a {{g{i - 1} a; g{i - 1} a;}}" for i in range(1, 30))
    text = f'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; {statement.format(gates=gates)}'
    answers: list[int] = []
    hostile = threading.Thread(target=lambda: answers.append(ada.submit("/submit", {"text": text}).status_code))
    hostile.start()
    with Visitor(ada.url) as other:
        while hostile.is_alive():
            assert other.show("/login").elapsed.total_seconds() < 5  # nothing but the machine is busy
            hostile.join(0.2)
    assert answers == [400]


def test_a_form_that_is_sent_twice_makes_one_work(place: Place, ada: Visitor) -> None:
    fields = {"text": GATES, "device_id": "sv1", "work_id": "7f9c24e8-3b12-4fef-91e0-2dc5b7f1a1a1"}
    first, second = ada.submit("/submit", fields), ada.submit("/submit", fields)
    assert first.url == second.url == f"{place.url}/works/{fields['work_id']}"
    with place.visitor(BOB) as bob:
        assert bob.submit("/submit", fields).status_code == 404  # taken, and nothing is told about it


# Devices, accounts, users


def test_pages_of_administrators_are_for_them_alone(place: Place, ada: Visitor, admin: Visitor) -> None:
    for path in ADMIN_PAGES:
        assert (ada.show(path).status_code, admin.show(path).status_code) == (403, 200)
    for path in ("/devices", "/devices/sv0/secret", "/devices/sv0/remove", "/users", "/users/change"):
        assert ada.submit(path, {"device_id": "mine", "email": "x@y.example"}).status_code == 403
    assert "Add a device" not in ada.show("/devices").text


def test_a_device_is_added_gets_another_secret_and_is_removed(place: Place, admin: Visitor) -> None:
    fields = {"device_id": "trap", "n_qubits": "5", "tags": "ion, lab", "users": f"{BOB}"}
    made = admin.submit("/devices", fields).text
    assert "shown this once" in made
    secret = made.split('<code class="secret">')[2].split("<")[0]
    assert secret not in admin.show("/devices").text
    assert admin.submit("/devices", fields).status_code == 409
    assert admin.submit("/devices", fields | {"device_id": "a b"}).status_code == 400
    assert admin.submit("/devices", fields | {"n_qubits": "-1"}).status_code == 400
    device = place.service.accounts.device("trap")
    assert (device.n_qubits, device.tags, device.users) == (5, ("ion", "lab"), (BOB,))
    assert "shown this once" in admin.submit(f"/devices/{device.uuid}/secret").text
    assert place.service.accounts.device("trap").client_id != device.client_id
    assert admin.submit(f"/devices/{device.uuid}/remove", {"sure": "no"}).status_code == 400
    admin.submit(f"/devices/{device.uuid}/remove", {"sure": "trap"})
    assert "trap" not in admin.show("/devices").text


def test_a_personal_token_is_shown_once_and_revoked(place: Place, ada: Visitor) -> None:
    made = ada.submit("/account/tokens", {"name": HOSTILE, "days": "3"}).text
    token = made.split('<code class="secret">')[1].split("<")[0]
    assert place.service.tokens.read(token)["sub"] == ADA
    account = ada.show("/account").text
    assert token not in account
    assert "<img" not in account
    token_id = place.service.tokens.read(token)["sid"]
    with place.visitor(BOB) as bob:
        assert bob.submit(f"/account/tokens/{token_id}/revoke").status_code == 404
    ada.submit(f"/account/tokens/{token_id}/revoke")
    session = place.service.accounts.session(token_id)
    assert session is not None
    assert session.revoked_at is not None
    assert ada.submit("/account/tokens", {"name": "x", "days": "99999"}).status_code in (400, 403)
    assert ada.submit("/account/tokens", {"name": "", "days": "1"}).status_code == 400


def test_a_password_is_changed_and_every_login_ends(place: Place) -> None:
    place.service.accounts.add_user("pat@lab.example", "Pat", place.service.accounts.user(ADA).password)
    with place.visitor("pat@lab.example") as here, place.visitor("pat@lab.example") as there:
        wrong = here.submit("/account/password", {"old": "wrong password", "new": "another horse"})
        assert wrong.status_code == 401
        assert "not this one" in wrong.text
        assert here.submit("/account/password", {"old": PASSWORD, "new": "short"}).status_code == 400
        assert here.submit("/account/password", {"old": PASSWORD, "new": "another horse"}).url.endswith("/login")
        assert there.show("/works").url.endswith("/login")
        assert here.log_in("pat@lab.example", "another horse").url.endswith("/works")


def test_users_are_added_and_changed_but_nobody_locks_themselves_out(place: Place, admin: Visitor) -> None:
    made = admin.submit("/users", {"email": "New@Lab.example", "full_name": HOSTILE}).text
    password = made.split('<code class="secret">')[1].split("<")[0]
    assert "<img" not in made
    with place.visitor(None) as new:
        assert new.log_in("new@lab.example", password).url.endswith("/works")
    assert admin.submit("/users", {"email": "new@lab.example"}).status_code == 409
    assert admin.submit("/users", {"email": "nonsense"}).status_code == 400
    for what in ("admin", "user", "close", "open"):
        assert admin.submit("/users/change", {"user_id": "new@lab.example", "what": what}).status_code == 200
    assert "shown this once" in admin.submit("/users/change", {"user_id": "new@lab.example", "what": "password"}).text
    assert admin.submit("/users/change", {"user_id": "new@lab.example", "what": "rob"}).status_code == 400
    assert admin.submit("/users/change", {"user_id": ADMIN, "what": "close"}).status_code == 409


# Every answer


def test_every_answer_says_what_a_browser_may_do_with_it(place: Place, admin: Visitor) -> None:
    work = place.work(ADMIN)
    paths = [
        *PAGES,
        *ADMIN_PAGES,
        "/works/part",
        "/nothing",
        "/static/style.css",
        "/static/live.js",
        "/static/icon.svg",
    ]
    for path in paths:
        answer = admin.show(path.format(work=work.work_id))
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert ("no-store" in answer.headers["cache-control"]) is ("/static/" not in path)
        assert " style=" not in answer.text
        assert " onclick=" not in answer.text


def test_the_interface_for_programs_is_drawn_from_its_description_without_a_login(place: Place) -> None:
    answer = requests.get(f"{place.url.removesuffix('/web')}/docs", timeout=30)
    assert (answer.status_code, answer.url) == (200, f"{place.url}/interface")
    described = requests.get(f"{place.url.removesuffix('/web')}/openapi.json", timeout=30).json()["paths"]
    assert all(f"<code>{path}</code>" in answer.text for path in described)
    assert "body: application/json, NewWork" in answer.text
    assert "http" not in answer.text.replace(place.url.removesuffix("/web"), "").replace("http://www.w3.org", "")
