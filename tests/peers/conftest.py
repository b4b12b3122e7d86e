"""Runs coroutine tests, shares credentials, shows tidegate's log where a test failed, and counts."""

import asyncio
import inspect

import pytest

import harness


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.function):
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), 240))
        return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    for value in getattr(item, "funcargs", {}).values():
        if report.failed and isinstance(value, harness.Tidegate):
            report.sections.append(("the end of tidegate's log", value.tail()))
    return report


def pytest_terminal_summary(terminalreporter):
    counts = {
        name: len(terminalreporter.stats.get(name, [])) for name in ("passed", "failed", "error", "skipped")
    }
    failed = counts["failed"] + counts["error"]
    terminalreporter.write_line(f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped")


def pytest_addoption(parser):
    what = "Autobahn's long cases (12.*, 13.*), 5 000 open sockets and large applications as well"
    parser.addoption("--full", action="store_true", help=what)


@pytest.fixture(scope="session")
def credentials(tmp_path_factory):
    return harness.Credentials(tmp_path_factory.mktemp("credentials"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    return tmp_path_factory.mktemp(request.module.__name__)


@pytest.fixture(scope="module")
def python_backend(folder):
    process, port = harness.python_backend(folder)
    yield process, port
    process.stop()


@pytest.fixture(scope="module")
def node_backend(folder):
    process, port = harness.node_backend(folder)
    yield process, port
    process.stop()
