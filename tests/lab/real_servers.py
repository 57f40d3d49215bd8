"""Servers that other people wrote, for probes to ask: coturn, nginx and dnsmasq, in a host of the lab."""

import shutil
import subprocess
import time
from pathlib import Path

from natobs.lab.lab import Host, HostProcess
from tests.streaming import Faulty

NO_CAPABILITY = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs")

STUN_PORT, STRICT_STUN_PORT = 3478, 3479
"""The second one answers nobody without a password."""
HTTP_PORT, H2_PORT, H1_PORT, EXPIRED_PORT, ELSEWHERE_PORT, STRANGER_PORT = 8080, 8443, 8444, 8445, 8446, 8447
DNS_PORT = 5300

_LISTEN_SECONDS = 20.0


def program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: scripts/programs.sh fetches it, and `make test` finds it"
    return found


def await_listening(host: Host, process: HostProcess, port: int, count: int, family: str = "-t") -> None:
    """Until so many sockets are bound to a port."""
    deadline = time.monotonic() + _LISTEN_SECONDS
    while host.run(["ss", "-Hln", family, f"sport = :{port}"]).stdout.count("\n") < count:
        assert process.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, "the server does not listen"
        time.sleep(0.05)


def coturn(host: Host, addresses: list[str], directory: Path, *, strict: bool = False) -> HostProcess:
    """A STUN server without any capability."""
    path = program("turnserver")
    port = STRICT_STUN_PORT if strict else STUN_PORT
    own = directory / f"coturn-{port}"
    options = ["--secure-stun", "--lt-cred-mech", "--user=lab:lab", "--realm=lab.test"] if strict else []
    process = host.popen(
        [
            *("env", f"LD_LIBRARY_PATH={Path(path).parent.parent / 'lib'}", *NO_CAPABILITY, path, "-n", "--stun-only"),
            *("--no-tls", "--no-dtls", "--no-cli", "--no-stdout-log", "--log-file=/dev/null", "--simple-log"),
            *(f"--pidfile={own}.pid", f"--userdb={own}.db", "--relay-threads=1", f"--listening-port={port}"),
            *(f"--listening-ip={address}" for address in addresses),
            *options,
        ]
    )
    await_listening(host, process, port, len(addresses), "-u")
    return process


def nginx(host: Host, addresses: list[str], directory: Path) -> tuple[HostProcess, str]:
    """A web server: HTTP, and HTTPS with a certificate of every fault for ``addresses``; and the file of its authority.

    ``/`` answers with protocol and client's address, ``/503`` with that status.
    """
    directory.mkdir(exist_ok=True)
    certificates = Faulty(directory)
    certificates.issue_all(",".join(f"IP:{address}" for address in addresses))
    servers = [_server(addresses, HTTP_PORT, "", "")]
    for port, name, more in [
        (H2_PORT, "server", " http2"),
        (H1_PORT, "server", ""),
        (EXPIRED_PORT, "expired", ""),
        (ELSEWHERE_PORT, "elsewhere", ""),
        (STRANGER_PORT, "stranger", ""),
    ]:
        versions = "TLSv1.2" if port == H2_PORT else "TLSv1.2 TLSv1.3"
        own = directory / name
        pair = f"ssl_protocols {versions}; ssl_certificate {own}.pem; ssl_certificate_key {own}.key;"
        servers.append(_server(addresses, port, f" ssl{more}", pair))
    paths = " ".join(f"{kind}_temp_path {directory}/{kind};" for kind in _TEMPORARY)
    configuration = directory / "nginx.conf"
    configuration.write_text(
        f"user root root; daemon off; master_process off; pid {directory}/nginx.pid; events {{}}\n"
        f"http {{ access_log off; {paths}\n" + "\n".join(servers) + "\n}\n"
    )
    command = [*NO_CAPABILITY, program("nginx"), "-e", "stderr", "-c", str(configuration)]
    process = host.popen(command, stderr=subprocess.DEVNULL)
    await_listening(host, process, STRANGER_PORT, len(addresses))
    return process, certificates.path("ca.pem")


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _server(addresses: list[str], port: int, listen: str, more: str) -> str:
    listening = " ".join(f"listen {bracketed(address)}:{port}{listen};" for address in addresses)
    answer = 'location = /503 { return 503; } location / { return 200 "$server_protocol $remote_addr\\n"; }'
    address = 'location = /address { return 200 "$remote_addr\\n"; }'
    return f"server {{ {listening} {more} {answer} {address} }}"


def dnsmasq(host: Host, addresses: list[str], *options: str) -> HostProcess:
    """A DNS server that knows some names of lab.test, and refuses all others; by UDP and TCP."""
    process = host.popen(
        [
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--group=root"),
            *("--no-resolv", "--no-hosts", "--no-poll", f"--port={DNS_PORT}", "--bind-interfaces"),
            *(f"--listen-address={address}" for address in addresses),
            *("--local=/lab.test/", "--host-record=good.lab.test,192.0.2.7,2001:db8::7", *options),
        ]
    )
    await_listening(host, process, DNS_PORT, len(addresses))
    return process


def bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
