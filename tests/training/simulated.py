"""One small world, shared by the simulator's tests."""

from functools import cache

from training.datasets.simulator import World, draw_world


@cache
def small_world(seed: int = 0) -> World:
    """300 users and 400 items; violations are frequent enough to be looked at."""
    return draw_world(seed, users=300, items=400, violation_share=0.1)
