"""Five drawn items through moderation: their verdicts, with evidence, and what viewers get.

``serving.demo`` runs it against the server that it started.
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import cv2
import numpy as np

from models.arrays import Pixels

SIDE = 480
CLAIM, LINK = "全网最低价", "https://chat.example/add/8848"
WAIT_S = 60.0
Method = Literal["GET", "POST", "PUT"]


class Reached(Protocol):
    """A server and a key for it; a ``serving.demo.Server``."""

    @property
    def address(self) -> str:
        """Of HTTP."""

    @property
    def key(self) -> str:
        """Of the API."""


@dataclass(frozen=True)
class Drawn:
    """An item to show: what is wrong with it, its caption and its picture."""

    name: str
    title: str
    picture: Pixels


def show(server: Reached) -> None:
    """Upload an original and five items, and print how each was judged."""
    original = cover(7)
    sha256 = upload(server, original)
    entry = {"sha256": sha256, "label": "rights/reupload", "note": "the demo's original"}
    asked(server, "POST", "/v1/admin/banks/originals/entries", entry)
    time.sleep(2.5)  # until every process has taken the entry over
    print("\nmoderation of five drawn items")
    for drawn in five(original):
        item_id = f"demo-{drawn.name.replace(' ', '-')}"
        media = [{"sha256": upload(server, drawn.picture), "mime": "image/png"}]
        row = {"item_id": item_id, "kind": "video", "creator_id": "demo", "published_at_ms": 1}
        row |= {"title": drawn.title, "media": media, "regions": ["CN"]}
        asked(server, "PUT", "/v1/items", {"items": [row]})
        print_verdict(drawn.name, verdict_on(server, item_id), status_of(server, item_id))


def five(original: Pixels) -> list[Drawn]:
    """Clean, a claim in the caption, one in the picture, a QR code, a re-upload."""
    return [
        Drawn("clean", "紫砂茶壶，容量三百毫升", cover(1)),
        Drawn("claim in the caption", f"紫砂茶壶，{CLAIM[0]} {CLAIM[1:]}", cover(2)),
        Drawn("claim in the picture", "紫砂茶壶", with_words(cover(3), CLAIM)),
        Drawn("QR code", "紫砂茶壶", with_code(cover(4), LINK)),
        Drawn("re-upload", "紫砂茶壶", again(original)),
    ]


def verdict_on(server: Reached, item_id: str) -> dict[str, Any]:
    """The check of an item, once it is done."""
    deadline = time.monotonic() + WAIT_S
    while True:
        check = asked(server, "GET", f"/v1/moderate/items/{item_id}")
        if check["state"] == "done":
            return check
        if time.monotonic() > deadline:
            raise SystemExit(f"{item_id} is not judged after {WAIT_S:g} s: {check['fault']}")
        time.sleep(0.2)


def status_of(server: Reached, item_id: str) -> str:
    """What viewers get."""
    statuses = asked(server, "GET", f"/v1/items/{item_id}")["statuses"]
    return "; ".join(f"{row['region']}: {row['status']}" for row in statuses)


def print_verdict(name: str, check: Mapping[str, Any], status: str) -> None:
    """One item: suggestion, status, evidence."""
    for region, verdict in (check["verdict"] or {}).items():
        why = ", nothing found, no certificate covers the pass" if verdict["uncertified"] else ""
        print(f"\n  {name:<21} {check['suggestion']} in {region}{why}  ({status})")
        for one in verdict["evidence"]:
            if one["exemption"] is None:
                box = f" at {tuple(one['box'])}" if one["box"] else ""
                print(f"    {one['label']}: {one['raw']!r} in {one['source']}{box}")
                print(f"      {one['rule']}, {one['statute']}")
        for one in verdict["duplicates"]:
            near = f"distance {one['distance']:g}" if one["distance"] is not None else one["way"]
            print(f"    {one['label']}: a copy of {one['bank']}/{one['entry']} ({near})")


def cover(seed: int) -> Pixels:
    """[SIDE, SIDE, 3] shapes on a soft ground."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(90, 236, (5, 5, 3), np.uint8)
    ground = np.asarray(cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)
    for _ in range(9):
        x, y, radius = map(int, rng.integers((0, 0, 20), (SIDE, SIDE, 90)))
        colour = tuple(map(int, rng.integers(40, 236, 3)))
        cv2.circle(ground, (x, y), radius, colour, -1, cv2.LINE_AA)
    return ground


def with_words(picture: Pixels, words: str) -> Pixels:
    """Words on a plain band (in WenQuanYi Micro Hei, which comes with OpenCV)."""
    written = picture.copy()
    written[60:160] = 250
    cv2.putText(written, words, (40, 130), (20, 20, 160), cv2.FontFace("uni"), 64, 500)
    return written


def with_code(picture: Pixels, payload: str) -> Pixels:
    """A QR code in a corner, its quiet zone included."""
    code = cv2.QRCodeEncoder.create().encode(payload)
    square = cv2.resize(code, (150, 150), interpolation=cv2.INTER_NEAREST)
    square = cv2.copyMakeBorder(square, 10, 10, 10, 10, cv2.BORDER_CONSTANT, value=255)
    laid = picture.copy()
    laid[-190:-20, -190:-20] = square[:, :, None]
    return laid


def again(picture: Pixels) -> Pixels:
    """The picture as somebody would send it again: mirrored, smaller, paler."""
    small = cv2.resize(
        picture[:, ::-1], (SIDE * 3 // 4, SIDE * 3 // 4), interpolation=cv2.INTER_AREA
    )
    return np.clip(small.astype(np.int16) + 14, 0, 255).astype(np.uint8)


def upload(server: Reached, picture: Pixels) -> str:
    """Send a picture; its sha256."""
    _, file = cv2.imencode(".png", picture[:, :, ::-1])
    return str(asked(server, "POST", "/v1/media", file.tobytes())["sha256"])


def asked(
    server: Reached,
    method: Method,
    path: str,
    body: Mapping[str, Any] | bytes | None = None,
) -> dict[str, Any]:
    """One request with JSON or a PNG, and its JSON answer."""
    content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    mime = "image/png" if isinstance(body, bytes) else "application/json"
    headers = {"Content-Type": mime, "X-API-Key": server.key}
    request = urllib.request.Request(server.address + path, content, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        found: dict[str, Any] = json.loads(answer.read())
    return found
