"""A lab ends with its owner, however that one ends, as root and as an ordinary user."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from natobs.lab import sweep
from natobs.rundir import start_ticks
from tests.lab import people
from tests.loopback import eventually

pytestmark = pytest.mark.lab

OWN = """
import sys, time
from natobs.lab import topology, traffic
from natobs.lab.lab import Lab
with Lab(topology.one_armed()) as lab:
    traffic.start_servers(lab)
    lab.host("client1").popen(["sleep", "987"])
    lab.host("nat").popen(["sh", "-c", "setsid sleep 988 & sleep 989"])
    print("stands", flush=True)
    time.sleep(60)
"""

BUILD_ONLY = """
from natobs.lab import topology
from natobs.lab.lab import Lab
while True:
    with Lab(topology.one_armed()):
        pass
"""

CARRY = """
import json
from natobs.lab import topology, traffic
from natobs.lab.lab import Lab
seen = []
for shape in topology.TOPOLOGIES.values():
    for backend in topology.BACKENDS:
        with Lab(shape(backend=backend)) as lab:
            assert lab.user_namespace
            traffic.start_servers(lab)
            for family in lab.topology.families:
                outer = lab.topology.snat_addresses(family)
                answers = traffic.who_asked(lab.host("client1"), lab.topology.server_addresses(family)[0])
                seen += [address in outer for address in answers.values()]
print(json.dumps(seen))
"""


SWEEP = """
import json, subprocess, sys, time
from natobs.lab import sweep, topology
from natobs.lab.lab import Lab
# a process that looks like a holder whose owner, process 1 of another time, is dead
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
stray = subprocess.Popen([*sleep, "natobs.lab.holder", "left-over", "1:1"])
with Lab(topology.two_armed()):
    while "left-over" not in [found.lab for found in sweep.holders()]:
        time.sleep(0.02)
    swept = [found.lab for found in sweep.sweep()]
    found = {"swept": swept, "stray": stray.wait(10), "left": [found.lab for found in sweep.holders()]}
print(json.dumps(found))
"""


@pytest.fixture
def me() -> Iterator[people.Person]:
    with people.as_user(people.this_user) as who:
        yield who


@pytest.fixture
def ordinary() -> Iterator[people.Person]:
    with people.as_user(people.ordinary_user) as who:
        yield who


@pytest.fixture(params=[people.this_user, people.ordinary_user])
def person(request: pytest.FixtureRequest) -> Iterator[people.Person]:
    mounts, links = people.mounts(), people.links()
    with people.as_user(request.param) as who:
        yield who
    assert people.mounts() == mounts
    assert people.links() == links


def read_until(process: "subprocess.Popen[str]", word: str, seconds: float = 60.0) -> str:
    """Read what a process prints up to a line with a word in it; a watchdog ends a process that says nothing."""
    assert process.stdout is not None
    said = ""
    deadline = time.monotonic() + seconds
    os.set_blocking(process.stdout.fileno(), False)
    while word not in said:
        assert time.monotonic() < deadline, said
        try:
            data = os.read(process.stdout.fileno(), 65536)
        except BlockingIOError:
            time.sleep(0.02)
            continue
        assert data, said
        said += data.decode()
    return said


def kill(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait(10)


def end(process: "subprocess.Popen[str]", number: int) -> tuple[int, str]:
    """Send a signal; give exit status and the rest of the output."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), True)
    process.send_signal(number)
    rest, _ = process.communicate(timeout=60)
    return process.returncode, rest


def test_an_ordinary_user_builds_every_topology_and_backend(ordinary: people.Person) -> None:
    done = ordinary.run("-c", CARRY, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) == 54  # 3 topologies, 3 backends, 2 families, 3 protocols
    assert all(seen)


def test_kill_9_of_the_owner_leaves_no_process(person: people.Person) -> None:
    owner = person.popen("-c", OWN)
    read_until(owner, "stands")
    members: list[psutil.Process] = []
    # the lab with its way in, the servers, and every program that was started, also one in a session of its own
    wanted = ("natobs.lab.holder", "natobs.lab.servers", "nsenter", "sleep 987", "sleep 988", "sleep 989")

    def all_run() -> bool:
        """Whether each has become what it is to be: at first it is nsenter(1), and others on the way in."""
        members[:] = [process for process in people.family_of(owner.pid) if process.pid != owner.pid]
        commands = [people.command(process) for process in members]
        return all(any(words in command for command in commands) for words in wanted)

    assert eventually(all_run), [people.command(process) for process in members]
    kill(owner)
    assert eventually(lambda: people.living(members) == [])
    assert sweep.strays() == []


@pytest.mark.parametrize("delay", [0.02, 0.12, 0.17, 0.22, 0.27, 0.32])
def test_kill_9_while_the_lab_is_being_built_leaves_no_process(me: people.Person, delay: float) -> None:
    owner = me.popen("-c", BUILD_ONLY)
    label = f"{owner.pid}:{start_ticks(owner.pid)}"
    assert eventually(lambda: any(found.owner == label for found in sweep.holders()), 30)
    time.sleep(delay)
    members = [p for p in people.family_of(owner.pid) if p.pid != owner.pid]
    kill(owner)
    assert eventually(lambda: people.living(members) == [])
    assert eventually(lambda: all(found.owner != label for found in sweep.holders()))


def test_the_sweep_kills_what_a_dead_owner_left_and_spares_the_others(me: people.Person) -> None:
    # in a pid namespace of its own: commands of other tests sweep too, and what is left of other labs is not told here
    user = ["--user", "--map-root-user"] if os.getuid() else []
    done = subprocess.run(
        ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc", *me.argv("-c", SWEEP)],
        env=me.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"swept": ["left-over"], "stray": -signal.SIGKILL, "left": ["two-armed"]}


def test_denied_user_namespaces_are_explained(me: people.Person) -> None:
    # the limit belongs to each user namespace; set in one of our own, it binds nobody else
    build = (
        "from natobs.lab import topology; from natobs.lab.lab import Lab; "
        "Lab(topology.two_armed(), user_namespace=True).start()"
    )
    limited = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", limited, "sh", *me.argv("-c", build)],
        env=me.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "LabError: the lab's namespaces cannot be made: unshare:" in last
    assert "user.max_user_namespaces" in last


def test_the_command_line_builds_shows_enters_and_ends_a_lab(person: people.Person) -> None:
    lab = ("-m", "natobs", "lab")
    assert person.run(*lab, "status").stdout == "no lab is up\n"
    first = person.run(*lab, "up", "--name", "round", "--topology", "one-armed", "--backend", "iptables-nft")
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("lab round is up: client1, client2, client3, client4, nat, router, internet\n")
    try:
        again = person.run(*lab, "up", "--name", "round", "--topology", "one-armed", "--backend", "iptables-nft")
        assert again.returncode == 0
        assert again.stdout.startswith("lab round is already up since ")
        other = person.run(*lab, "up", "--name", "round", "--topology", "pool")
        assert other.returncode == 1
        assert "up in another shape" in other.stderr
        (shown,) = json.loads(person.run(*lab, "status", "--json").stdout)
        hosts = {host["name"]: host for host in shown["hosts"]}
        assert hosts["nat"]["addresses"] == ["203.0.113.10", "2001:db8:113::10"]
        assert "natobs.lab.servers" in hosts["internet"]["processes"][0]["command"]
        assert psutil.pid_exists(shown["pid"])
        assert "nat       203.0.113.10 2001:db8:113::10" in person.run(*lab, "status").stdout

        def inside(*words: str) -> "subprocess.CompletedProcess[str]":
            return person.run(*lab, "exec", "--name", "round", *words)

        answer = inside("client4", "--", "curl", "-sg", "http://[2001:db8:51::2]/")
        assert json.loads(answer.stdout)["peer"] == "2001:db8:113::10"
        assert inside("nat", "sh", "-c", "exit 7").returncode == 7
        assert inside("nat", "--", "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
        assert inside("nut", "true").returncode == 1
        assert inside("nat", "--").returncode == 2
        members = people.family_of(shown["pid"])
        assert len(members) >= 2
    finally:
        down = person.run(*lab, "down", "--name", "round")
    assert (down.returncode, down.stdout) == (0, "lab round is down\n")
    assert eventually(lambda: people.living(members) == [])
    assert person.run(*lab, "status", "--json").stdout == "[]\n"
    assert person.run(*lab, "down", "--all").stdout == "no lab is up\n"
    missing = person.run(*lab, "exec", "nat", "--", "true")
    assert missing.returncode == 1
    assert "no lab 'default' is up. Build one with: natobs lab up" in missing.stderr


def test_a_killed_background_lab_is_forgotten_and_built_again(person: people.Person) -> None:
    lab = ("-m", "natobs", "lab")
    assert person.run(*lab, "up", "--no-servers").returncode == 0
    try:
        (shown,) = json.loads(person.run(*lab, "status", "--json").stdout)
        holder = psutil.Process(shown["pid"])
        holder.kill()
        assert eventually(lambda: people.living([holder]) == [])
        assert person.run(*lab, "status").stdout == "no lab is up\n"
        assert person.run(*lab, "up", "--no-servers").stdout.startswith("lab default is up: ")
    finally:
        down = person.run(*lab, "down", "--all")
    assert down.stdout == "lab default is down\n"


def test_the_demo_shows_the_agent_outside_and_ends_cleanly_on_ctrl_c(person: people.Person) -> None:
    demo = person.popen("-m", "natobs", "lab", "demo", "--topology", "one-armed")
    said = read_until(demo, " completed")
    members = [p for p in people.family_of(demo.pid) if p.pid != demo.pid]
    (url,) = re.findall(r"curl (http://127\.0\.0\.1:\d+/metrics)", said)
    page = subprocess.run(["curl", "-sSm10", url], capture_output=True, text=True, timeout=20, check=False)
    status, rest = end(demo, signal.SIGINT)
    assert page.returncode == 0, page.stderr
    entries = re.search(r"^natobs_conntrack_entries (\d+)", page.stdout, re.MULTILINE)
    assert entries is not None, page.stdout[:2000]
    assert int(entries[1]) > 0
    assert status == 0
    assert rest.endswith("the lab is gone, nothing is left behind\n")
    assert "Traceback" not in said + rest
    assert people.living(members) == []


def test_the_demo_ends_by_itself(person: people.Person) -> None:
    done = person.run("-m", "natobs", "lab", "demo", "--seconds", "5")
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-2]
    counts = re.fullmatch(
        r"tcp (\d+) completed, \d+ refused, \d+ timed out; udp \d+ answered, \d+ silent; dns \d+ found, \d+ missing",
        last,
    )
    assert counts is not None, last
    assert int(counts[1]) > 20
    assert "unexpected" not in done.stdout


def test_the_demo_starts_again_after_kill_9(person: people.Person) -> None:
    first = person.popen("-m", "natobs", "lab", "demo")
    read_until(first, " completed")
    members = [p for p in people.family_of(first.pid) if p.pid != first.pid]
    kill(first)
    done = person.run("-m", "natobs", "lab", "demo", "--seconds", "0")
    assert done.returncode == 0, done.stderr
    assert eventually(lambda: people.living(members) == [])


def test_exec_on_a_terminal_gives_the_terminal_and_survives_ctrl_c(person: people.Person) -> None:
    lab = ("-m", "natobs", "lab")
    assert person.run(*lab, "up", "--no-servers").returncode == 0
    try:
        words = [*person.argv(*lab, "exec", "nat", "--", "bash", "--norc", "-i")]
        shell = subprocess.Popen(
            ["script", "-qec", " ".join(words), "/dev/null"],  # a terminal of its own (package bsdutils)
            env=person.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )
        person.children.append(shell)
        said = read_until(shell, "# ")
        assert shell.stdin is not None
        shell.stdin.write("tty; echo go-$((40+2)); sleep 987\n")
        shell.stdin.flush()
        said += read_until(shell, "go-42")
        # else the terminal would interrupt the shell
        assert eventually(lambda: any(map(owns_its_terminal, people.family_of(shell.pid))))
        shell.stdin.write("\x03")
        shell.stdin.flush()
        said += read_until(shell, "# ")
        said += end_of(shell, "exit 5\n")
    finally:
        down = person.run(*lab, "down")
    assert "/dev/pts/" in said
    assert shell.returncode == 5, said
    assert down.stdout == "lab default is down\n"


def owns_its_terminal(process: psutil.Process) -> bool:
    """Tell whether a process is the sleep that the shell has given its terminal to."""
    if people.command(process) != "sleep 987":
        return False
    fields = Path(f"/proc/{process.pid}/stat").read_text("utf-8").split()
    return fields[4] == fields[7]  # pgrp and tpgid, proc_pid_stat(5)


def end_of(process: "subprocess.Popen[str]", typed: str) -> str:
    """Type something that ends a program on a terminal; give the rest of its output."""
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), True)
    return process.communicate(typed, timeout=20)[0]
