from typing import Any

import pytest

from models.features import ACTION_CODES
from serving.api.catalogue_schemas import ItemsBody, Suspension
from serving.api.schemas import EventsBody, FeedAnswer, FeedBody, RankBody
from serving.api.users import UserBody
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
        ("post", "/v1/related"),
        ("get", "/v1/admin/feed/controls"),
        ("post", "/v1/admin/feed/controls"),
        ("post", "/v1/admin/feed/controls/lift"),
        ("post", "/v1/events"),
        ("post", "/v1/moderate"),
        ("get", "/v1/moderate/items/{item_id}"),
        ("post", "/v1/moderate/batch"),
        ("get", "/v1/moderate/batch/{job_id}"),
        ("get", "/v1/moderate/batch/{job_id}/results"),
        ("post", "/v1/admin/scans"),
        ("get", "/v1/admin/scans/{job_id}"),
        ("get", "/v1/admin/scans/{job_id}/results"),
        ("get", "/v1/admin/audits"),
        ("post", "/v1/admin/audits/{audit_id}"),
        ("get", "/v1/admin/certificates"),
        ("post", "/v1/admin/certificates"),
        ("post", "/v1/admin/certificates/{certificate_id}/revoke"),
        ("get", "/v1/admin/banks"),
        ("get", "/v1/admin/banks/{bank}/entries"),
        ("post", "/v1/admin/banks/{bank}/entries"),
        ("delete", "/v1/admin/banks/{bank}/entries/{entry_id}"),
        ("post", "/v1/moderations"),
        ("post", "/v1alpha1/comments:analyze"),
        ("put", "/v1/items"),
        ("get", "/v1/items/{item_id}"),
        ("patch", "/v1/items/{item_id}"),
        ("delete", "/v1/items/{item_id}"),
        ("post", "/v1/media"),
        ("post", "/v1/creators/{creator_id}/suspend"),
        ("post", "/v1/creators/{creator_id}/restore"),
        ("put", "/v1/users/{user_id}"),
        ("get", "/v1/users/{user_id}"),
        ("get", "/v1/users/{user_id}/export"),
        ("delete", "/v1/users/{user_id}"),
        ("get", "/v1/erasures/{receipt_id}"),
        ("get", "/v1/admin/bundles"),
        ("get", "/v1/exposure/{item_id}"),
        ("get", "/v1/admin/exposure"),
        ("post", "/v1/admin/takedowns"),
        ("post", "/v1/admin/takedowns/limit"),
        ("post", "/v1/admin/takedowns/restore"),
        ("post", "/v1/admin/bundles/{kind}/{version}/activate"),
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
    ("method", "path", "status", "model"),
    [
        ("post", "/v1/feed", "200", FeedBody),
        ("post", "/v1/rank", "200", RankBody),
        ("post", "/v1/events", "202", EventsBody),
        ("put", "/v1/items", "200", ItemsBody),
        ("put", "/v1/users/{user_id}", "200", UserBody),
        ("post", "/v1/creators/{creator_id}/suspend", "202", Suspension),
    ],
)
def test_examples_are_accepted_and_answered(
    served: Served, document: dict[str, Any], method: str, path: str, status: str, model: type[Any]
) -> None:
    operation = document["paths"][path][method]
    asked = operation["requestBody"]["content"]["application/json"]["schema"]
    examples = resolved(document, asked)["examples"]
    assert examples
    served.services.clock_ms = lambda: 1_800_000_000_000
    for example in examples:
        response = served.client.request(method.upper(), path, json=example)
        assert str(response.status_code) == status
        assert model.model_validate_json(response.request.content)
    assert {"400", "413", "422", status} <= operation["responses"].keys()


def test_the_example_of_an_answer_is_one(document: dict[str, Any]) -> None:
    examples = document["components"]["schemas"]["FeedAnswer"]["examples"]
    assert examples
    assert all(FeedAnswer.model_validate(example).items for example in examples)


def test_limits_stand_in_the_description(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["FeedBody"]["properties"]["k"]["maximum"] == 100
    assert schemas["RankBody"]["properties"]["candidates"]["maxItems"] == 1_000
    assert schemas["EventsBody"]["properties"]["events"]["maxItems"] == 1_000


def test_every_event_type_is_an_action_that_the_models_know(document: dict[str, Any]) -> None:
    types = document["components"]["schemas"]["EventBody"]["properties"]["type"]["enum"]
    assert set(types) <= ACTION_CODES.keys()
    assert is_impression(Behaviour("a", types[0], 0))
