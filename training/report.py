"""The one shape in which every measuring command reports: one JSON object on its last line."""

import json
import math
import os
import platform
import resource
from collections.abc import Mapping, Sequence
from typing import Any


def print_report(
    name: str,
    *,
    figures: Mapping[str, Any] | None = None,
    rows: Sequence[Mapping[str, Any]] | None = None,
    bars: Mapping[str, bool] | None = None,
    seed: int | Sequence[int] | None = None,
) -> bool:
    """Print one JSON object and return whether every bar holds.

    Args:
        name: the measurement's name.
        figures: single values, or
        rows: one mapping a row.
        bars: what must hold, in words, and whether it does.
        seed: the seed or seeds that reproduce the run.
    """
    held = dict(bars or {})
    report: dict[str, Any] = {"name": name}
    if figures is not None:
        report["figures"] = rounded(figures)
    if rows is not None:
        report["rows"] = [rounded(row) for row in rows]
    ok = all(held.values())
    report |= {"bars": held, "ok": ok, "seed": seed, "machine": machine()}
    print(json.dumps(report, ensure_ascii=False), flush=True)
    return ok


def rounded(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Six significant digits; what is not a finite number becomes null, as JSON has no NaN."""
    return {key: _rounded(value) for key, value in figures.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return rounded(value)
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None


def machine() -> str:
    """Processor, cores and Python, in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def peak_memory_gb() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
