import json

import pytest

from serving.feed.controls import Control
from serving.records import audit, controls
from serving.records.database import Records
from serving.records.errors import NotFound

BOOST = Control("boost", "category:tea", value=1.5)


def test_a_control_replaces_the_one_of_its_name_and_is_lifted(records: Records) -> None:
    assert records.read(controls.listed) == (0, [])
    pin = Control("pin", "item:i-7", "home", "CN", 1.0, 99)
    assert records.write("op", controls.put, BOOST, "tea week") == 1
    assert records.write("op", controls.put, pin, "gala") == 2
    stronger = Control("boost", "category:tea", value=2.0)
    assert records.write("op", controls.put, stronger, "more") == 3
    assert records.read(controls.listed) == (3, [pin, stronger])
    assert records.write("op", controls.lift, pin, "over") == 4
    assert records.read(controls.listed) == (4, [stronger])
    with pytest.raises(NotFound, match="pin of item:i-7"):
        records.write("op", controls.lift, pin, "again")
    assert records.read(controls.newest) == 4


def test_every_change_is_audited_with_its_reason(records: Records) -> None:
    long = Control("bury", "category:" + "a" * 300)
    records.write("op", controls.put, long, "court order")
    records.write("op", controls.lift, long, "appeal won")
    put, lifted = records.read(lambda connection: list(audit.rows(connection)))[-2:]
    assert (put.actor, put.action, lifted.action) == ("op", "feed.bury", "feed.bury.lift")
    assert json.loads(put.detail)["target"] == long.target
    assert json.loads(lifted.detail)["reason"] == "appeal won"
