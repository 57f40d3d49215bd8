"""README.md's five commands, typed as they stand, lead from nothing to targets, rules and dashboards.

They run in a network of their own, where only loopback is, and what they write
under /etc and /var/lib is seen by nobody else.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import Figure
from tests.owned import program

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
SECTION = "## From Prometheus and Grafana to dashboards in five commands\n"
ALONE = """
set -e
ip link set lo up
mount -t tmpfs tmpfs /mnt
for folder in etc var/lib; do
    mkdir -p "/mnt/$folder/upper" "/mnt/$folder/work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=/mnt/$folder/upper,workdir=/mnt/$folder/work" "/$folder"
done
mkdir -p /etc/grafana/provisioning  # as Grafana's package has it
"""


def commands() -> list[str]:
    section = README.read_text("utf-8").partition(SECTION)[2]
    block = re.search(r"```console\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [line.removeprefix("$ ") for line in block[1].splitlines()]


def test_there_are_five_commands() -> None:
    assert len(commands()) == 5
    assert [command.split()[0] for command in commands()] == ["natobs", "natobs", "natobs", "prometheus", "install"]


def test_the_five_commands_lead_to_dashboards(figure: Figure) -> None:
    program("prometheus")
    script = "\n".join((ALONE, *commands(), f"{sys.executable} -m tests.lab.ask_monitoring >&3"))
    words = ["unshare", *(["--user", "--map-root-user"] if os.getuid() else []), "--net", "--mount", "--pid", "--fork"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
    # All processes end with the first one of their namespace, and that one with unshare.
    done = subprocess.run(
        [*words, "--mount-proc", "--kill-child", "bash", "-c", f"exec 3>&1 >&2\n{script}"],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    figure(said)
    files = ("natobs-recording.yml", "natobs-alerts.yml")
    written = [yaml.safe_load((ROOT / "alerts" / name).read_text("utf-8"))["groups"] for name in files]
    assert said["rules"] == sum(len(group["rules"]) for groups in written for group in groups)
    assert said["wrong"] == []
    assert said["found"].keys() == {"both targets", "rounds of probes", "recorded values", "the watchdog"}
    assert said["dashboards"] == ["natobs-debug", "natobs-executive", "natobs-fleet", "natobs-on-call"]
