from tests.training.logs import random_interactions
from training.demo_events import EVENTS, demo_events


def test_events_are_those_of_some_people_as_the_endpoint_takes_them() -> None:
    data = random_interactions(users=9, events=EVENTS + 5)
    events = demo_events(data, people=3, seed=1)
    owners = [event["user_id"] for event in events]
    assert len(set(owners)) == 3
    assert all(owners.count(owner) == EVENTS for owner in owners)
    assert {event["type"] for event in events} <= {"impression", "play"}
    assert len({event["event_id"] for event in events}) == 3 * EVENTS
    assert demo_events(data, people=3, seed=1) == events
