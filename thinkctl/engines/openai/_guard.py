"""A bound on what a server may make us keep in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, final

import httpx2 as httpx

__all__ = ["guard"]

_LONGEST_LINE: Final = 8 << 20
"""Bytes. A chunk of one token with twenty alternatives has a few thousand."""


async def guard(response: httpx.Response) -> None:
    """Have a response fail that sends a line without an end."""
    stream = response.stream
    if isinstance(stream, httpx.AsyncByteStream) and not isinstance(stream, _Guarded):
        response.stream = _Guarded(stream)


@final
class _Guarded(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        line = 0
        async for part in self._inner:
            last = max(part.rfind(b"\n"), part.rfind(b"\r"))
            line = line + len(part) if last < 0 else len(part) - 1 - last
            if line > _LONGEST_LINE:
                raise httpx.RemoteProtocolError(f"it sent a line of more than {_LONGEST_LINE >> 20} MiB")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
