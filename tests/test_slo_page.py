"""The page of error budgets: what it shows, that it asks seldom, and that what is not known is called so."""

import threading
from collections.abc import Sequence
from http import HTTPStatus

import pytest

from natobs.errors import MonitoringError
from natobs.exposition.messages import Request
from natobs.slo.page import BudgetPage
from natobs.slo.serving import BudgetServer
from natobs.slo.status import Group, Standing
from tests.loopback import ANY_PORT, fetch

REQUEST = Request("GET", "/", "", {}, 5.0)


def group(nat: str, left: float | None = 0.7, errors: float = 0.003, burn: float | None = 0.25) -> Group:
    return Group({"sloth_id": "nat-m1", "nat_cluster": "a", "nat": nat}, errors, left, burn)


def standing(*groups: Group, title: str = "Outbound success", unknown: int = 0) -> Standing:
    return Standing("nat-m1", title, 0.99, groups, unknown)


def html(*found: Standing) -> str:
    answer = BudgetPage(lambda: found, "Prometheus at http://10.0.9.1:9090")(REQUEST)
    assert answer.status == HTTPStatus.OK
    assert isinstance(answer.body, bytes)
    return answer.body.decode()


def test_it_shows_target_and_budgets_the_worst_first() -> None:
    page = html(standing(group("nat-2", 0.4, 0.006, 5.0), group("nat-1")))
    assert "Outbound success" in page
    assert "nat-m1 · target 99 %" in page
    assert '<div class="now">40.000 %' in page
    assert '<meter min="0" max="1" low="0.25" value="0.4000">' in page
    assert page.index("a nat-2") < page.index("a nat-1")
    numbers = ("40.000 %", "0.600 %", "5.00x", "70.000 %", "0.300 %", "0.25x")
    cells = [f'<td class="number">{number}</td>' for number in numbers]
    assert [page.index(cell) for cell in cells] == sorted(page.index(cell) for cell in cells)
    assert "UNKNOWN" not in page
    assert "SPENT" not in page


def test_a_spent_budget_is_called_so_and_its_meter_is_empty() -> None:
    page = html(standing(group("nat-1", -0.3)))
    assert "SPENT" in page
    assert "-30.000 %" in page
    assert 'value="0.0000"' in page


def test_what_is_not_known_is_called_so() -> None:
    assert "NO DATA" in html(standing())
    assert "NO DATA</span> of 3 more" in html(standing(group("nat-1"), unknown=3))
    assert "no data</td>" in html(standing(group("nat-1", burn=None)))
    assert "UNKNOWN</span> No objective is recorded" in html()


def test_a_fleet_shows_its_worst() -> None:
    page = html(standing(*(group(f"nat-{number}", number / 100) for number in range(71))))
    assert "a nat-49<" in page
    assert "a nat-50<" not in page
    assert "and 21 more, with more left" in page


def test_labels_are_text_and_no_markup() -> None:
    page = html(standing(group("<script>alert(1)</script>"), title="<b>"))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>" not in page


def test_prometheus_away_is_503_with_the_reason() -> None:
    def look() -> Sequence[Standing]:
        raise MonitoringError("Prometheus at <there> does not answer")

    answer = BudgetPage(look, "Prometheus")(REQUEST)
    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert isinstance(answer.body, bytes)
    assert b"UNKNOWN</span> Prometheus at &lt;there&gt; does not answer" in answer.body


def test_a_crowd_asks_prometheus_once_in_ten_seconds() -> None:
    now, asked = [100.0], []

    def look() -> Sequence[Standing]:
        asked.append(now[0])
        return (standing(group("nat-1")),)

    page = BudgetPage(look, "Prometheus", lambda: now[0])
    crowd = [threading.Thread(target=page, args=(REQUEST,)) for _ in range(8)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert asked == [100.0]
    now[0] = 109.0
    page(REQUEST)
    assert asked == [100.0]
    now[0] = 111.0
    page(REQUEST)
    assert asked == [100.0, 111.0]


@pytest.fixture
def server() -> BudgetServer:
    return BudgetServer(BudgetPage(lambda: (standing(group("nat-1")),), "Prometheus"), (ANY_PORT,))


def test_it_is_served(server: BudgetServer) -> None:
    assert not server.urls
    server.start()
    try:
        (address,) = server.addresses
        assert server.urls == (f"http://{address}/",)
        answer = fetch(address, "/")
        assert answer.status == HTTPStatus.OK
        assert b"Error budgets of 30 days" in answer.body
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert fetch(address, "/healthz").status == HTTPStatus.OK
        assert fetch(address, "/nothing").status == HTTPStatus.NOT_FOUND
        assert server.reload() is False
    finally:
        server.stop()
