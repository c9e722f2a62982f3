"""Every error jobman raises on purpose. Each class owns its exit code.

JobmanError                    1    something failed
├── UsageError                 2    a flag, a name or a value that cannot be right
├── ConfigError                2    a settings file, a flavor or a kubeconfig that is wrong
├── NotFoundError              3    a job, an image or another thing that is not there
├── OwnershipError             4    a job of somebody else's, and no --force
├── UnfitError                 1    a job whose state or kind leaves nothing of that to be done
├── UnreachableError           5    the cluster or the registry does not answer
├── WaitTimeoutError           124  --timeout ran out; the job goes on
└── ApiError                   1    the cluster answered with a Status (its reason decides)
    ├── ApiNotFoundError       3    404 NotFound
    ├── ForbiddenError         4    403 Forbidden
    ├── UnauthorizedError      4    401 Unauthorized
    ├── InvalidError           2    400 BadRequest, 422 Invalid
    ├── ConflictError          1    409 AlreadyExists, Conflict
    ├── ExpiredError           1    410 Expired, Gone
    └── UnavailableError       5    429, 5xx after the retries
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class JobmanError(Exception):
    """A failure with a message for the user and, where there is one, a next step.

    `message` says what, where and why in one line or a few; `hint` says what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(JobmanError):
    """A flag, a name or a value that cannot be right."""

    exit_code = 2


class ConfigError(JobmanError):
    """A settings file, a flavor or a kubeconfig that is wrong."""

    exit_code = 2


class NotFoundError(JobmanError):
    """A job, an image or another thing that is not there."""

    exit_code = 3


class OwnershipError(JobmanError):
    """A job of somebody else's, and no `--force`."""

    exit_code = 4


class UnfitError(JobmanError):
    """A job whose state or kind leaves nothing of that to be done."""


class UnreachableError(JobmanError):
    """The cluster or the registry does not answer."""

    exit_code = 5


class WaitTimeoutError(JobmanError):
    """`--timeout` ran out. It bounds the waiting, not the job."""

    exit_code = 124


class ApiError(JobmanError):
    """The cluster refused: `code` is the HTTP status, `reason` and `status` the Status body's."""

    def __init__(
        self,
        message: str,
        *,
        code: int,
        reason: str = "",
        status: Mapping[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason
        self.status = dict(status or {})


class ApiNotFoundError(ApiError):
    """404: no such object, resource or namespace."""

    exit_code = 3


class ForbiddenError(ApiError):
    """403: who I am may not do this, or quota or an admission policy forbids it."""

    exit_code = 4


class UnauthorizedError(ApiError):
    """401: the credentials are missing, wrong or expired."""

    exit_code = 4


class InvalidError(ApiError):
    """400 or 422: the server does not take this object or request."""

    exit_code = 2


class ConflictError(ApiError):
    """409: the name is taken, or somebody else changed the object meanwhile."""


class ExpiredError(ApiError):
    """410: the resourceVersion or continue token is too old."""


class UnavailableError(ApiError):
    """429 or 5xx that outlasted the retries."""

    exit_code = 5
