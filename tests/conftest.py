"""The one flag of the tests, the patience of those about properties, names that there are not, and figures."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# An example that takes long was kept from the CPU by somebody else: time is no property of what is tested.
# Examples follow from the test, so that what fails is what was changed; --hypothesis-profile=roaming draws others.
for _name, _same in (("patient", True), ("roaming", False)):
    settings.register_profile(
        _name,
        settings(),
        derandomize=_same,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
    )
settings.load_profile("patient")

Figure = Callable[[object], None]
"""Takes what a person wants to read after a run, such as how many were compared."""

_FIGURE = "figure"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew instead of comparing")


@pytest.fixture(autouse=True, scope="session")
def invalid_names() -> Iterator[None]:
    """Ask no server for names that there cannot be (RFC 6761, 6.4): its answer may take longer than any time limit."""
    ask = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401 - whatever the library takes and gives
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return ask(host, *rest, **more)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", look_up)
        yield


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Shown at the end of the run, also by tests that ran in another process."""
    return lambda text: record_property(_FIGURE, str(text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    shown = [(report.nodeid, text) for report in reports for key, text in report.user_properties if key == _FIGURE]
    if shown:
        terminalreporter.section("figures")
    for test, text in shown:
        terminalreporter.write_line(f"{test}: {text}")
