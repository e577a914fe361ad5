"""A stand-in for `pytz` over `zoneinfo`."""

from __future__ import annotations

import datetime
import zoneinfo

UTC = utc = datetime.UTC


class UnknownTimeZoneError(KeyError):
    """There is no such zone."""


class Zone(zoneinfo.ZoneInfo):
    """A zone with pytz's two methods."""

    @property
    def zone(self) -> str:
        return self.key

    def localize(self, when: datetime.datetime, is_dst: bool | None = False) -> datetime.datetime:
        """A time without a zone as one of this zone."""
        if when.tzinfo is not None:
            raise ValueError("the time has a zone already")
        return when.replace(tzinfo=self)

    def normalize(self, when: datetime.datetime, is_dst: bool | None = False) -> datetime.datetime:
        return when.astimezone(self)


def timezone(name: str) -> Zone:
    """Raises UnknownTimeZoneError."""
    try:
        return Zone(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise UnknownTimeZoneError(name) from error


all_timezones = sorted(zoneinfo.available_timezones())
common_timezones = all_timezones
