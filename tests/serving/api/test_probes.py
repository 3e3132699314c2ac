from dataclasses import replace

from tests.serving.api.conftest import Served


def test_alive(served: Served) -> None:
    assert served.client.get("/healthz").json() == {"status": "alive"}


def test_ready_names_the_bundle_and_the_state(served: Served) -> None:
    assert served.client.get("/readyz").json() == {
        "status": "ready",
        "bundle": served.services.bundle.engine.model.version,
        "state": "reachable",
    }


def test_another_answer_to_the_golden_question_is_not_ready(served: Served) -> None:
    bundle = served.services.bundle
    served.services.bundle = replace(bundle, answer=bundle.answer[::-1])
    response = served.client.get("/readyz")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "not_ready")


def test_the_golden_question_is_answered_by_interest(served: Served) -> None:
    bundle = served.services.bundle
    page = bundle.engine.feed(bundle.question, served.services.rules(None))
    assert len(bundle.answer) == 20
    assert {item.source for item in page.items} == {"interest"}


def test_metrics_count_requests_events_and_reasons(served: Served) -> None:
    served.client.post("/v1/feed", json={"user_id": "u"})
    served.client.post("/v1/feed", json={"user_id": "u", "k": 0})
    served.client.get("/v1/feed/unknown/path")
    text = served.client.get("/metrics").text
    assert 'tidegate_requests_total{route="/v1/feed",status="200"} 1.0' in text
    assert 'tidegate_requests_total{route="/v1/feed",status="422"} 1.0' in text
    assert 'tidegate_requests_total{route="none",status="404"} 1.0' in text
    assert 'tidegate_feed_degraded_total{why="unknown_user"} 1.0' in text
    assert 'tidegate_feed_stage_seconds_count{stage="scorers"} 1.0' in text
    version = served.services.bundle.engine.model.version
    assert f'tidegate_bundle{{version="{version}"}} 1.0' in text
    assert "unknown/path" not in text
