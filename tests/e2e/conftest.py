"""See fixtures.py."""

import pytest

from fixtures import *  # noqa: F401,F403: fixtures are found by name


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.call_report = report
    return report
