"""Moderation over HTTP: three shapes, the official client, and what is refused."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest
import uvicorn
from openai.types import ModerationImageURLInputParam, ModerationTextInputParam

from configs.labels import OPENAI_CATEGORIES
from models.arrays import Pixels
from serving.api.moderation_schemas import (
    ModerateAnswer,
    ModerateBody,
    ModerationsAnswer,
    ModerationsBody,
    PerspectiveAnswer,
    PerspectiveBody,
)
from serving.moderation.findings import Content
from tests.drawn_pictures import scene, with_code
from tests.e2e.server import free_ports
from tests.serving.api.conftest import Served
from tests.serving.api.test_moderation_pictures import encoded, png

CLAIM = "口碑好，全国 销量第一"
ABUSE = "those immigrants are vermin"
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def parts(*texts: str) -> dict[str, Any]:
    return {"parts": [{"type": "text", "text": text} for text in texts]}


def test_our_own_shape(judging: Served) -> None:
    response = judging.client.post("/v1/moderate", json=parts("你好", CLAIM) | {"region": "CN"})
    answer = ModerateAnswer.model_validate(response.json())
    assert response.status_code == 200
    assert answer.suggestion == "block"
    [found] = answer.evidence
    assert (found.source, found.raw, found.statute) == ("text:1", "全国 销量第一", "广告法 §9(3)")
    assert CLAIM[slice(*found.span)] == found.raw
    assert answer.versions.rules
    assert answer.timings_ms.keys() == {"canonical", "rules", "text_model"}
    assert "violence" in answer.unsupported
    assert judging.log_lines()[-1]["suggestions"] == ["block"]
    assert "全国" not in judging.log.read_text()


def test_a_request_says_where_it_stands(judging: Served) -> None:
    for where, policy in (
        ({}, "commerce-cn@2"),
        ({"region": "US"}, "commerce-us@2"),
        ({"region": "CN", "surface": "live"}, "commerce-cn@2/live"),
        ({"region": "FR", "surface": "comment"}, "commerce@2/comment"),
    ):
        answer = judging.client.post("/v1/moderate", json=parts("hello") | where).json()
        assert answer["versions"]["policy"] == policy
        assert answer["surface"] == where.get("surface", "item")


def said(*chunks: tuple[float, float, str]) -> dict[str, Any]:
    rows = [{"start_s": start, "end_s": end, "text": text} for start, end, text in chunks]
    return {"parts": [{"type": "transcript", "chunks": rows}]}


def test_what_is_said_is_judged_with_its_times(judging: Served) -> None:
    body = said((0, 1.5, "这款全国"), (1.5, 3, "销量第一")) | {"region": "CN", "surface": "live"}
    answer = ModerateAnswer.model_validate(judging.client.post("/v1/moderate", json=body).json())
    assert answer.suggestion == "block"
    [found] = answer.evidence
    assert (found.source, found.time_s, found.end_s) == ("transcript:0", 0.0, 3.0)
    together = {"parts": [*parts("你好")["parts"], *body["parts"]]}
    answer = ModerateAnswer.model_validate(
        judging.client.post("/v1/moderate", json=together).json()
    )
    assert (answer.suggestion, len(answer.evidence)) == ("block", 1)


def test_every_category_is_answered_and_ours_beside_them(judging: Served) -> None:
    body = {"input": ["I love tea", ABUSE, CLAIM], "model": "omni-moderation-latest"}
    answer = ModerationsAnswer.model_validate(
        judging.client.post("/v1/moderations", json=body).json()
    )
    clean, abuse, claim = answer.results
    assert [one.flagged for one in answer.results] == [False, True, True]
    for result in answer.results:
        maps = (result.categories, result.category_scores, result.category_applied_input_types)
        assert all(set(OPENAI_CATEGORIES) < set(named) for named in maps)
        assert result.category_scores["violence"] == 0
        assert result.category_applied_input_types["violence"] == []
        assert "violence" in result.decision.unsupported
    assert abuse.category_scores["hate"] > 0.5 > clean.category_scores["hate"]
    assert claim.categories["commerce/absolute_claim"]
    assert claim.decision.suggestion == "block"


def test_the_parts_of_a_list_are_one_item(judging: Served) -> None:
    body = {"input": parts("I love tea", ABUSE)["parts"]}
    [result] = judging.client.post("/v1/moderations", json=body).json()["results"]
    assert result["flagged"]


def test_perspective(judging: Served) -> None:
    body = {
        "comment": {"text": ABUSE},
        "languages": ["en"],
        "requestedAttributes": {"TOXICITY": {}, "PROFANITY": {"scoreThreshold": 1.0}},
        "doNotStore": True,
        "clientToken": "t-1",
    }
    response = judging.client.post("/v1alpha1/comments:analyze?key=SECRET", json=body)
    answer = response.json()
    PerspectiveAnswer.model_validate(answer)
    assert answer["attributeScores"].keys() == {"TOXICITY"}
    toxicity = answer["attributeScores"]["TOXICITY"]
    assert toxicity["summaryScore"] == toxicity["spanScores"][0]["score"]
    assert toxicity["summaryScore"]["value"] > 0.5
    assert (toxicity["spanScores"][0]["begin"], toxicity["spanScores"][0]["end"]) == (0, len(ABUSE))
    assert (answer["languages"], answer["detectedLanguages"]) == (["en"], ["en"])
    assert answer["clientToken"] == "t-1"
    assert "SECRET" not in judging.log.read_text()


def perspective(**changed: Any) -> dict[str, Any]:
    return {"comment": {"text": "x"}, "requestedAttributes": {"TOXICITY": {}}} | changed


BAD: list[tuple[str, Any, int, str, str]] = [
    ("/v1/moderate", {}, 422, "invalid_request", "parts"),
    ("/v1/moderate", {"parts": []}, 422, "invalid_request", "parts"),
    ("/v1/moderate", parts(""), 422, "invalid_request", "parts.0.text.text"),
    ("/v1/moderate", parts("x" * 20_001), 422, "invalid_request", "parts.0.text.text"),
    ("/v1/moderate", parts(*["x"] * 65), 422, "invalid_request", "parts"),
    ("/v1/moderate", parts(*["x" * 20_000] * 3), 422, "invalid_request", "body"),
    ("/v1/moderate", parts("x") | {"region": "china"}, 422, "invalid_request", "region"),
    ("/v1/moderate", parts("x") | {"policy": "p"}, 422, "invalid_request", "policy"),
    ("/v1/moderate", said((2, 1, "x")), 422, "invalid_request", "parts.0.transcript.chunks.0"),
    ("/v1/moderate", said((2, 3, "x"), (1, 2, "y")), 422, "invalid_request", "parts.0.transcript"),
    ("/v1/moderate", said((0, 1, "\ud800")), 400, "invalid_json", "body"),
    ("/v1/moderate", said((0, 1, "")), 422, "invalid_request", "parts.0.transcript.chunks.0.text"),
    ("/v1/moderate", said(*[(0, 1, "x" * 2_000)] * 21), 422, "invalid_request", "body"),
    ("/v1/moderate", parts("x") | {"surface": "attic"}, 422, "invalid_request", "surface"),
    ("/v1/moderate", {"parts": [{"type": "audio"}]}, 422, "invalid_request", "parts.0"),
    ("/v1/moderate", {"parts": [{"type": "image"}]}, 422, "invalid_request", "parts.0.image"),
    ("/v1/moderations", {"input": ""}, 422, "invalid_request", "input.text"),
    ("/v1/moderations", {"input": []}, 422, "invalid_request", "input.texts"),
    ("/v1/moderations", {"input": ["a", 2]}, 422, "invalid_request", "input.texts.1"),
    ("/v1/moderations", {"input": 7}, 422, "invalid_request", "input.text"),
    ("/v1/moderations", {"input": ["x" * 9_000] * 5}, 422, "invalid_request", "body"),
    ("/v1/moderations", {"input": "x" * 1_000_000}, 422, "invalid_request", "input.text"),
    ("/v1/moderations", {"input": [{"type": "text", "text": "x"}, PICTURE]}, 422,
     "unsupported_format", "input.1.base64"),
    ("/v1/moderations", b'{"input": "\\ud800"}', 400, "invalid_json", "body"),
    ("/v1/moderations", b'{"input": "x' * 1, 400, "invalid_json", "body"),
    ("/v1/moderations", b'{"input": "' + b"x" * (29 << 20) + b'"}', 413, "body_too_large", "body"),
    ("/v1alpha1/comments:analyze", perspective(requestedAttributes={}), 422, "invalid_request",
     "requestedAttributes"),
    ("/v1alpha1/comments:analyze", perspective(requestedAttributes={"THREAT": {}}), 422,
     "invalid_request", "requestedAttributes.THREAT"),
    ("/v1alpha1/comments:analyze", perspective(languages=["fr"]), 422, "invalid_request",
     "languages.0"),
    ("/v1alpha1/comments:analyze", perspective(comment={"text": ""}), 422, "invalid_request",
     "comment.text"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "code", "field"), BAD)
def test_bad_requests_are_refused_by_name(
    judging: Served, path: str, body: Any, status: int, code: str, field: str
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    response = judging.client.post(path, content=content)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert error["details"][0]["field"] == field
    assert error["details"][0]["message"]


@pytest.mark.parametrize("text", [" ", "\u200b", "🙂", "\x00", "a\u0301" * 500, "؀", "𝕏" * 3_000])
def test_strange_texts_are_judged(judging: Served, text: str) -> None:
    response = judging.client.post("/v1/moderations", json={"input": text})
    [result] = response.json()["results"]
    assert all(0 <= score <= 1 for score in result["category_scores"].values())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/moderate", parts("x")),
        ("/v1/moderations", {"input": "x"}),
        ("/v1alpha1/comments:analyze", perspective()),
    ],
)
def test_without_a_bundle_the_way_to_one_is_told(
    served: Served, path: str, body: dict[str, Any]
) -> None:
    response = served.client.post(path, json=body)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (503, "no_moderation_bundle")
    assert "training.train_classifier" in error["message"]


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/moderate", ModerateBody),
        ("/v1/moderations", ModerationsBody),
        ("/v1alpha1/comments:analyze", PerspectiveBody),
    ],
)
def test_examples_are_accepted(judging: Served, path: str, model: Any) -> None:
    schema = judging.client.get("/openapi.json").json()["components"]["schemas"]
    examples = schema[model.__name__]["examples"]
    assert examples
    for example in examples:
        assert judging.client.post(path, json=example).status_code == 200


def test_the_event_loop_goes_on_while_a_long_text_is_judged(judging: Served) -> None:
    async def turns() -> int:
        desk = judging.services.moderation
        assert desk is not None
        verdicts = asyncio.create_task(desk.judge([Content(("全网最低价吗。" * 2_800,) * 2)], None))
        count = 0
        while not verdicts.done():
            await asyncio.sleep(0.002)
            count += 1
        return count

    assert asyncio.run(turns()) > 10


@pytest.fixture
def live(judging: Served) -> Iterator[str]:
    """The app under uvicorn."""
    [port] = free_ports(1)
    config = uvicorn.Config(judging.app, port=port, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


def picture_input(picture: Pixels) -> ModerationImageURLInputParam:
    url = f"data:image/png;base64,{encoded(png(picture))}"
    return ModerationImageURLInputParam(type="image_url", image_url={"url": url})


def test_the_official_client_works(live: str) -> None:
    with openai.OpenAI(base_url=f"{live}/v1", api_key="none", max_retries=0) as client:
        answer = client.moderations.create(input=["I love tea", ABUSE])
        clean, abuse = answer.results
        assert (clean.flagged, abuse.flagged) == (False, True)
        assert abuse.categories.hate
        assert abuse.categories.self_harm_intent is False
        assert abuse.category_scores.hate > 0.5
        assert abuse.category_applied_input_types.hate == ["text"]
        assert abuse.model_extra is not None
        assert abuse.model_extra["decision"]["suggestion"] == "review"
        [whole] = client.moderations.create(
            input=[ModerationTextInputParam(type="text", text=CLAIM)],
            model="omni-moderation-latest",
        ).results
        assert whole.flagged
        code = with_code(scene(3, 480), "https://a.example", (90, 90), 160)
        several: list[ModerationTextInputParam | ModerationImageURLInputParam] = [
            ModerationTextInputParam(type="text", text="I love tea")
        ]
        several += [picture_input(one) for one in (scene(1), scene(2), code)]
        [pictured] = client.moderations.create(input=several).results
        assert pictured.flagged
        assert pictured.model_extra is not None
        [evidence] = pictured.model_extra["decision"]["evidence"]
        assert (evidence["source"], evidence["raw"]) == ("picture:2", "https://a.example")
        with pytest.raises(
            openai.UnprocessableEntityError, match="not on the list of allowed hosts"
        ):
            client.moderations.create(
                input=[
                    ModerationImageURLInputParam(
                        type="image_url", image_url={"url": "https://example.org/a.png"}
                    )
                ]
            )
