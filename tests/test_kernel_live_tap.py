from natobs.kernel.live_tap import LISTEN_SECONDS, PATIENCE_SECONDS, REST_SECONDS, Rest


def changes(rest: Rest, begin: float, end: float, step: float = 0.1) -> list[tuple[float, bool]]:
    """When it changed over in a span of time, to the tenth of a second, and to what."""
    found = []
    for place in range(round((end - begin) / step)):
        now = begin + place * step
        if rest.due(now):
            found.append((round(now, 1), rest.listening))
    return found


def test_it_listens_until_it_has_heard_nothing_for_long() -> None:
    rest = Rest(0.0)
    assert rest.listening
    assert changes(rest, 0.0, PATIENCE_SECONDS - 0.05, 1.0) == []
    rest.heard(300.0)
    assert changes(rest, 300.0, 300.0 + PATIENCE_SECONDS, 1.0) == []


def test_then_it_rests_most_of_the_time() -> None:
    rest = Rest(0.0)
    begin = PATIENCE_SECONDS
    assert changes(rest, begin, begin + 21) == [
        (begin, False),
        (begin + REST_SECONDS, True),
        (begin + REST_SECONDS + LISTEN_SECONDS, False),
        (begin + 2 * REST_SECONDS + LISTEN_SECONDS, True),
        (begin + 2 * (REST_SECONDS + LISTEN_SECONDS), False),
    ]


def test_a_packet_ends_that() -> None:
    rest = Rest(0.0)
    begin = PATIENCE_SECONDS
    assert changes(rest, begin, begin + REST_SECONDS + 1)[-1] == (begin + REST_SECONDS, True)
    rest.heard(begin + REST_SECONDS + 1)
    assert changes(rest, begin + REST_SECONDS + 1, begin + PATIENCE_SECONDS) == []
    assert rest.listening
