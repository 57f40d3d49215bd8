import pytest

from natobs.exposition.crosssite import is_cross_site


@pytest.mark.parametrize(
    ("headers", "cross"),
    [
        ({}, False),  # curl, Prometheus' operator
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "same-site"}, True),  # another port of this host
        ({"sec-fetch-site": ""}, True),
        ({"sec-fetch-site": "same-origin, cross-site"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://n:9651", "host": "n:9651"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://elsewhere", "host": "n:9651"}, False),
        ({"origin": "http://n:9651", "host": "n:9651"}, False),
        ({"origin": "https://n", "host": "n"}, False),
        ({"origin": "https://n", "host": "n:443"}, False),
        ({"origin": "http://N:80", "host": "n"}, False),
        ({"origin": "http://[::1]:9651", "host": "[::1]:9651"}, False),
        ({"origin": "http://n:9650", "host": "n:9651"}, True),
        ({"origin": "http://evil.example", "host": "n:9651"}, True),
        ({"origin": "http://n.evil.example:9651", "host": "n:9651"}, True),
        ({"origin": "null", "host": "n:9651"}, True),
        ({"origin": "null", "host": ""}, True),
        ({"origin": "", "host": ""}, True),
        ({"origin": "file://", "host": ""}, True),
        ({"origin": "http://[", "host": "n"}, True),
        ({"origin": "http://n:99999", "host": "n:99999"}, True),
        ({"origin": "http://n"}, True),
    ],
)
def test_who_is_behind_a_request(headers: dict[str, str], cross: bool) -> None:  # noqa: FBT001 - a table
    assert is_cross_site(headers) is cross
