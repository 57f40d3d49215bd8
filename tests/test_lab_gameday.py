"""The verdicts and reports of a game day, from notifications that are written down here."""

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from click.testing import CliRunner

from natobs.cli import lab_gameday
from natobs.cli.lab import command
from natobs.lab import topology
from natobs.lab.faults.expected import EXPECTED, Expectation
from natobs.lab.faults.registry import ALL, APART
from natobs.lab.gameday import judge, report, together
from natobs.lab.gameday.model import Expected, Notice, Outcome, Trace
from natobs.lab.gameday.setting import ABOUT_CPU, Setting
from natobs.lab.gameday.sparkline import svg
from natobs.lab.stack.pager import Page

BEGAN, HEALED = 1000.0, 1040.0
FULL = Expectation("NatTableFull", "page")


def page(
    at: float, alert: str = "NatTableFull", action: str = "page", *, over: bool = False, starts: str = "", **labels: str
) -> Page:
    named = {"alertname": alert, "natobs_action": action, "nat_cluster": "c", "severity": "critical", **labels}
    status = "resolved" if over else "firing"
    return Page(
        time=at,
        notification=1,
        receiver=action,
        status=status,  # type: ignore[arg-type]  # one of both
        labels=named,
        annotations={},
        starts_at=starts,
        group={},
    )


def outcome(
    expected: list[Expected], false: list[Notice] | None = None, unresolved: list[str] | None = None
) -> Outcome:
    return Outcome(
        fault="table-full",
        mode="F1",
        title="Table <full>",
        sentence="It is filled.",
        topology="two-armed",
        time_scale=15,
        limit=60,
        healed=40,
        expected=expected,
        false=false or [],
        budgets=[],
        unresolved=unresolved or [],
        peer=[Notice("NodeHighNumberConntrackEntriesUsed", "", {"nat": "nat1"}, 11.0)],
        evidence={"drop": (0.0, 17.0), "new": (None, 2.0)},
        traces=[Trace("NatTableFull", {"nat": "nat1"}, 0.0, [(-10.0, 0.0), (5.0, 3.0), (40.0, 9.0)])],
    )


ARRIVED = Expected("NatTableFull", "page", {}, 3.0, 5.0, 7.5, 21.0, 1)
AGAIN = Expected("NatTableFull", "page", {}, 3.0, 5.0, 7.5, 21.0, 2)
MISSING = Expected("NatTableFull", "page", {}, 3.0, None, None, None, 0)


def test_an_expected_alert_is_timed_from_the_beginning_and_its_end_from_healing() -> None:
    pages = [page(1012.5), page(1013, "NatOther"), page(1020), page(1060, over=True)]
    told = judge.expected(FULL, pages, judge.Steps(1003.0, 1009.0), BEGAN, HEALED)
    assert told == Expected("NatTableFull", "page", {}, 3.0, 9.0, 12.5, 20.0, 1)
    assert not told.missing


def test_an_alert_that_was_over_and_came_again_is_counted_where_it_did() -> None:
    here, there = [page(1010, starts="a", nat="1"), page(1020, starts="b", nat="1")], page(1015, starts="a", nat="2")
    assert judge.expected(FULL, [*here, there], judge.Steps(None, None), BEGAN, HEALED).begins == 2
    assert judge.expected(FULL, [here[0], there], judge.Steps(None, None), BEGAN, HEALED).begins == 1


@pytest.mark.parametrize(
    "came", [[], [page(990)], [page(1010, action="ticket")], [page(1010, "NatOther")], [page(1010, over=True)]]
)
def test_an_alert_is_missing_that_came_before_or_as_another(came: list[Page]) -> None:
    told = judge.expected(FULL, came, judge.Steps(None, None), BEGAN, HEALED)
    assert told.missing
    assert told.resolved is None


def test_labels_are_part_of_what_is_expected() -> None:
    wanted = Expectation("NatSubnetRouteMissing", "page", (("subnet", "private1"),))
    right = page(1010, "NatSubnetRouteMissing", subnet="private1")
    wrong = page(1011, "NatSubnetRouteMissing", subnet="private2")
    assert judge.matches(wanted, right.labels)
    assert [one.labels for one in judge.surprises([wanted], [right, wrong], BEGAN)] == [{"subnet": "private2"}]


def test_what_nobody_expected_is_told_once_and_what_came_before_the_fault_too() -> None:
    pages = [page(990), page(1010), page(1011, "NatLinkDown"), page(1030, "NatLinkDown"), page(1031, "X", "none")]
    told = judge.surprises([FULL], pages, BEGAN)
    assert [(one.alert, one.seconds) for one in told] == [("NatTableFull", -10.0), ("NatLinkDown", 11.0)]
    assert judge.surprises([FULL], pages[1:2], BEGAN) == []


def test_a_ticket_of_the_condition_that_pages_is_no_surprise_and_a_page_beyond_a_ticket_is() -> None:
    wanted = Expectation("NatNicErrors", "ticket")
    assert judge.surprises([FULL], [page(1010, action="ticket")], BEGAN) == []
    assert len(judge.surprises([wanted], [page(1010, "NatNicErrors")], BEGAN)) == 1


def test_a_budget_that_is_spent_is_no_surprise_and_somebody_woken_for_it_is() -> None:
    pages = [
        page(1010 + number, "NatServiceBurn", action) for number, action in enumerate(("freeze", "ticket", "page"))
    ]
    assert [one.action for one in judge.budgets(pages, BEGAN)] == ["freeze", "ticket"]
    assert [one.action for one in judge.surprises([FULL], pages, BEGAN)] == ["page"]
    assert list(judge.open_alerts(pages[:2])) == []
    assert list(judge.open_alerts(pages)) == ["NatServiceBurn"]


def test_an_alert_is_open_until_the_pager_is_told_that_it_is_over() -> None:
    pages = [page(1010), page(1011, "NatLinkDown"), page(1020, over=True), page(1021, "X", "none")]
    assert list(judge.open_alerts(pages)) == ["NatLinkDown"]


def test_a_day_passes_only_where_exactly_the_expected_came_and_went() -> None:
    surprise = Notice("NatLinkDown", "page", {}, 5.0)
    assert outcome([ARRIVED]).passed
    assert outcome([]).passed
    assert not outcome([ARRIVED, MISSING]).passed
    assert not outcome([AGAIN]).passed
    assert not outcome([ARRIVED], [surprise]).passed
    assert not outcome([ARRIVED], unresolved=["NatTableFull"]).passed


def test_the_table_shows_each_expectation_and_each_verdict() -> None:
    found = list(report.rows([outcome([ARRIVED, MISSING]), outcome([])]))
    assert {len(row) for row in found} == {len(report.HEADER)}
    assert found[0] == (
        *("table-full", "F1", "NatTableFull (page)", "3.0", "5.0", "7.5", "21.0", "-"),
        *("NodeHighNumberConntrackEntriesUsed 11", "FAILED"),
    )
    assert found[1][:6] == ("", "", "NatTableFull (page)", "3.0", "-", "missing")
    assert next(report.rows([outcome([AGAIN])]))[5] == "7.5 (2 times)"
    assert found[2][2] == "silence"
    assert found[2][-1] == "passed"
    assert report.summary([outcome([MISSING]), outcome([])]) == (
        "2 faults, 1 raised exactly what they must; 1 alerts missing, 0 false; node_exporter's rules fired for 2"
    )


class Tags(HTMLParser):
    """Which tags a page has, and which URLs."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"meta", "line", "polyline"}:
            self.open.append(tag)
        self.urls += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"line", "polyline"}:
            assert self.open.pop() == tag


def test_the_page_is_whole_by_itself_and_escapes_what_it_shows() -> None:
    text = report.page([outcome([ARRIVED]), outcome([MISSING], [Notice("<b>", "page", {"a": '"<'}, 1.0)])])
    tags = Tags()
    tags.feed(text)
    assert (tags.open, tags.urls) == ([], [])
    assert "Table &lt;full&gt;" in text
    assert "<b>" not in text
    assert text.count("<svg") == 2
    assert report.page([]).count("<section") == 0


def test_budgets_are_told_in_a_line_however_many_targets_have_one() -> None:
    many = [Notice("NatCriticalServiceBurn", "freeze", {"target": str(number)}, 9.0) for number in range(12)]
    text = report.page([msgspec.structs.replace(outcome([ARRIVED]), budgets=[*many, Notice("NatCpuBurn", "x", {}, 1)])])
    assert "error budgets: NatCpuBurn (1), NatCriticalServiceBurn (12)." in text


def test_the_printed_table_is_markdown_where_nobody_is_at_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lab_gameday.show([outcome([ARRIVED, MISSING])])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert [line.count("|") for line in lines] == [len(report.HEADER) + 1] * 4


def test_only_faults_that_must_raise_an_alert_about_cpu_are_played_alone() -> None:
    apart = [kind.name for kind in ALL if together.alone(kind)]
    assert apart == ["cpu-forwarding", "cpu-neighbour", "table-full-and-cpu"]


def test_what_a_process_cannot_play_is_told_by_it_or_by_its_end() -> None:
    class Unknown(ALL[0]):  # type: ignore[misc, valid-type]  # any fault
        name = "unheard-of"

    said: list[str] = []
    for where, words in ("two-armed", "no fault 'unheard-of'"), ("nowhere", "unheard-of ended with status 1"):
        setting = Setting(topology.two_armed, where)
        ((kind, came),) = together.Together(2, setting, said.append).outcomes([Unknown])
        assert kind is Unknown
        assert words in str(came)
    assert said == []


def test_a_sparkline_stays_in_its_frame_and_has_its_marks() -> None:
    drawn = ET.fromstring(svg([(0, 1.0), (10, 5.0), (20, -2.0)], 9.0, [(5, "broken"), (25, "healed")], "a < b"))  # noqa: S314  a picture of our own
    _, _, width, height = map(float, drawn.attrib["viewBox"].split())
    for pair in drawn.findall("polyline")[0].attrib["points"].split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= width
        assert 0 <= y <= height
    assert [line.attrib["class"] for line in drawn.findall("line")] == ["broken", "healed", "limit"]
    assert drawn.findall("title")[0].text == "a < b"
    assert svg([], None, [], "") == ""


def test_outcomes_are_written_and_read_as_json() -> None:
    made = outcome([ARRIVED])
    assert msgspec.json.decode(msgspec.json.encode(made), type=Outcome) == made


def test_limits_are_what_the_rules_take_and_shrink_with_the_scale() -> None:
    slow, quick = (Setting(topology.two_armed, scale=scale) for scale in (1.0, 15.0))
    for fault in ALL:
        for expectation in EXPECTED[fault.name]:
            assert slow.limit(expectation) >= 300 + 30 + 30 + 15
            assert quick.limit(expectation) == pytest.approx((slow.limit(expectation) - 30 - 15) / 15 + 30 + 1)
            assert slow.memory(expectation) > slow.limit(expectation)


def test_the_stack_has_rules_of_both_and_node_exporter_beside_each_agent() -> None:
    setting = Setting(topology.one_armed, "one-armed", 30)
    inputs = setting.inputs()
    assert set(inputs.rules) == {"natobs-recording.yml", "natobs-alerts.yml", "node-mixin.yml"}
    assert "NodeHighNumberConntrackEntriesUsed" in inputs.rules["node-mixin.yml"]
    assert "http://127.0.0.1:9094/" in inputs.alertmanager
    plan = setting.stack("gd-test", 3)
    assert [dict(target.labels)["nat"] for target in plan.extra] == ["nat1", "nat2", "nat3"]


def test_a_busy_machine_switches_alerts_about_cpu_off_and_nothing_else() -> None:
    plain = Setting(topology.two_armed)
    fewer = plain.without(ABOUT_CPU)
    gone = {alert.name for alert in plain.rules.alerts} - {alert.name for alert in fewer.rules.alerts}
    assert gone == ABOUT_CPU
    assert "NatCpuUsage" in plain.inputs().rules["natobs-alerts.yml"]
    assert "alert: NatCpuUsage" not in fewer.inputs().rules["natobs-alerts.yml"]


def test_those_that_look_alike_to_a_client_expect_five_different_alerts() -> None:
    assert len({EXPECTED[fault.name][0].alert for fault in APART}) == len(APART) == 5


@pytest.mark.parametrize(
    "words",
    [
        ["gameday", "--quick", "table-full"],
        ["gameday", "--time-scale", "0"],
        ["soak", "--minutes", "0"],
        ["gameday", "--topology", "x"],
    ],
)
def test_wrong_usage_is_2(words: list[str]) -> None:
    assert CliRunner().invoke(command, words).exit_code == 2


def test_an_unknown_fault_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("natobs.lab.gameday.day.require", lambda: pytest.fail("a stack was asked for"))
    done = CliRunner().invoke(command, ["gameday", "table-full", "fire", "--html", str(tmp_path / "x.html")])
    assert done.exit_code == 1
    assert "no fault 'fire'; there are" in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_starts_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("natobs.lab.gameday.day.require", lambda: pytest.fail("a stack was asked for"))
    (tmp_path / "file").write_text("", "utf-8")
    done = CliRunner().invoke(command, ["gameday", "table-full", "--html", str(tmp_path / "file" / "x.html")])
    assert done.exit_code == 2
    assert "cannot be written" in done.output
