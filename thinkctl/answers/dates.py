"""Calendar dates in common spellings, and clock times with a.m. or p.m."""

from __future__ import annotations

import datetime
import re

__all__ = ["clock", "dates_in", "iso"]

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_MONTH_GLUED = _MONTH.replace(r"\b", "")
_ORDINAL = r"(?:st|nd|rd|th)?"
_DATE = re.compile(
    r"(?<![\w/.-])(?:"
    r"(?P<year>\d{4})(?P<sep>[-/])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})(?P<mark>[-/])(?P<second>\d{1,2})(?P=mark)(?P<year2>\d{4})"
    rf"|(?P<name3>{_MONTH_GLUED})\s{{0,3}}(?P<day3>\d{{1,2}}){_ORDINAL}\s?,?\s{{0,3}}(?P<year3>\d{{4}})"
    rf"|(?P<day4>\d{{1,2}}){_ORDINAL}\s{{0,3}}(?:of\s)?(?P<name4>{_MONTH_GLUED})\s?,?\s{{0,3}}(?P<year4>\d{{4}})"
    r")(?![\w/-])",
    re.IGNORECASE,
)
_BEFORE = re.compile(r"(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,? )?(?:the )?", re.IGNORECASE)
_CLOCK = re.compile(r"0?(\d{1,2})(?::(\d{2}))?\s?([ap])\.?\s?m\.?", re.IGNORECASE)
_LONGEST = 60
_TAIL = 20_000
_HOURS = range(1, 13)
_MINUTES = range(60)


def iso(text: str) -> str | None:
    """Give the date that is the whole of ``text`` as ``YYYY-MM-DD``; ``None`` if it is not one possible date.

    ``05/01/2021`` is the first of May (month first, as in BIG-bench's date understanding); ``22/01/2021`` can
    only be the 22nd of January. Years have four digits: ``5/1/21`` could be any of three dates and stays
    text.
    """
    if len(text) > _LONGEST:
        return None
    text = text.strip()
    before = _BEFORE.match(text)
    found = _DATE.fullmatch(text, before.end() if before else 0)
    return _value(found) if found else None


def dates_in(text: str) -> list[str]:
    """List the possible dates near the end of ``text``, as they are written."""
    return [found.group() for found in _DATE.finditer(text[-_TAIL:]) if _value(found)]


def _value(found: re.Match[str]) -> str | None:
    parts = found.groupdict()
    if parts["year"]:
        year, month, day = parts["year"], int(parts["month"]), int(parts["day"])
    elif parts["year2"]:
        year, month, day = parts["year2"], int(parts["first"]), int(parts["second"])
        if month > len(_MONTHS):
            month, day = day, month
    else:
        name = parts["name3"] or parts["name4"]
        year, month = parts["year3"] or parts["year4"], 1 + _MONTHS.index(name[:3].lower())
        day = int(parts["day3"] or parts["day4"])
    try:
        return datetime.date(int(year), month, day).isoformat()
    except ValueError:
        return None


def clock(text: str) -> str | None:
    """Give a time with a.m. or p.m. as ``5:00pm``; ``None`` for anything else.

    ``4:30`` alone is left as it is: it may be a time before or after noon, a duration or a ratio.
    """
    found = _CLOCK.fullmatch(text) if len(text) <= _LONGEST else None
    if not found:
        return None
    hour, minute = int(found.group(1)), int(found.group(2) or 0)
    if hour not in _HOURS or minute not in _MINUTES:
        return None
    return f"{hour}:{minute:02}{found.group(3).lower()}m"
