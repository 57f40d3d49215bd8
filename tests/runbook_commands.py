"""The commands that runbooks name, and whether they exist: natobs' own by click, others by Debian's packages."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache

import click

from natobs.cli.main import natobs

PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "conntrack": "conntrack",
    "conntrackd": "conntrackd",
    "curl": "curl",
    "df": "coreutils",
    "dig": "bind9-dnsutils",
    "du": "coreutils",
    "echo": "coreutils",
    "ethtool": "ethtool",
    "free": "procps",
    "grep": "grep",
    "ip": "iproute2",
    "iptables": "iptables",
    "journalctl": "systemd",
    "last": "util-linux",
    "mpstat": "sysstat",
    "networkctl": "systemd",
    "nft": "nftables",
    "nstat": "iproute2",
    "ping": "iputils-ping",
    "printf": "coreutils",
    "promtool": "prometheus",
    "ps": "procps",
    "sysctl": "procps",
    "systemctl": "systemd",
    "tc": "iproute2",
    "tcpdump": "tcpdump",
    "tee": "coreutils",
    "top": "procps",
    "tracepath": "iputils-tracepath",
    "uptime": "procps",
    "wc": "coreutils",
}
"""Program to the package of Debian 12 that has it."""
HELP: dict[str, tuple[str, ...]] = {
    "conntrack": ("-p tcp --help",),
    "curl": ("--help all",),
    "ethtool": ("--help",),
    "free": ("--help",),
    "grep": ("--help",),
    "ip": ("help",),
    "iptables": (
        "--help",
        "-m conntrack --help",
        "-j SNAT --help",
        "-j MASQUERADE --help",
        "-j TCPMSS --help",
        "-p tcp --help",
    ),
    "journalctl": ("--help",),
    "nft": ("--help",),
    "promtool": ("--help-long",),
    "sysctl": ("--help",),
    "systemctl": ("--help",),
    "wc": ("--help",),
}
"""How to have a program name its options. ip and nft have further words, which the lab's test tries on a kernel."""
PROSE = {
    "by",
    "ct",
    "dead",
    "hook",
    "masquerade",
    "message",
    "meta",
    "options",
    "range",
    "seen",
    "size",
    "state",
    "transmit",
}
"""First words of inline code that is part of a rule, a setting or an output, and no command."""

_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_PROGRAM = re.compile(r"[a-z][a-z0-9-]*")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return [text for found, text in _BLOCK.findall(page) if found == language]


def commands(page: str) -> Iterator[tuple[str, ...]]:
    """Every command of a page, those of a pipe one by one: lines of blocks, and inline code that begins with one."""
    for block in blocks(page, "sh"):
        for line in filter(str.strip, block.splitlines()):
            yield from split(line)
    for text in _INLINE.findall(_BLOCK.sub("", page)):
        first, _, rest = text.partition(" ")
        if first in {"natobs", *PACKAGES} or (rest and _PROGRAM.fullmatch(first) and first not in PROSE):
            yield from split(text)


def split(line: str) -> Iterator[tuple[str, ...]]:
    """The words of each command of a line."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&")
    lexer.whitespace_split = True
    words: list[str] = []
    given = iter((*lexer, ";"))
    for word in given:
        if word == ">":
            next(given)  # the file
        elif set(word) <= set("|;&"):
            if words:
                yield tuple(words[1:] if words[0] == "sudo" else words)
            words = []
        else:
            words.append(word)


def problem(words: Sequence[str]) -> str:
    """What is wrong with a command; nothing if it is as it should be."""
    program, *arguments = words
    if program == "natobs":
        return _natobs_problem(natobs, arguments)
    if program not in PACKAGES:
        return f"{program}: no program that is known; its package belongs into PACKAGES"
    options = {_bare(word) for word in arguments if re.match(r"--?[A-Za-z]", word)}
    text = help_text(program)
    unknown = [option for option in sorted(options) if text and not re.search(rf"(?<![\w-]){option}(?![\w-])", text)]
    return f"{program}: its help does not have {', '.join(unknown)}" if unknown else ""


def _bare(option: str) -> str:
    return option.partition("=")[0]


def _natobs_problem(command: click.Command, arguments: Sequence[str], parent: click.Context | None = None) -> str:
    """Parse as the program itself would, and run nothing."""
    name = command.name or "natobs"
    if isinstance(command, click.Group) and arguments:
        context = click.Context(command, parent=parent, info_name=name)
        inner = command.get_command(context, arguments[0])
        if inner is not None:
            return _natobs_problem(inner, arguments[1:], context)
        if not arguments[0].startswith("-"):
            return f"natobs: {name} has no command {arguments[0]}"
    try:
        context = command.make_context(name, list(arguments), parent=parent)
    except click.ClickException as error:
        return f"natobs {name}: {error.format_message()}"
    except click.exceptions.Exit:
        return ""  # --help
    left = [*context.args]
    return f"natobs {name}: does not take {' '.join(left)}" if left else ""


@cache
def help_text(program: str) -> str:
    """What an installed program says about its options; nothing where it is not there, or has no short way to say."""
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None or program not in HELP:
        return ""
    said = [
        subprocess.run([path, *way.split()], capture_output=True, text=True, check=False, timeout=20)
        for way in HELP[program]
    ]
    return "".join(one.stdout + one.stderr for one in said)


def owner(program: str) -> str:
    """The Debian package that has an installed program; nothing where it is not installed, or by nobody's package."""
    path = shutil.which(program, path="/usr/bin:/usr/sbin:/bin:/sbin")
    dpkg = shutil.which("dpkg-query")
    if path is None or dpkg is None:
        return ""
    ways = {path, path.removeprefix("/usr"), f"/usr{path.removeprefix('/usr')}", os.path.realpath(path)}
    said = subprocess.run([dpkg, "--search", *ways], capture_output=True, text=True, check=False, timeout=20).stdout
    found = {line.partition(":")[0] for line in said.splitlines()}
    return PACKAGES[program] if PACKAGES[program] in found else next(iter(found), "")
