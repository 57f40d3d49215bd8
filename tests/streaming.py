"""For the tests of stream probes: servers in threads, certificates of every fault, and attempts by the real engine."""

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from natobs.probes.engine import Engine
from natobs.probes.environment import Environment, Kind
from natobs.probes.model import Attempt, Target
from natobs.probes.plan import Plan
from tests.loopback import PATIENCE, Certificates
from tests.probing import environment
from tests.scripted import kept

Talk = Callable[[socket.socket], None]
"""What a server does with a connection; it is closed afterwards."""


@contextmanager
def server(talk: Talk, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on loopback, each connection in a thread; gives its port. Errors of the connection end it quietly."""
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:

        def handle(accepted: socket.socket) -> None:
            accepted.settimeout(PATIENCE)
            with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
                stack.enter_context(accepted)
                if context is not None:
                    accepted = stack.enter_context(context.wrap_socket(accepted, server_side=True))
                talk(accepted)

        def accept() -> None:
            while True:
                accepted, peer = listening.accept()
                if peer == last.getsockname():
                    accepted.close()
                    return
                threads.append(threading.Thread(target=handle, args=[accepted]))
                threads[-1].start()

        last = socket.socket()  # who connects from here ends the server, after all who came before
        last.bind(("127.0.0.1", 0))
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listening.getsockname()[1]
        finally:
            last.connect(listening.getsockname())
            accepting.join(PATIENCE)
            last.close()
            for thread in threads:
                thread.join(PATIENCE)


def run(kind: Kind, target: Target, count: int = 1) -> list[Attempt]:
    """Attempts one after the other, by the engine as it is."""
    with environment() as (around, _noted):
        return run_in(around, kind, target, count)


def run_in(around: Environment, kind: Kind, target: Target, count: int = 1) -> list[Attempt]:
    """The same, in an environment that is there already."""
    attempts: list[Attempt] = []
    engine = Engine([target], [kind.open(target, around)], Plan([], 1, 0), attempts.append)
    try:
        for done in range(count):
            engine.begin(0)
            deadline = time.monotonic() + 3 * PATIENCE
            while len(attempts) <= done:
                assert time.monotonic() < deadline, "the attempt does not end"
                engine.turn(0.1)
    finally:
        engine.close()
    return attempts


def bounded(kind: Kind, target: Target) -> Attempt:
    """One attempt, seen to end at its time limit, beside what the machine kept it from its CPU."""
    with kept() as late:
        (attempt,) = run(kind, target)
        assert attempt.seconds < target.settings.timeout_seconds + 0.3 + late()
    return attempt


class Faulty(Certificates):
    """With servers' certificates: ``server``, ``expired``, ``elsewhere`` (another name), ``stranger`` (unknown CA)."""

    def issue_all(self, names: str = "IP:127.0.0.1") -> None:
        self.issue("server", names)
        self.issue("elsewhere", "DNS:elsewhere.example")
        self.issue("stranger", names, authority="other-ca")
        key, request = self.path("expired.key"), self.path("expired.csr")
        ask = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        self._run([*ask, "-subj", "/CN=expired", "-keyout", key, "-out", request])
        extensions = self.directory / "extensions"
        extensions.write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n")
        sign = ["openssl", "x509", "-req", "-days", "-1", "-in", request, "-extfile", str(extensions)]
        authority = ["-CA", self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial"]
        self._run([*sign, *authority, "-out", self.path("expired.pem")])

    def serving(self, name: str, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
        """A server's context with the certificate of a name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    def _run(self, command: list[str]) -> None:
        subprocess.run(command, check=True, capture_output=True)
