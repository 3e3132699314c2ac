"""The closed loop in one picture and one page that needs nothing else."""

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from training.closed_loop.day import Day
from training.closed_loop.figures import BARS, DAYTIME_H, NewItems, holds, mean, worlds_held
from training.datasets.world.parameters import QUALITY_CLASSES

COLOURS = {"ours": "#0b6e4f", "popular": "#c1666b", "interest": "#48639c"}
CLASS_COLOURS = ("#c1666b", "#8d99ae", "#0b6e4f")
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1d2a35}table{border-collapse:collapse;margin:1rem 0}
td,th{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #d8dee4}
td:first-child,th:first-child{text-align:left}img{max-width:100%}"""


def draw(path: Path, days: Mapping[str, Day], new: NewItems) -> None:
    """Write a PNG: session value by hour, spread of exposure, first audiences, tiers."""
    figure, axes = plt.subplots(2, 2, figsize=(11, 8), constrained_layout=True)
    hours_panel(axes[0, 0], days)
    lorenz_panel(axes[0, 1], days)
    quota_panel(axes[1, 0], new)
    tiers_panel(axes[1, 1], new)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def hours_panel(axes: Axes, days: Mapping[str, Day]) -> None:
    """Mean session value in every hour of the day."""
    for name, day in days.items():
        hours = np.unique(day.hour)
        means = [day.value[day.hour == hour].mean() for hour in hours]
        axes.plot(hours, means, color=COLOURS[name], label=f"{name} {day.session_value:.2f}")
    axes.set(title="Session value", xlabel="hour of the day (UTC)", ylim=(0, None))
    axes.legend(frameon=False)


def lorenz_panel(axes: Axes, days: Mapping[str, Day]) -> None:
    """Lorenz curves of exposure over all items."""
    for name, day in days.items():
        ordered = np.sort(day.exposures)
        share = np.concatenate([[0.0], np.cumsum(ordered) / ordered.sum()])
        axes.plot(np.linspace(0, 1, len(share)), share, color=COLOURS[name], label=name)
    axes.plot([0, 1], [0, 1], color="#8d99ae", linewidth=0.8)
    axes.set(title="Spread of exposure", xlabel="share of items", ylabel="share of impressions")


def quota_panel(axes: Axes, new: NewItems) -> None:
    """How soon first audiences were complete."""
    hours = np.sort(new.hours[new.judged])
    axes.step(np.minimum(hours, 4.0), np.arange(1, len(hours) + 1) / max(len(hours), 1))
    axes.axvline(DAYTIME_H, color="#8d99ae", linewidth=0.8)
    axes.set(title="First audience complete", xlabel="hours of daytime", ylabel="share of items")
    axes.set(xlim=(0, 4), ylim=(0, 1.02))


def tiers_panel(axes: Axes, new: NewItems) -> None:
    """Share of each planted class that reached a tier."""
    tiers = range(1, int(new.tier.max(initial=1)) + 1)
    for code, name in enumerate(QUALITY_CLASSES):
        own = new.judged & (new.quality == code)
        shares = [mean(new.tier[own] >= tier) for tier in tiers]
        places = [tier + 0.25 * (code - 1) for tier in tiers]
        axes.bar(places, shares, width=0.22, color=CLASS_COLOURS[code], label=name)
    axes.set(title="Climbed, by planted quality", xlabel="tier", ylim=(0, 1), xticks=list(tiers))
    axes.legend(frameon=False)


def draw_worlds(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a PNG: every figure of every world beside its bar."""
    figure, axes = plt.subplots(2, 3, figsize=(11, 6), constrained_layout=True)
    held = worlds_held(rows)
    for one, (name, (way, bar)) in zip(axes.flat, BARS.items(), strict=True):
        values = [row[name] for row in rows]
        colours = [CLASS_COLOURS[2 if holds(name, value) else 0] for value in values]
        one.bar([str(row["world"]) for row in rows], values, color=colours)
        one.axhline(bar, color="#1d2a35", linewidth=0.8)
        low, high = min(*values, bar), max(*values, bar)
        margin = max(0.2 * (high - low), 0.01)
        one.set(title=f"{name} {way} {bar}: {held[name]} of {len(rows)}", xlabel="world")
        one.set_ylim(max(low - margin, 0), high + margin)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def write_page(
    path: Path, picture: Path, tables: Mapping[str, Sequence[Mapping[str, Any]]]
) -> None:
    """Write an HTML page with the picture inside and its tables beside it."""
    image = base64.b64encode(picture.read_bytes()).decode()
    parts = [f"<h2>{html.escape(title)}</h2>{table(rows)}" for title, rows in tables.items()]
    path.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Closed loop</title>'
        f"<style>{STYLE}</style><h1>Closed loop</h1>"
        f'<img alt="What the tables say, drawn" '
        f'src="data:image/png;base64,{image}">{"".join(parts)}</html>\n',
        encoding="utf-8",
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as an HTML table."""
    names = list(rows[0])
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(shown(row[name]))}</td>" for name in names) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def shown(value: object) -> str:
    """A cell's text."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
