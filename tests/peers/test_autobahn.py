"""Autobahn's cases (kosoku): through the proxy each must end as it does without it, or better.

fuzzing client ─ ws ─► HAProxy ─ wss, client certificate ─► tidegate ─ ws ─► Node `ws`
fuzzing client ─ ws ─► the Rust client ─ sealed frames over wss ─► tidegate ─ ws ─► Node `ws`
Node `ws` ─ wss, client certificate ─► tidegate ─ ws ─► fuzzing server
"""

import json
import os
import signal
import subprocess

import pytest

from harness import WORK, Process, Tidegate, free_port, route, wait_until

LONG = ["12.*", "13.*"]  # compression at every size: minutes
PROTOCOL_ERROR = 1002
RANK = {"OK": 3, "NON-STRICT": 2, "INFORMATIONAL": 2, "UNIMPLEMENTED": 1}
RANK_CLOSE = {"OK": 3, "INFORMATIONAL": 2}

HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 120s
  timeout server 120s
listen plain
  bind 127.0.0.1:{port}
  default-server ssl crt {certs}/client-with-key.pem ca-file {certs}/root.pem
  default-server verify required verifyhost localhost sni str(localhost)
  server tidegate 127.0.0.1:{target}
"""


def results(folder):
    """Case → behaviour, behaviour of the close, close code, as Autobahn's index.json has them."""
    (cases,) = json.loads((folder / "index.json").read_text()).values()
    return {
        name: (case["behavior"], case["behaviorClose"], case["remoteCloseCode"])
        for name, case in cases.items()
    }


def worse(direct, through):
    """Neither as good nor stricter.

    Stricter: the case breaks the protocol after a good message, and the proxy fails the connection before the
    answer to that message is back. Autobahn expects that as well, and calls it NON-STRICT.
    """
    sooner = (direct, through) == (("OK", "OK", PROTOCOL_ERROR), ("NON-STRICT", "OK", PROTOCOL_ERROR))
    behavior = RANK.get(through[0], 0) < RANK.get(direct[0], 0)
    close = RANK_CLOSE.get(through[1], 0) < RANK_CLOSE.get(direct[1], 0)
    return (behavior or close) and not sooner


def compare(direct, through, at_least):
    """Prints every case that differs, and fails if one is worse."""
    assert len(direct) >= at_least
    assert direct.keys() == through.keys()
    differing = [name for name in direct if direct[name] != through[name]]
    for name in differing:
        print(f"{name}: {direct[name]} directly, {through[name]} through the proxy")
    print(f"{len(direct)} cases, {len(differing)} differ")
    assert not [name for name in differing if worse(direct[name], through[name])]


@pytest.fixture(scope="module")
def excluded(request):
    return [] if request.config.getoption("--full") else [option for case in LONG for option in ("-x", case)]


@pytest.fixture(scope="module")
def seconds(request):
    return 3600 if request.config.getoption("--full") else 180


def fuzz(port, report, excluded, seconds):
    command = ["kosoku", "-m", "fuzzingclient", *excluded, "-o", report, f"127.0.0.1:{port}"]
    subprocess.run(command, capture_output=True, timeout=seconds)  # exits 1 if a case failed: compared below
    return results(report)


def test_the_fuzzing_client_sees_what_the_backend_does(folder, credentials, node_backend, excluded, seconds):
    tidegate = Tidegate(folder / "server", credentials, route("/", node_backend[1]))
    port = free_port()
    (folder / "haproxy.cfg").write_text(
        HAPROXY.format(port=port, target=tidegate.port, certs=credentials.folder)
    )
    haproxy = Process(folder, "haproxy", ["haproxy", "-db", "-f", "haproxy.cfg"]).listens(port)
    try:
        direct = fuzz(node_backend[1], folder / "direct", excluded, seconds)
        through = fuzz(port, folder / "through", excluded, seconds)
    finally:
        haproxy.stop()
        tidegate.stop()
    compare(direct, through, at_least=301)


def test_the_fuzzing_client_sees_the_same_over_a_sealed_hop(folder, credentials, node_backend, excluded, seconds):
    adaptor = os.environ.get("SEALED_ADAPTOR")
    if adaptor is None:
        pytest.skip("SEALED_ADAPTOR does not name the program: cargo build --example sealed_adaptor")
    required = route("/", node_backend[1], integrity="required", integrity_algorithms=["sha-256"])
    tidegate = Tidegate(folder / "sealed-server", credentials, required)
    port = free_port()
    arguments = ["--listen", f"127.0.0.1:{port}", f"wss://localhost:{tidegate.port}/", "--integrity", "sha-256"]
    files = {"--ca": "root.pem", "--cert": "client.pem", "--key": "client.key"}
    for option, name in files.items():
        arguments += [option, credentials.folder / name]
    middle = Process(folder, "adaptor", [adaptor, *arguments]).listens(port)
    try:
        # Without extensions on the sealed hop, only what needs none is compared.
        without = [*excluded, "-x", "12.*", "-x", "13.*"]
        direct = fuzz(node_backend[1], folder / "direct-again", without, seconds)
        through = fuzz(port, folder / "through-sealed", without, seconds)
    finally:
        middle.stop()
        tidegate.stop()
    compare(direct, through, at_least=301)


def take_cases(folder, name, excluded, seconds, credentials, through_proxy):
    """Node's `ws` takes the cases of a fuzzing server, and what that server made of them."""
    port = free_port()
    command = ["kosoku", "-m", "fuzzingserver", *excluded, "-o", folder / name, f"127.0.0.1:{port}"]
    server = Process(folder, name, command).listens(port)
    tidegate = Tidegate(folder / f"proxy-{name}", credentials, route("/", port)) if through_proxy else None
    base = f"wss://localhost:{tidegate.port}" if tidegate else f"ws://127.0.0.1:{port}"
    try:
        client = ["node", WORK / "client.mjs", "autobahn", base, credentials.folder]
        subprocess.run(client, check=True, timeout=seconds)
        wait_until(
            lambda: (folder / name / "index.json").exists() and server.child.poll() is not None,
            "the report",
            30,
        )
    finally:
        server.stop(signal.SIGINT)
        if tidegate:
            tidegate.stop()
    return results(folder / name)


def test_the_fuzzing_server_sees_what_the_client_does(folder, credentials, excluded, seconds):
    direct = take_cases(folder, "from-client", excluded, seconds, credentials, through_proxy=False)
    through = take_cases(folder, "from-proxy", excluded, seconds, credentials, through_proxy=True)
    compare(direct, through, at_least=301)
