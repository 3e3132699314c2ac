"""The User contract: what is recorded of a person, checked once where it enters."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from serving.records.items import Identifier, Region

OLDEST_YEARS = 130


class Blocks(BaseModel):
    """Creators and categories whose items a user never sees."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    creators: Annotated[frozenset[Identifier], Field(max_length=10_000)] = frozenset()
    categories: Annotated[
        frozenset[Annotated[str, StringConstraints(min_length=1, max_length=300)]],
        Field(max_length=1000),
    ] = frozenset()


class User(BaseModel):
    """One user as recorded; every fact may be absent and may be corrected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: Identifier
    region: Region | None = None
    language: Annotated[str, StringConstraints(max_length=32)] | None = None
    birth_year: int | None = None
    time_zone: str | None = None
    consents: dict[Annotated[str, StringConstraints(max_length=64)], bool] = {}
    personalised: bool = True
    blocks: Blocks = Blocks()

    @field_validator("birth_year")
    @classmethod
    def _plausible(cls, birth_year: int | None) -> int | None:
        year = datetime.now(UTC).year
        if birth_year is not None and not year - OLDEST_YEARS <= birth_year <= year:
            raise ValueError(f"must lie in {year - OLDEST_YEARS}..{year}")
        return birth_year

    @field_validator("time_zone")
    @classmethod
    def _known(cls, time_zone: str | None) -> str | None:
        if time_zone is not None and time_zone not in _time_zones():
            raise ValueError("must be a name of the IANA database, as Asia/Shanghai")
        return time_zone


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())  # reads a folder of files
