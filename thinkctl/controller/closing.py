"""Closing a stream, so that whatever happens its engine is idle afterwards and what it used is on the bill."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from thinkctl.errors import EngineUnavailable, RequestFailed
from thinkctl.protocols import Stream
from thinkctl.types import StreamUsage

__all__ = ["close_and_book", "close_together"]


async def close_and_book(
    stream: Stream | None, prompt_tokens: int, delivered: int, book: Callable[[StreamUsage], None]
) -> None:
    """Close a stream and hand what it used to ``book``, exactly once.

    A cancellation waits until the engine is idle. Where an engine is too dead to tell what was used, what it
    delivered is counted, and the prompt that it must have read for that.
    """
    if stream is None:
        book(StreamUsage())
        return
    closing = asyncio.ensure_future(stream.close())
    cancelled = False
    while not closing.done():
        try:
            await asyncio.wait({closing})
        except asyncio.CancelledError:
            cancelled = True
    error = None if closing.cancelled() else closing.exception()
    if error is None and not closing.cancelled():
        book(closing.result())
    else:
        read = prompt_tokens if delivered else 0
        book(StreamUsage(read, None, delivered, estimated=True))
    if cancelled or closing.cancelled():
        raise asyncio.CancelledError
    if error is not None and not isinstance(error, EngineUnavailable | RequestFailed):
        raise error


async def close_together(streams: Iterable[Stream]) -> None:
    """Close streams all at once and wait for all of them; raise the first error only then."""
    results = await asyncio.gather(*(stream.close() for stream in list(streams)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
