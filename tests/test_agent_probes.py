"""An agent that probes: one process, one scrape, one page, and what each half takes when the other fails."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from natobs.config import parse
from natobs.errors import ConfigError
from natobs.exposition.agent import Agent
from natobs.exposition.listen import Address
from natobs.exposition.selfcheck import self_check
from natobs.kernel import conntrack
from natobs.probes.service import ProbeService
from tests.fakes import FakeMachine
from tests.loopback import eventually
from tests.test_agent import LISTEN, get, nat_machine, value

LABELS = {"probe": "web", "kind": "tcp", "target": ""}


class Files:
    """The configuration and the probe file of an agent, as they are now."""

    def __init__(self, folder: Path, port: int) -> None:
        self.path = folder / "probes.toml"
        self.port = port
        self.config = f'{LISTEN}[probes]\nfile = "{self.path}"\n'
        self.probes()

    def probes(self, *targets: str, prober: str = "", more: str = "") -> None:
        listed = ", ".join(f"'{target}'" for target in (f"127.0.0.1:{self.port}", *targets))
        self.path.write_text(
            f'{prober}\n[[probe]]\nname = "web"\nkind = "tcp"\ntargets = [{listed}]\n{more}'
            "interval_seconds = 0.1\ntimeout_seconds = 0.1\nretries = 0\n",
            "utf-8",
        )


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Files(tmp_path, listener.getsockname()[1])


@contextmanager
def probing(files: Files, machine: FakeMachine | None = None) -> Iterator[tuple[Agent, str]]:
    agent = Agent(machine or nat_machine(), lambda: parse(files.config, "natobs.toml"))
    agent.start()
    try:
        yield agent, f"http://{agent.addresses[0]}"
    finally:
        agent.stop()


def service_of(agent: Agent) -> ProbeService:
    assert agent._probes.probing
    return agent._probes.probing.service


def attempts(url: str) -> float:
    return value(get(f"{url}/metrics")[0], "natobs_probe_attempts_total", **LABELS) or 0


def refusal(url: str) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        get(url)
    return caught.value.code, caught.value.read().decode()


def test_one_scrape_has_both_and_is_well_formed(files: Files) -> None:
    with probing(files) as (_agent, url):
        assert eventually(lambda: attempts(url) > 1)
        text = get(f"{url}/metrics")[0]
        openmetrics = get(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")[0]
    assert value(text, "natobs_conntrack_entries") == 42
    assert value(text, "natobs_probe_engine_up") == 1
    assert value(text, "natobs_probe_first_attempt_success_total", **LABELS)
    assert text.count("natobs_build_info{") == 1
    names = [family.name for family in text_string_to_metric_families(text)]
    assert len(names) == len(set(names))
    families = [family.name for family in openmetrics_parser.text_string_to_metric_families(openmetrics)]  # type: ignore[no-untyped-call] # it has no annotations
    assert {"natobs_conntrack_entries", "natobs_probe_rtt_seconds"} <= set(families)
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; `make programs` fetches it"
    check = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (check.returncode, check.stdout + check.stderr) == (0, "")


def test_the_page_shows_both_and_links_to_the_probes_in_full(files: Files) -> None:
    files.probes("127.0.0.1:1")
    with probing(files) as (agent, url):
        assert eventually(lambda: all(row.latest for row in service_of(agent).stats.overview(9).rows))
        page, full = get(f"{url}/")[0], get(f"{url}/probes")[0]
    for text in (page, full):
        assert "2 targets, 1 failing" in text
        assert text.index(">127.0.0.1:1<") < text.index(f">127.0.0.1:{files.port}<")  # the failing one first
        # Not the half of all: a machine that stalls may skip a beat of one and none of the other.
        rows = [(int(good), int(tried)) for good, tried in re.findall(r'<div class="dim">(\d+) of (\d+)</div>', text)]
        assert [good > 0 for good, _tried in rows] == [False, True]
        good, tried = map(sum, zip(*rows, strict=True))
        assert f'<div class="now">{good / tried * 100:.1f} % <span class="of">{good} of {tried} first' in text
        assert f"as {files.path} says" in text
    assert '<a href="probes">' in page
    assert '<span class="id">M2</span>' in page
    assert '<a href="./">agent</a>' in full


def test_the_addresses_seen_are_on_the_page(files: Files) -> None:
    with probing(files) as (agent, url):
        service = service_of(agent)
        service.stats.observed(service.targets[0], "203.0.113.<7>")
        assert "Public addresses seen: 203.0.113.&lt;7&gt; (1)" in get(f"{url}/")[0]


def test_targets_with_hostile_names_are_text_and_never_markup(files: Files) -> None:
    files.probes('<script/src="//evil">&:80', more="critical = true\n")
    with probing(files) as (agent, url):
        assert eventually(lambda: all(row.latest for row in service_of(agent).stats.overview(9).rows))
        texts = get(f"{url}/")[0], get(f"{url}/probes")[0]
        scrape = get(f"{url}/metrics")[0]
    for text in texts:
        assert "<script" not in text
        assert "&lt;script/src=&quot;//evil&quot;&gt;&amp;:80" in text
    assert 'target="<script/src=\\"//evil\\">&:80"' in scrape


def test_one_attempt_for_whoever_asks(files: Files) -> None:
    with probing(files) as (_agent, url):
        text = get(f"{url}/probe?target=127.0.0.1:{files.port}&module=web")[0]
        assert value(text, "probe_success") == 1
        assert refusal(f"{url}/probe?target=127.0.0.1:1&module=web")[0] == 403


def test_probes_that_have_died_leave_the_scrape_and_come_back_with_a_reload(files: Files) -> None:
    with probing(files) as (agent, url):
        assert get(f"{url}/readyz")[0] == "200 OK: ready\n"
        service_of(agent)._crew.engine.stop()
        assert eventually(lambda: not service_of(agent).running)
        text = get(f"{url}/metrics")[0]
        assert value(text, "natobs_probe_engine_up") == 0
        assert value(text, "natobs_conntrack_entries") == 42
        assert refusal(f"{url}/readyz") == (
            503,
            "503 Service Unavailable: not probing any more; the log says why, a reload begins anew\n",
        )
        assert "NOT PROBING" in get(f"{url}/")[0]
        agent.reload()
        before = attempts(url)
        assert eventually(lambda: attempts(url) > before)
        assert get(f"{url}/readyz")[0] == "200 OK: ready\n"


def test_a_fault_of_the_probes_costs_a_scrape_and_the_page_only_their_part(
    files: Files, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fault(*_arguments: object) -> None:
        raise ZeroDivisionError("a fault")

    with probing(files) as (agent, url):
        monkeypatch.setattr(service_of(agent).stats, "samples", fault)
        monkeypatch.setattr(service_of(agent).stats, "overview", fault)
        text, page = get(f"{url}/metrics")[0], get(f"{url}/")[0]
    assert value(text, "natobs_conntrack_entries") == 42
    assert value(text, "natobs_probe_engine_up") == 0
    assert "cannot be shown; the log says why" in page
    assert '<span class="id">M2</span>' in page
    assert "the samples of the probes are missing" in caplog.text


def test_a_machine_that_fails_leaves_the_probes(files: Files) -> None:
    broken = FakeMachine({conntrack.STATS.key: RuntimeError("a fault")})
    with probing(files, broken) as (_agent, url):
        before = attempts(url)
        assert eventually(lambda: attempts(url) > before)
        assert value(get(f"{url}/metrics")[0], "natobs_collector_success", collector="conntrack") == 0


@pytest.mark.parametrize(
    ("prober", "said"),
    [
        ("nonsense = 1", r"probes\.toml: nonsense: unknown key"),
        ("[prober]\nmax_rate = 1", "max_rate"),
        ("[prober]\nmax_targets = 1", "max_targets"),
    ],
)
def test_a_wrong_probe_file_at_a_reload_changes_nothing_at_all(files: Files, prober: str, said: str) -> None:
    with probing(files) as (agent, url):
        files.config += '[collectors]\ndisabled = ["conntrack"]\n'
        files.probes("127.0.0.1:1", prober=prober)
        with pytest.raises(ConfigError, match=said):
            agent.reload()
        assert value(get(f"{url}/metrics")[0], "natobs_conntrack_entries") == 42
        assert [target.name for target in service_of(agent).targets] == [f"127.0.0.1:{files.port}"]
        before = attempts(url)
        assert eventually(lambda: attempts(url) > before)


def test_a_wrong_configuration_at_a_reload_leaves_the_probes(files: Files) -> None:
    with probing(files) as (agent, _url):
        files.probes("127.0.0.1:1")
        for wrong in (
            '[collectors]\ndisabled = ["nonsense"]\n',
            '[otlp]\nendpoint = "http://127.0.0.1"\nca_file="/-"\n',
        ):
            right, files.config = files.config, files.config + wrong
            with pytest.raises(ConfigError):
                agent.reload()
            files.config = right
        assert len(service_of(agent).targets) == 1
        agent.reload()
        assert len(service_of(agent).targets) == 2


def test_a_reload_begins_changes_and_ends_probes(files: Files) -> None:
    of_a_file, files.config = files.config, LISTEN
    with probing(files) as (agent, url):
        assert "natobs_probe_" not in get(f"{url}/metrics")[0]
        assert "Probes</h2>" not in get(f"{url}/")[0]
        assert refusal(f"{url}/probes")[0] == refusal(f"{url}/probe?target=a&module=b")[0] == 404
        assert (agent.summary, get(f"{url}/readyz")[0]) == ("", "200 OK: ready\n")
        files.config = of_a_file
        agent.reload()
        assert eventually(lambda: attempts(url) > 0)
        assert agent.summary == f"1 target of {files.path}"
        files.config = f"{LISTEN}[probes]\nself_check = true\n"
        agent.reload()
        assert agent.summary.startswith("3 targets on this host alone") or "::1" not in get(f"{url}/probes")[0]
        files.config = LISTEN
        agent.reload()
        assert "natobs_probe_" not in get(f"{url}/metrics")[0]
        assert refusal(f"{url}/probes")[0] == 404


def test_keys_of_the_probe_file_that_an_agent_does_not_use_are_told(
    files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    files.probes(
        prober='[prober]\nlisten = ["127.0.0.1:1"]\nweb_config_file = "/nowhere"\n[otlp]\nendpoint = "http://x"\n'
    )
    with probing(files) as (_agent, url):
        assert eventually(lambda: attempts(url) > 0)
    for said in ("prober.listen is not used here; agent.listen is", "prober.web_config_file is not", "[otlp] is not"):
        assert f"{files.path}: {said}" in caplog.text


def test_the_usual_listener_of_a_probe_file_is_no_news(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    files.probes(prober='[prober]\nlisten = ["127.0.0.1:9651"]\n')
    with probing(files):
        pass
    assert "is not used here" not in caplog.text


def test_a_textfile_that_is_written_once_says_nothing_of_probes_that_never_ran(files: Files, tmp_path: Path) -> None:
    files.config = files.config.replace("[probes]", f'textfile_directory = "{tmp_path}"\n[probes]')
    path = Agent(nat_machine(), lambda: parse(files.config, "natobs.toml")).write_once()
    assert "natobs_conntrack_entries 42" in path.read_text("utf-8")
    assert "natobs_probe_" not in path.read_text("utf-8")


def test_the_self_check_stays_on_this_host_and_says_what_it_is_worth(files: Files) -> None:
    files.config = f"{LISTEN}[probes]\nself_check = true\n"
    with probing(files) as (agent, url):
        targets = [target.name for target in service_of(agent).targets]
        assert set(targets) <= {"127.0.0.1", "::1", str(agent.addresses[0])}
        assert {"127.0.0.1", str(agent.addresses[0])} <= set(targets)
        assert all(target.settings.interval_seconds >= 5 for target in service_of(agent).targets)
        page = get(f"{url}/")[0]
        assert "this host alone" in page
        assert "natobs up --probes probes/default.toml" in page
        assert '<span class="of">' not in page  # no share of successes that anybody could take for the NAT's
        assert eventually(lambda: "natobs_probe_access_attempts_total" in get(f"{url}/metrics")[0])
        assert "natobs_probe_attempts_total" not in get(f"{url}/metrics")[0]


def test_the_self_check_finds_its_way_to_every_kind_of_listener() -> None:
    every = "0.0.0.0"  # noqa: S104 - nothing is bound here
    listeners = [Address(every, 1), Address("127.0.0.1", 1), Address("::", 2), Address("fe80::1%eth0", 3)]
    probes = {probe.kind: probe.targets for probe in self_check([*listeners, Address("2001:db8::1", 4)]).probe}
    assert probes["tcp"] == ("127.0.0.1:1", "[::1]:2", "[2001:db8::1]:4")
    assert [probe.kind for probe in self_check(()).probe] == ["icmp"]


def test_a_crowd_at_the_probes_leaves_workers_to_scrapes(files: Files) -> None:
    with probing(files) as (agent, _url):
        few, many = agent._server._limits.workers, agent._probes.workers
    files.config = LISTEN
    with probing(files) as (agent, _url):
        assert agent._server._limits.workers == 4
        assert few == many == 12
        assert agent._probes._adhoc == 2  # where a reload brings probes, there is no worker more
