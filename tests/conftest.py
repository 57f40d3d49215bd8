"""The one flag of the tests, and the patience of those about properties."""

import pytest
from hypothesis import HealthCheck, settings

# An example that takes long was kept from the CPU by somebody else: time is no property of what is tested.
settings.register_profile(
    "patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew instead of comparing")
