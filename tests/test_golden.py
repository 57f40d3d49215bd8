"""What users see, held against committed files; ``pytest tests/test_golden.py --update-golden`` writes them anew."""

import shutil
import subprocess
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from natobs.catalogue.metrics import agent as own
from natobs.catalogue.metrics import host
from natobs.cli.main import COMMANDS, natobs
from natobs.collectors.observer import Observer, samples_of
from natobs.config import parse
from natobs.exposition.encode import encode
from natobs.kernel.recorded import RecordedMachine

HERE = Path(__file__).parent
RECORDINGS = sorted(path.parent for path in (HERE / "kernel").glob("*/manifest.json"))
DIFFERENT_EACH_TIME = {own.BUILD, own.COLLECTOR_DURATION, host.AGENT_CPU_SECONDS}


def compare(request: pytest.FixtureRequest, name: str, text: str) -> None:
    path = HERE / "golden" / name
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


def scrape(directory: Path) -> str:
    # With patience: a collector that was kept from the CPU is none that hangs.
    observer = Observer(RecordedMachine(directory), parse("[agent]\ncollector_limit_seconds = 60\n", "golden"))
    observer.prime()
    try:
        samples = [s for s in samples_of(observer.collect(60)) if s.metric not in DIFFERENT_EACH_TIME]
    finally:
        observer.stop()
    return encode(samples).body.decode()


@pytest.mark.parametrize("directory", RECORDINGS, ids=lambda path: path.name)
def test_a_scrape_of_each_recorded_machine(request: pytest.FixtureRequest, directory: Path) -> None:
    compare(request, f"{directory.name}.prom", scrape(directory))


@pytest.mark.parametrize("directory", RECORDINGS, ids=lambda path: path.name)
def test_promtool_has_nothing_to_say(directory: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; `make programs` fetches it"
    done = subprocess.run(
        [promtool, "check", "metrics"], input=scrape(directory), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for name in COMMANDS:
        command = import_module(f"natobs.cli.{name}").command
        found += within((name,), command)
    return found


def within(words: tuple[str, ...], command: click.Command) -> list[tuple[str, ...]]:
    inner = command.commands.items() if isinstance(command, click.Group) else ()
    return [words, *(longer for name, each in inner for longer in within((*words, name), each))]


@pytest.mark.parametrize("words", commands(), ids=lambda words: "-".join(words) or "natobs")
def test_the_help_of_every_command_has_an_example(request: pytest.FixtureRequest, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(natobs, [*words, "--help"], prog_name="natobs", terminal_width=100)
    assert result.exit_code == 0
    assert "Example: natobs" in " ".join(result.output.replace("sudo ", "").split())
    compare(request, f"help-{'-'.join(words) or 'natobs'}.txt", result.output)
