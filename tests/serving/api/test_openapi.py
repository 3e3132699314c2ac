from typing import Any

import pytest

from models.features import ACTION_CODES
from serving.api.schemas import EventsBody, FeedAnswer, FeedBody, RankBody
from serving.feed.contracts import Behaviour
from serving.live.state import is_impression
from tests.serving.api.conftest import Served


@pytest.fixture
def document(served: Served) -> dict[str, Any]:
    document: dict[str, Any] = served.client.get("/openapi.json").json()
    return document


def resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema["$ref"].removeprefix("#/components/schemas/")
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def test_every_route_is_described(document: dict[str, Any]) -> None:
    described = {(method, path) for path, of in document["paths"].items() for method in of}
    assert described == {
        ("post", "/v1/feed"),
        ("post", "/v1/rank"),
        ("post", "/v1/events"),
        ("post", "/v1/moderate"),
        ("post", "/v1/moderations"),
        ("post", "/v1alpha1/comments:analyze"),
        ("get", "/healthz"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [r for value in node.values() for r in references(value)]
        return [r for value in node for r in references(value)] if isinstance(node, list) else []

    found = references(document)
    assert found
    for reference in found:
        assert resolved(document, {"$ref": reference})


@pytest.mark.parametrize(
    ("path", "status", "model"),
    [
        ("/v1/feed", "200", FeedBody),
        ("/v1/rank", "200", RankBody),
        ("/v1/events", "202", EventsBody),
    ],
)
def test_examples_are_accepted_and_answered(
    served: Served, document: dict[str, Any], path: str, status: str, model: type[Any]
) -> None:
    operation = document["paths"][path]["post"]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]
    examples = resolved(document, asked)["examples"]
    assert examples
    served.services.clock_ms = lambda: 1_800_000_000_000
    for example in examples:
        response = served.client.post(path, json=example)
        assert str(response.status_code) == status
        assert model.model_validate_json(response.request.content)
    assert {"400", "413", "422", status} <= operation["responses"].keys()


def test_the_example_of_an_answer_is_one(document: dict[str, Any]) -> None:
    for example in document["components"]["schemas"]["FeedAnswer"]["examples"]:
        FeedAnswer.model_validate(example)


def test_limits_stand_in_the_description(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["FeedBody"]["properties"]["k"]["maximum"] == 100
    assert schemas["RankBody"]["properties"]["candidates"]["maxItems"] == 1_000
    assert schemas["EventsBody"]["properties"]["events"]["maxItems"] == 1_000


def test_every_event_type_is_an_action_that_the_models_know(document: dict[str, Any]) -> None:
    types = document["components"]["schemas"]["EventBody"]["properties"]["type"]["enum"]
    assert set(types) <= ACTION_CODES.keys()
    assert is_impression(Behaviour("a", types[0], 0))
