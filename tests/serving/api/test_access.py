from collections.abc import Iterator
from dataclasses import replace

import pytest

from configs.schema import AccessSection
from serving.api.access import scope_of
from serving.api.app import create_app
from serving.api.metrics import Metrics
from serving.app import Settings, build
from serving.records.access import Gate
from serving.records.contracts import NewKey
from serving.records.errors import RecordsUnreachable
from tests.memory_state import MemoryState
from tests.serving.api.conftest import Client, Served

ASKED = {"user_id": "u", "k": 3}


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """The app with keys required."""
    serving = settings.serving.model_copy(update={"access": AccessSection(required=True)})
    app = build(replace(settings, serving=serving), MemoryState(), process="test")
    client = Client(app)
    yield Served(client, app, settings.serving.log.folder / "test.jsonl")
    client.close()
    app.state.services.stores.close()


def key(served: Served, *scopes: str, **limits: float) -> str:
    return served.services.stores.keys.create("test", NewKey("shop", scopes, **limits))  # type: ignore[arg-type]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def test_either_header_carries_the_key(served: Served) -> None:
    text = key(served, "feed")
    for headers in (bearer(text), {"X-API-Key": text}):
        assert served.client.post("/v1/feed", json=ASKED, headers=headers).status_code == 200
    assert {line["principal"] for line in served.log_lines()} == {"shop"}
    assert text not in served.log.read_text()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/feed"),
        ("POST", "/v1/events"),
        ("GET", "/v1/admin/bundles"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
        ("GET", "/docs"),
        ("GET", "/v1/users/u"),
        ("GET", "/nowhere"),
    ],
)
def test_nothing_but_the_probes_answers_without_a_key(
    served: Served, method: str, path: str
) -> None:
    response = served.client.request(method, path)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "key_missing")
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_key_in_the_query_opens_perspectives_route_alone(served: Served) -> None:
    text = key(served, "moderate")
    body = {"comment": {"text": "x"}, "requestedAttributes": {"TOXICITY": {}}}
    asked = served.client.post(f"/v1alpha1/comments:analyze?key={text}", json=body)
    assert asked.json()["error"]["code"] == "no_moderation_bundle"  # so the key was taken
    other = served.client.post(f"/v1/moderations?key={text}", json={"input": "x"})
    assert other.status_code == 401
    wrong = served.client.post("/v1alpha1/comments:analyze?key=wrong", json=body)
    assert wrong.status_code == 403
    assert text not in served.log.read_text()


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_the_probes_answer_everyone(served: Served, path: str) -> None:
    assert served.client.get(path).status_code == 200


def test_unknown_expired_revoked_and_wrong_keys_get_the_same_answer(served: Served) -> None:
    keys = served.services.stores.keys
    revoked = key(served, "feed")
    keys.revoke("test", keys.listed()[0].key_id)
    expired = key(served, "feed", lifetime_ms=1)
    texts = ["wrong", f"tg_{'0' * 12}_{'0' * 64}", revoked, expired, key(served, "events")]
    answers = [served.client.post("/v1/feed", json=ASKED, headers=bearer(text)) for text in texts]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.content for answer in answers}) == 1


def test_a_key_that_asks_too_often_waits(served: Served) -> None:
    headers = bearer(key(served, "feed", rate_per_s=0.1, burst=2))
    answers = [served.client.post("/v1/feed", json=ASKED, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert 9 <= int(answers[2].headers["retry-after"]) <= 10
    other = bearer(key(served, "feed"))
    assert served.client.post("/v1/feed", json=ASKED, headers=other).status_code == 200


def test_records_that_cannot_be_read_are_no_permission(served: Served) -> None:
    def unreachable(_: str) -> None:
        raise RecordsUnreachable("the database does not answer")

    app = create_app(replace(served.services, gate=Gate(unreachable), metrics=Metrics()), 1 << 20)
    client = Client(app)
    response = client.post("/v1/feed", json=ASKED, headers=bearer(key(served, "feed")))
    client.close()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "keys_unreachable")


def test_the_principal_of_the_key_stands_in_the_audit_trail(served: Served) -> None:
    headers = bearer(key(served, "catalogue"))
    item = {
        "item_id": "i-1",
        "kind": "video",
        "title": "red lamp",
        "creator_id": "c",
        "published_at_ms": 1,
    }
    response = served.client.request("PUT", "/v1/items", json={"items": [item]}, headers=headers)
    assert response.status_code < 300, response.text
    assert served.services.stores.trail.rows(0, 100)[-1].actor == "shop"


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/v1/feed", "feed"),
        ("/v1/feedback", "admin"),
        ("/v1/items/a/b", "catalogue"),
        ("/v1/users/u/export", "admin"),
        ("/", "admin"),
    ],
)
def test_what_is_not_listed_is_for_the_operator(path: str, scope: str) -> None:
    assert scope_of(path) == scope


def test_only_the_operators_routes_need_the_scope_of_all(served: Served) -> None:
    headers = bearer(key(served, "feed"))
    paths = served.client.get("/openapi.json", headers=headers).json()["paths"]
    probes = {"/healthz", "/readyz", "/metrics"}
    left = [path for path in paths if scope_of(path) == "admin" and path not in probes]
    assert left
    assert not [
        path for path in left if not path.startswith(("/v1/admin/", "/v1/users", "/v1/erasures"))
    ]
