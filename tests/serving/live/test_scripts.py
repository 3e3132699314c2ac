"""Waiting for the state server: a cancellation is never lost."""

import asyncio

import pytest

from serving.live.scripts import answered


async def deaf() -> str:
    """Ends well although it was cancelled, as `asyncio.wait_for` may (Python before 3.12)."""
    try:
        await asyncio.sleep(9)
    except asyncio.CancelledError:
        return "sent"
    return "slept"


async def soon() -> str:
    await asyncio.sleep(0)
    return "left"


def test_a_cancellation_that_the_client_lost_still_ends_the_task() -> None:
    async def body() -> None:
        task = asyncio.create_task(answered(deaf()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())


def test_a_timeout_that_the_client_lost_is_still_one() -> None:
    async def body() -> None:
        async with asyncio.timeout(0.01):
            await answered(deaf())

    with pytest.raises(TimeoutError):
        asyncio.run(body())


def test_a_cancelled_task_may_still_take_its_leave() -> None:
    said = list[str]()

    async def leaving() -> None:
        try:
            await asyncio.sleep(9)
        finally:
            said.append(await answered(soon()))

    async def body() -> None:
        task = asyncio.create_task(leaving())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(body())
    assert said == ["left"]
