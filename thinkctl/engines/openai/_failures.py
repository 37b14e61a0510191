"""What went wrong between us and a server: what it means, and whether to try again."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Callable
from json import JSONDecodeError
from typing import Any, Final

import httpx2 as httpx
import openai

from thinkctl.errors import ContextExceeded, EngineUnavailable, RequestFailed, ThinkctlError

__all__ = ["explained", "worth_another_try"]

_AGAIN: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TOO_LONG: Final = re.compile(
    r"context.{0,20}(length|window|size)|maximum.{0,20}(context|model len)|too long", re.IGNORECASE
)
_LONGEST_WAIT: Final = 60.0
"""Seconds. A server that wants more is not waited for: the failure is told instead."""
_SHOWN: Final = 300


def worth_another_try(error: Exception) -> bool | float:
    """Return whether a request may be sent again, and after how many seconds if the server says so."""
    if isinstance(error, openai.APIStatusError):
        if error.status_code not in _AGAIN:
            return False
        wait = _retry_after(error.response)
        return True if wait is None else wait if wait <= _LONGEST_WAIT else False
    return isinstance(error, openai.APIConnectionError)


def explained(error: Exception, where: str, attempts: int) -> ThinkctlError | None:
    """Return our own error for one of the SDK's, ``None`` for what nobody expected."""
    tries = f" after {attempts} attempts" if attempts > 1 else ""
    match error:
        case ThinkctlError():
            return error
        case openai.APITimeoutError() | httpx.TimeoutException():
            return RequestFailed(f"{where} did not answer in time{tries}")
        case openai.APIConnectionError() if isinstance(error.__cause__, httpx.ConnectError):
            return EngineUnavailable(f"{where} cannot be reached{tries}: {_shown(error.__cause__)}")
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return EngineUnavailable(
                f"{where} refuses this key ({error.status_code}): {_shown(_message(error))}; give api_key=... or set "
                "OPENAI_API_KEY"
            )
        case openai.NotFoundError():
            return EngineUnavailable(
                f"{where} has no such model or route (404): {_shown(_message(error))}; `thinkctl doctor` shows what "
                "it has"
            )
        case openai.APIStatusError():
            said = _message(error)
            kind = (
                ContextExceeded
                if error.status_code in {400, 413, 422} and _TOO_LONG.search(said)
                else RequestFailed
            )
            return kind(f"{where} answered {error.status_code}{tries}: {_shown(said)}")
        case openai.APIError() | httpx.HTTPError():
            return RequestFailed(
                f"{where} broke off{tries}: {_shown(error.__cause__ or error) or type(error).__name__}"
            )
        case JSONDecodeError() | UnicodeDecodeError():
            return RequestFailed(f"{where} sent what is no JSON: {_shown(error)}")
        case _:
            return None


def _message(error: openai.APIStatusError) -> str:
    body: Any = error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    return str(body or error.message)


def _retry_after(response: httpx.Response, now: Callable[[], float] = time.time) -> float | None:
    said = response.headers.get("retry-after-ms")
    try:
        if said is not None:
            return max(0.0, float(said) / 1000)
        said = response.headers.get("retry-after")
        return None if said is None else max(0.0, float(said))
    except ValueError:
        date = email.utils.parsedate_tz(said or "")
        return None if date is None else max(0.0, email.utils.mktime_tz(date) - now())


def _shown(what: object) -> str:
    text = " ".join(str(what).split())
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
