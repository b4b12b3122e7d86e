"""Five thousand open sockets, and a hundred certificates revoked by a new file."""

import json
import resource
import statistics
import sys
import time

import pytest

from authority import Authority
from harness import HERE, TEMPLATE, Process, Tidegate, route, wait_until

HOLDERS, SOCKETS, CERTIFICATES, REVOKED = 2, 5_000, 200, 100
DESCRIPTORS = 2 * SOCKETS + 500
BEFORE = 5  # seconds in which echoes are measured before the change


class Crowd:
    """One socket for each certificate that is going to be revoked, many for each of the others."""

    def __init__(self, credentials, folder):
        self.authority = Authority(credentials, "clients-ca", folder)
        names = [f"client-{number}" for number in range(CERTIFICATES)]
        for name in names:
            self.authority.issue(name)
        self.revoked, others = names[:REVOKED], names[REVOKED:]
        more = SOCKETS - REVOKED
        owners = self.revoked + [others[number % len(others)] for number in range(more)]
        self.owners = [owners[number::HOLDERS] for number in range(HOLDERS)]

    def hold(self, proxy, folder, number):
        """A process that opens its share of the sockets."""
        plan, report = folder / f"plan-{number}.json", folder / f"report-{number}.json"
        files = [
            (str(self.authority.pem(name)), str(self.authority.key(name))) for name in self.owners[number]
        ]
        plan.write_text(json.dumps(files))
        root = proxy.credentials.chain("root")
        command = [sys.executable, HERE / "many_clients.py", str(proxy.port), root, plan, report]
        return Process(folder, f"clients-{number}", command), report


@pytest.fixture
def proxy(folder, credentials, python_backend, pytestconfig):
    """The proxy, its clients, the file of its lists, and the list of the root in it."""
    if not pytestconfig.getoption("--full"):
        pytest.skip("5 000 sockets take a minute: only with --full")
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < DESCRIPTORS:
        pytest.skip(f"{DESCRIPTORS} descriptors are needed, {limit} allowed: raise `ulimit -Hn`")
    lists = folder / "lists.pem"
    root = Authority(credentials, "root", folder).revocation_list()
    crowd = Crowd(credentials, folder)
    lists.write_text(root + crowd.authority.revocation_list())
    template = TEMPLATE.replace('root.pem"]', f'root.pem"]\ncrl = ["{lists}"]')
    proxy = Tidegate(folder, credentials, route("/", python_backend[1]), template)
    yield proxy, crowd, lists, root
    proxy.stop()


def p99(echoes, since, until):
    """The 99th percentile of echoes that began or were under way then, in seconds; and how many there were."""
    during = [seconds for began, seconds in echoes if began < until and began + seconds > since]
    return statistics.quantiles(during, n=100)[98], len(during)


def test_exactly_the_sockets_of_revoked_certificates_close_and_soon(proxy, folder):
    tidegate, crowd, lists, root = proxy
    started = time.monotonic()
    holders = [crowd.hold(tidegate, folder, number) for number in range(HOLDERS)]
    try:
        wait_until(lambda: all("open" in each.text() for each, _ in holders), "every socket is open", 150)
        assert tidegate.metric("websockets_open") == SOCKETS
        opened = time.monotonic()
        chains = [crowd.authority.pem(name) for name in crowd.revoked]
        new = lists.with_suffix(".new")
        new.write_text(root + crowd.authority.revocation_list(chains))
        time.sleep(BEFORE)  # the time that is measured
        changed = time.monotonic()
        new.replace(lists)
        wait_until(
            lambda: tidegate.metric("websockets_open") == SOCKETS - REVOKED, "a hundred have closed"
        )
        time.sleep(1)  # in which no other may follow
        assert tidegate.metric("websockets_open") == SOCKETS - REVOKED
    finally:
        for each, _ in holders:
            each.stop(seconds=60)
    reports = [json.loads(report.read_text()) for _, report in holders]
    assert sum(report["open"] for report in reports) == SOCKETS - REVOKED
    ended = [
        (owners[number], code, reason)
        for owners, report in zip(crowd.owners, reports, strict=True)
        for number, code, reason, _ in report["endings"]
    ]
    assert sorted(ended) == sorted(
        (name, 1008, "the client's certificate was revoked") for name in crowd.revoked
    )
    moments = [moment for report in reports for *_, moment in report["endings"]]
    first, last = min(moments) - changed, max(moments) - changed
    echoes = [echo for report in reports for echo in report["echoes"]]
    calm, calm_count = p99(echoes, changed - BEFORE, changed)
    busy, busy_count = p99(echoes, changed, changed + last)
    print(
        f"{SOCKETS} sockets open after {opened - started:.1f} s; closes {first:.2f} to {last:.2f} s after the "
        f"rename; p99 of echoes {calm * 1e3:.1f} ms before ({calm_count}), {busy * 1e3:.1f} ms during "
        f"({busy_count}): ratio {busy / calm:.2f}"
    )
    assert last < 2
