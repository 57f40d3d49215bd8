"""``natobs reflector``: answers probes until it is told to stop."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from natobs.cli.serving import serve, warn_of_exposure
from natobs.exposition.listen import Address, parse_listen
from natobs.exposition.reflector import ReflectorServer
from natobs.exposition.webconfig import load_web_config
from natobs.probes.reflector.reflector import Settings

logger = logging.getLogger(__name__)

_LARGEST_BODY = 1 << 30
_SERVICES = ("stamp", "stun", "echo", "http", "metrics")


@click.command(epilog="Example: natobs reflector --stamp :862 --http :80 --stun 198.51.100.1:3478")
@click.option("--stamp", multiple=True, metavar="HOST:PORT", default=[":8862"], show_default=True, help="STAMP, UDP.")
@click.option("--stun", multiple=True, metavar="HOST:PORT", default=[":3478"], show_default=True, help="STUN, UDP.")
@click.option("--echo", multiple=True, metavar="HOST:PORT", default=[":8007"], show_default=True, help="TCP echo.")
@click.option("--http", multiple=True, metavar="HOST:PORT", default=[":8080"], show_default=True, help="HTTP.")
@click.option(
    "--metrics",
    multiple=True,
    metavar="HOST:PORT",
    default=["127.0.0.1:9652"],
    show_default=True,
    help="The reflector's own metrics.",
)
@click.option("--without", multiple=True, type=click.Choice(_SERVICES), help="Leave a service out.")
@click.option("--stateful", is_flag=True, help="STAMP: count the replies of each session apart.")
@click.option("--stun-any", is_flag=True, help="Answer short STUN requests too, with up to 2.2 times their bytes.")
@click.option("--rate", type=click.FloatRange(0.1), default=500, show_default=True, help="Packets/s for one source.")
@click.option("--total-rate", type=click.FloatRange(0.1), default=20_000, show_default=True, help="Packets/s for all.")
@click.option(
    "--max-body",
    type=click.IntRange(0, _LARGEST_BODY),
    default=1 << 20,
    show_default=True,
    help="HTTP: the most that /bytes/N gives.",
)
@click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TLS and users for the metrics, as for Prometheus exporters.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def command(  # noqa: PLR0913  one argument an option, as click passes them
    *,
    stamp: Sequence[str],
    stun: Sequence[str],
    echo: Sequence[str],
    http: Sequence[str],
    metrics: Sequence[str],
    without: Sequence[str],
    stateful: bool,
    stun_any: bool,
    rate: float,
    total_rate: float,
    max_body: int,
    web_config_file: Path | None,
    log_level: str,
) -> None:
    r"""Answer probes: STAMP, STUN, TCP echo, HTTP.

    \b
    HTTP: /         the address that the request came from
          /healthz  whether it lives
          /bytes/N  a body of N bytes

    :PORT means every address, IPv4 and IPv6; each of the five can be given
    again. No privilege is needed for ports above 1023. Nothing that is sent
    over UDP is longer than what it answers, unless --stun-any allows it.
    SIGHUP reads --web.config.file again, the only file there is; SIGTERM ends it.
    """
    logging.basicConfig(format="natobs: %(levelname)s: %(message)s", level=log_level.upper())
    wanted = {"stamp": stamp, "stun": stun, "echo": echo, "http": http, "metrics": metrics}
    where: dict[str, tuple[Address, ...]] = {
        name: () if name in without else tuple(parse_listen(text) for text in texts) for name, texts in wanted.items()
    }
    settings = Settings(
        stamp=where["stamp"],
        stun=where["stun"],
        echo=where["echo"],
        stateful=stateful,
        answer_short=stun_any,
        source_rate=rate,
        total_rate=total_rate,
    )
    web_config = partial(load_web_config, web_config_file) if web_config_file else None
    server = ReflectorServer(settings, where["http"], where["metrics"], longest_body=max_body, web_config=web_config)

    def started() -> None:
        warn_of_exposure(server.private_addresses)  # all the rest is meant for everybody
        logger.info("ready")

    serve(server, started, None)
