"""Pictures over HTTP: seen, read, remembered, and refused where they are not safe."""

import base64
import io
import json
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import openai
import pytest
from PIL import Image

from models.arrays import Pixels
from serving.api.moderation_schemas import ModerateAnswer
from serving.moderation.fetching import Fetcher, FetchLimits
from tests.drawn_pictures import scene, with_code, with_text
from tests.serving.api.conftest import Served

CLAIM = "全网最低价"
LINK = "https://weixin.example/u/1"


def png(picture: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def asked(*contents: bytes, **more: Any) -> dict[str, Any]:
    parts = [{"type": "image", "base64": encoded(content)} for content in contents]
    return {"parts": parts} | more


def post(served: Served, body: dict[str, Any]) -> ModerateAnswer:
    response = served.client.post("/v1/moderate", json=body)
    assert response.status_code == 200, response.text
    return ModerateAnswer.model_validate(response.json())


def test_text_in_a_picture_is_read_and_pointed_at(judging: Served) -> None:
    ground = scene(1, 640)
    ground[60:160] = 255
    answer = post(judging, asked(png(scene(2)), png(with_text(ground, CLAIM, (40, 130), 60))))
    assert answer.suggestion == "block"
    claims = [one for one in answer.evidence if one.label == "commerce/absolute_claim"]
    assert {one.source for one in claims} == {"ocr:1"}
    found = claims[0]
    assert found.canonical in CLAIM
    assert found.box is not None
    left, top, width, height = found.box
    assert left < 60
    assert 40 < top < 130 < top + height + 40
    assert width > 200


def test_a_code_in_a_picture_is_found_with_what_it_says(judging: Served) -> None:
    answer = post(judging, asked(png(with_code(scene(3, 480), LINK, (200, 150), 160))))
    [found] = [one for one in answer.evidence if one.channel == "qr"]
    assert (found.label, found.source, found.raw) == ("commerce/diversion", "picture:0", LINK)
    assert found.box is not None
    assert abs(found.box[0] - 208) < 24
    assert answer.suggestion == "block"
    elsewhere = post(
        judging, asked(png(with_code(scene(3, 480), LINK, (200, 150), 160)), region="US")
    )
    assert elsewhere.suggestion == "review"


def test_a_plain_picture_is_not_read_and_nothing_is_found(judging: Served) -> None:
    answer = post(judging, asked(png(scene(4))))
    assert answer.evidence == []
    assert {"picture_model", "qr", "ocr"} == answer.timings_ms.keys()
    again = post(judging, asked(png(scene(4))))
    assert sum(again.timings_ms.values()) < sum(answer.timings_ms.values())


def test_an_uploaded_file_is_named_by_its_hash(judging: Served) -> None:
    content = png(with_code(scene(5, 480), LINK, (100, 100), 160))
    headers = {"content-type": "image/png"}
    sha256 = judging.client.post("/v1/media", content=content, headers=headers).json()["sha256"]
    answer = post(judging, {"parts": [{"type": "image", "sha256": sha256}]})
    assert answer.suggestion == "block"


def test_several_pictures_are_one_item_for_openai(judging: Served) -> None:
    urls = [
        f"data:image/png;base64,{encoded(png(picture))}"
        for picture in (scene(6), with_code(scene(7, 480), LINK, (100, 100), 160))
    ]
    parts = [{"type": "text", "text": "I love tea"}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]  # type: ignore[dict-item]
    [result] = judging.client.post("/v1/moderations", json={"input": parts}).json()["results"]
    checked = openai.types.Moderation.model_validate(result)
    assert checked.flagged
    assert result["categories"]["commerce/diversion"]
    assert result["category_applied_input_types"]["hate"] == ["text"]
    assert result["category_applied_input_types"]["commerce/diversion"] == ["text", "image"]


def bomb() -> bytes:
    """A PNG of 12,000 x 12,000 pixels in a few kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    side = 12_000
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * (side + 1) * 100)
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(scene(8)).save(file, "JPEG")
    return file.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>'
BAD: list[tuple[bytes, str]] = [
    (bomb(), "picture_too_large"),
    (jpeg()[: len(jpeg()) // 3], "damaged_picture"),
    (SVG, "unsupported_format"),
    (jpeg() + b"<script>alert(1)</script>", "foreign_content"),
    (png(scene(9)) + b"more", "trailing_bytes"),
    (b"", "unsupported_format"),
]


@pytest.mark.parametrize(("content", "code"), BAD, ids=[code for _, code in BAD])
def test_what_is_no_safe_picture_is_refused_by_name(
    judging: Served, content: bytes, code: str
) -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded(content)}"}}
    response = judging.client.post("/v1/moderate", json={"parts": [part]})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, code)
    assert error["details"][0]["field"] == "parts.0.base64"
    assert post(judging, asked(png(scene(9)))).suggestion in ("pass", "review")  # it goes on


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"base64": "not base64!"}, "bad_base64"),
        ({"sha256": "ab" * 32}, "unknown_media"),
        ({"url": "http://169.254.169.254/latest"}, "url_refused"),
        ({"url": "https://pictures.example/a.png"}, "url_refused"),
        ({"url": "file:///etc/passwd"}, "url_refused"),
        ({"url": "http://user:secret@pictures.example/"}, "url_refused"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(
    judging: Served, part: dict[str, str], code: str
) -> None:
    response = judging.client.post("/v1/moderate", json={"parts": [{"type": "image", **part}]})
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)


def test_too_many_pictures_are_refused_before_any_is_decoded(judging: Served) -> None:
    response = judging.client.post("/v1/moderate", json=asked(*[b"x"] * 17))
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "too_many_pictures")


@pytest.fixture
def port() -> Iterator[int]:
    """Of a host on loopback that serves one picture."""
    content = png(with_code(scene(10, 480), LINK, (100, 100), 160))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_an_address_on_the_allow_list_is_fetched(judging: Served, port: int) -> None:
    limits = FetchLimits(frozenset({"pictures.example"}), frozenset({"http"}))
    usual = judging.services.fetcher
    judging.services.fetcher = Fetcher(
        limits,
        lambda _host, _port: ["1.1.1.1"],
        lambda _address, _port, time_s: socket.create_connection(("127.0.0.1", port), time_s),
    )
    answer = post(judging, {"parts": [{"type": "image", "url": "http://pictures.example/a.png"}]})
    judging.services.fetcher = usual
    assert answer.suggestion == "block"


@pytest.mark.parametrize(
    ("answers", "location", "code"),
    [
        ([["1.1.1.1"]], "http://127.0.0.1/a.png", "url_refused"),
        ([["1.1.1.1"]], "http://169.254.169.254/latest", "url_refused"),
        ([["1.1.1.1"], ["127.0.0.1"]], "http://pictures.example/b.png", "address_refused"),
        ([["1.1.1.1", "10.0.0.1"]], None, "address_refused"),
    ],
)
def test_what_leads_inside_is_refused_when_it_is_asked_for(
    judging: Served, answers: list[list[str]], location: str | None, code: str
) -> None:
    """By a redirect, or by a name that means another address when it is looked up again."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", str(location))
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    reached: list[str] = []
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def connect(address: str, _port: int, time_s: float) -> socket.socket:
            reached.append(address)
            return socket.create_connection(("127.0.0.1", server.server_port), time_s)

        usual = judging.services.fetcher
        limits = FetchLimits(frozenset({"pictures.example"}), frozenset({"http"}))
        judging.services.fetcher = Fetcher(
            limits, lambda _host, _port: answers.pop(0) if len(answers) > 1 else answers[0], connect
        )
        body = {"parts": [{"type": "image", "url": "http://pictures.example/a.png"}]}
        response = judging.client.post("/v1/moderate", json=body)
        judging.services.fetcher = usual
        server.shutdown()
        thread.join()
    assert (response.status_code, response.json()["error"]["code"]) == (422, code)
    assert set(reached) <= {"1.1.1.1"}


def form(served: Served, files: list[bytes], body: Any = None, name: str = "file") -> Any:
    data = {} if body is None else {"body": json.dumps(body)}
    sent = [(name, (f"{n}.png", content)) for n, content in enumerate(files)]
    return served.client.post("/v1/moderate", data=data, files=sent)


def test_files_of_a_form_are_judged_with_its_fields(judging: Served) -> None:
    picture = png(with_code(scene(11, 480), LINK, (100, 100), 160))
    parts = [{"type": "text", "text": "I love tea"}]
    response = form(judging, [png(scene(12)), picture], {"parts": parts, "region": "US"})
    answer = ModerateAnswer.model_validate(response.json())
    assert (answer.suggestion, answer.region) == ("review", "US")
    [found] = answer.evidence
    assert (found.source, found.raw) == ("picture:1", LINK)
    assert "text_model" in answer.timings_ms
    alone = ModerateAnswer.model_validate(form(judging, [picture]).json())
    assert (alone.suggestion, alone.region) == ("block", "CN")


@pytest.mark.parametrize(("content", "code"), BAD, ids=[code for _, code in BAD])
def test_a_file_of_a_form_is_refused_as_any_other(
    judging: Served, content: bytes, code: str
) -> None:
    response = form(judging, [png(scene(9)), content])
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, code)
    assert error["details"][0]["field"] == "file.1"
    assert not list(judging.services.media.rglob("*upload-*"))


@pytest.mark.parametrize(
    ("options", "status", "code", "field"),
    [
        ({"files": [("image", ("a.png", b"x"))]}, 422, "invalid_request", "image"),
        ({"files": [("file", ("a", b"x"))] * 17}, 422, "too_many_pictures", "parts"),
        ({"files": [("file", ("a", b"x"))] * 65}, 400, "invalid_form", "body"),
        (
            {"files": [("file", ("a", b"x"))], "data": {"body": '{"regoin": "CN"}'}},
            422,
            "invalid_request",
            "regoin",
        ),
        (
            {"files": [("file", ("a", b"x"))], "data": {"body": "{"}},
            400,
            "invalid_json",
            "body",
        ),
        ({"files": [("body", (None, b"{}"))] * 2}, 422, "invalid_request", "body"),
        ({"files": [("body", (None, b"{}"))]}, 422, "invalid_request", "file"),
        (
            {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}},
            400,
            "invalid_form",
            "body",
        ),
        ({"files": [("file", ("a", bytes(29 << 20)))]}, 413, "body_too_large", "body"),
    ],
)
def test_a_form_that_is_none_is_refused_by_name(
    judging: Served, options: dict[str, Any], status: int, code: str, field: str
) -> None:
    response = judging.client.post("/v1/moderate", **options)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error["details"][0]["field"] == field
