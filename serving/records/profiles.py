"""The User contract: what is recorded of a person, checked once where it enters."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

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

    @model_validator(mode="after")
    def _plausible(self) -> "User":
        year = datetime.now(UTC).year
        if self.birth_year is not None and not year - OLDEST_YEARS <= self.birth_year <= year:
            raise ValueError(f"birth_year must lie in {year - OLDEST_YEARS}..{year}")
        if self.time_zone is not None and self.time_zone not in _time_zones():
            raise ValueError("time_zone must be a name of the IANA database, as Asia/Shanghai")
        return self


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())  # reads a folder of files
