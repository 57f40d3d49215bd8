"""Orders and answers as bytes: nothing but the one error, whatever comes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import flow_worker
from natobs.kernel.flow_worker import Refusal
from tests import censuses
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged

WHOLE = censuses.delivery(censuses.answer())


def test_an_answer_comes_back_as_it_went() -> None:
    assert flow_worker.parse(WHOLE) == censuses.answer()
    assert censuses.answer().ruleset == {(censuses.NAT, "tcp"): 1000}
    assert flow_worker.parse(censuses.refusal("absent", "no table")) == Refusal("absent", "no table")


@given(damaged(WHOLE, censuses.refusal("absent", "no table")) | st.binary(max_size=200))
def test_damaged_answers_raise_only_the_one_error(data: bytes) -> None:
    attempt(flow_worker.parse, data)


@given(damaged(msgspec.json.encode(flow_worker.Order(("10.0.0.0/8",), listed=5))) | st.binary(max_size=50))
def test_damaged_orders_raise_only_the_one_error(data: bytes) -> None:
    attempt(flow_worker.parse_order, data)


@pytest.mark.parametrize(
    "order", [b"", b"rubbish", b"[]", b"\xff\xfe", b'{"inside":["10.0.0.1/8"]}', b'{"inside":["x"]}']
)
def test_an_order_that_makes_no_sense(order: bytes) -> None:
    with pytest.raises(FormatError, match=r"census: not an order: \S"):
        flow_worker.respond(order, FakeMachine())
