"""Bodies of the AWS wire, with that interface's names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from qpu_executors.records import Priority

from .models import Email, Name, Printable

DeviceState = Literal["ONLINE", "BUSY", "OFFLINE"]


class AWSNewUser(BaseModel):
    Email: Email
    FullName: Name


class AWSNewDevice(BaseModel):
    DeviceName: Annotated[Printable, Field(min_length=1, max_length=190)]
    RefreshTimeout: Annotated[int, Field(ge=1, le=10**6)] = 60


class AWSStatus(BaseModel):
    DeviceStatus: DeviceState
    DeviceConfigurationFileExtension: Annotated[str, Field(max_length=16, pattern=r"^[A-Za-z0-9.]*$")]


class AWSNewWork(BaseModel):
    DeviceId: Annotated[Printable, Field(min_length=1, max_length=256)]
    Priority: Priority


class DeviceAdded(BaseModel):
    DeviceId: str
    DeviceName: str
    ClientId: str
    ClientSecret: str


class DeviceEntry(BaseModel):
    DeviceId: str
    DeviceName: str
    DeviceStatus: DeviceState
    LastRefreshed: str | int
    RefreshTimeout: int


class DeviceDetails(DeviceEntry):
    ConfigurationLastRefreshed: str | None = None
    DeviceConfigurationUrl: str | None = None


class DeviceUpload(BaseModel):
    DeviceId: str
    UploadUrl: str


class NextWork(BaseModel):
    WorkId: str
    WorkloadUrl: str


class WorkUpload(BaseModel):
    WorkId: str
    UploadUrl: str


class WorkItem(BaseModel):
    WorkId: str
    UserGivenName: str
    Priority: Priority
    DeviceId: str
    ReadyAt: str | None = None
    WorkStatus: str
    CreatedAt: str


class WorkList(BaseModel):
    Items: list[WorkItem]
    LastEvaluatedKey: dict[str, Any] | None = None


class WorkDetails(BaseModel):
    WorkId: str
    CreatedAt: str
    ReadyAt: str | None = None
    WorkStatus: str
    WorkloadUrl: str
    WorkloadResultUrl: str
    ErrorMessage: str | None = None


class Cognito(BaseModel):
    """What that interface's clients send to log in, or to refresh their tokens."""

    AuthFlow: Literal["USER_PASSWORD_AUTH", "REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"]
    ClientId: Annotated[str, Field(max_length=200)] = ""
    AuthParameters: dict[str, Annotated[str, Field(max_length=4096)]]


class Tokens(BaseModel):
    AccessToken: str
    IdToken: str
    RefreshToken: str | None = None
    TokenType: Literal["Bearer"] = "Bearer"
    ExpiresIn: int


class CognitoAnswer(BaseModel):
    AuthenticationResult: Tokens
    ChallengeParameters: dict[str, str]


class DeviceToken(BaseModel):
    access_token: str
    expires_in: int
    token_type: Literal["Bearer"] = "Bearer"


class OAuthProblem(BaseModel):
    error: str
    error_description: str
