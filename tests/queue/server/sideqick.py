"""Stand-ins for the clients that exist of the AWS interface: call by call what they ask, and how they read the answers.

They know nothing of our service but what stands in their configuration. They decode tokens with the standard base64
alphabet, wait for nothing but DONE, take no code but the one that they expect, and send no header to a URL that was
given to them.
"""

from __future__ import annotations

import base64
import json
import tempfile
import time
from dataclasses import dataclass, field
from typing import IO, Any

import requests
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth2Session


def claims(token: str) -> dict[str, Any]:
    """The middle of a token as those clients read it: no urlsafe alphabet, and padding by hand."""
    part = token.split(".")[1]
    assert not {"-", "_"} & set(part), "a token that they cannot read"
    return json.loads(base64.b64decode(part + "=" * (-len(part) % 4), validate=True))


class CognitoAuth(requests.auth.AuthBase):
    """Logs in by a password, and refreshes what it got while a minute is left."""

    def __init__(self, cognito_url: str, username: str, password: str) -> None:
        self.url, self.username, self.password = cognito_url, username, password
        self.tokens: dict[str, Any] = {}
        self.calls: list[str] = []

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if not self.tokens:
            self.initial_auth()
        elif claims(self.tokens["AccessToken"])["exp"] - time.time() < 60:
            self.refresh_auth()
        identity = claims(self.tokens["IdToken"])
        assert identity["email"] == self.username
        assert isinstance(identity["cognito:groups"], list)
        request.headers["Authorization"] = f"{self.tokens['TokenType']} {self.tokens['AccessToken']}"
        return request

    def initial_auth(self) -> None:
        given = {"USERNAME": self.username, "PASSWORD": self.password}
        self.tokens = self._ask("USER_PASSWORD_AUTH", given)

    def refresh_auth(self) -> None:
        got = self._ask("REFRESH_TOKEN_AUTH", {"REFRESH_TOKEN": self.tokens["RefreshToken"]})
        assert "RefreshToken" not in got
        self.tokens = self.tokens | got

    def _ask(self, flow: str, given: dict[str, str]) -> dict[str, Any]:
        self.calls.append(flow)
        headers = {
            "X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth",
            "Content-Type": "application/x-amz-json-1.1",
        }
        body = {"AuthFlow": flow, "ClientId": "anything", "AuthParameters": given}
        answer = requests.post(self.url, headers=headers, data=json.dumps(body), timeout=30)
        result = answer.json().get("AuthenticationResult")
        if result is None:
            raise RuntimeError("Login failed")
        return result


@dataclass
class SideqickUser:
    """A user's program."""

    url: str
    email: str
    password: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.auth = CognitoAuth(f"{self.url}/cognito", self.email, self.password)

    def add_user(self, email: str, fullname: str) -> None:
        answer = self.session.post(f"{self.url}/users", json={"Email": email, "FullName": fullname})
        assert (answer.status_code, answer.content) == (200, b"")

    def add_device(self, name: str, refresh_timeout: int = 60) -> dict[str, str]:
        answer = self.session.post(f"{self.url}/devices", json={"DeviceName": name, "RefreshTimeout": refresh_timeout})
        assert answer.status_code == 201, answer.text
        assert set(answer.json()) == {"DeviceId", "DeviceName", "ClientId", "ClientSecret"}
        return answer.json()

    def get_devices(self) -> list[dict[str, Any]]:
        return self._get("/devices")

    def get_soccfg(self, device_id: str) -> Any:
        return json.loads(self._fetch(self._get(f"/devices/{device_id}")["DeviceConfigurationUrl"]))

    def create_work(self, workloadfile: IO[bytes], device_id: str, priority: str = "LOW") -> str:
        answer = self.session.post(f"{self.url}/workloads", json={"DeviceId": device_id, "Priority": priority})
        assert answer.status_code == 201, answer.text
        workloadfile.seek(0)
        _upload(answer.json()["UploadUrl"], workloadfile)
        workloadfile.close()
        return answer.json()["WorkId"]

    def get_work(self, work_id: str) -> dict[str, Any]:
        return self._get(f"/workloads/{work_id}")

    def list_work(self, device_id: str, account_id: str = "") -> list[dict[str, Any]]:
        """As the web page of that service does: page by page."""
        found: list[dict[str, Any]] = []
        query = {"DeviceId": device_id, "AccountId": account_id}
        while True:
            page = self._get("/workloads", params=query)
            assert len(page["Items"]) <= 5
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            query["ExclusiveStartKeyJson"] = json.dumps(page["LastEvaluatedKey"])

    def wait_until_done(self, work_id: str, interval: float = 0.02, give_up_s: float = 20.0) -> None:
        """Waits for DONE and for nothing else; only a test gives up."""
        deadline = time.monotonic() + give_up_s
        while self.get_work(work_id)["WorkStatus"] != "DONE":
            assert time.monotonic() < deadline, "it would wait for ever"
            time.sleep(interval)

    def get_results(self, work_id: str) -> IO[bytes]:
        work = self.get_work(work_id)
        if work["WorkStatus"] != "DONE":
            raise RuntimeError("get_results error: workload is not in DONE status")
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
        file.write(self._fetch(work["WorkloadResultUrl"]))
        file.seek(0)
        return file

    def close(self) -> None:
        self.session.close()

    def _get(self, path: str, **request: Any) -> Any:
        answer = self.session.get(self.url + path, **request)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _fetch(self, url: str) -> bytes:
        return _download(url)


class SideqickDevice:
    """A device's program."""

    def __init__(self, url: str, device_id: str, client_id: str, client_secret: str) -> None:
        self.url, self.device_id = url, device_id
        self.session = OAuth2Session(client=BackendApplicationClient(client_id=client_id))
        auth = requests.auth.HTTPBasicAuth(client_id, client_secret)
        self.session.fetch_token(token_url=f"{url}/oauth2/token", auth=auth)

    def update_status(self, status: str, configuration: Any = None) -> None:
        said = {"DeviceStatus": status, "DeviceConfigurationFileExtension": "json"}
        answer = self.session.put(f"{self.url}/devices/{self.device_id}", json=said)
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"DeviceId", "UploadUrl"}
        if configuration is not None:
            _upload(answer.json()["UploadUrl"], json.dumps(configuration).encode())

    def get_workload(self) -> tuple[str, bytes] | None:
        answer = self.session.get(f"{self.url}/devices/{self.device_id}/workload")
        assert answer.status_code == 200, answer.text
        if answer.json() == []:
            return None
        return answer.json()["WorkId"], _download(answer.json()["WorkloadUrl"])

    def upload_results(self, work_id: str, results: bytes) -> None:
        answer = self.session.put(f"{self.url}/devices/{self.device_id}/workloads/{work_id}")
        assert answer.status_code == 200, answer.text
        _upload(answer.json()["UploadUrl"], results)

    def close(self) -> None:
        self.session.close()


def _upload(url: str, body: Any) -> None:
    """What counts is 200 exactly; the URL alone carries the right."""
    answer = requests.put(url, data=body, headers={"Content-Type": "application/octet-stream"}, timeout=30)
    assert answer.status_code == 200, answer.text


def _download(url: str) -> bytes:
    """The body as it comes over the wire, decoded by nobody."""
    with requests.get(url, stream=True, timeout=30) as answer:
        assert answer.status_code == 200, answer.text
        return answer.raw.read(decode_content=False)
