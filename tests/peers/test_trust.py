"""Trust that changes: TLS sessions saved before it, and sockets that are open meanwhile."""

import asyncio
import base64
import json
import os
import shutil
import time

import pytest
from websockets.exceptions import ConnectionClosed

from authority import Authority
from harness import TEMPLATE, Tidegate, eventually, route
from resuming import IN, NO_TLS, Node, OpenSsl, Python

KNOWN, UNKNOWN = IN[True], IN[False]
ISSUERS = ("root", "clients-ca", "stranger-root")
LEAVES = ("client", "client-rsa")
ALLOW = ["dns:*.edge.example.com"]
PATIENCE = 8  # seconds that a short-lived certificate is good for


class Ground:
    """A proxy whose CAs, lists and rules a test changes.

    `shared`: its ticket keys are of a file, as of several proxies. `settings`: of its route.
    """

    def __init__(self, folder, credentials, port, shared=None, mode="required", **settings):
        self.credentials, self.folder, self.shared = credentials, folder, bool(shared)
        self.trusted, self.lists = folder / "trusted.pem", folder / "lists.pem"
        self.authorities = {name: Authority(credentials, name, folder) for name in ISSUERS}
        self.trust("root")
        self.revoke()
        clients = f'mode = "{mode}"\nca = ["{self.trusted}"]\ncrl = ["{self.lists}"]\nclose_spread = "100ms"'
        template = TEMPLATE.replace('mode = "required"\nca = ["{certs}/root.pem"]', clients)
        assert template != TEMPLATE
        if shared:
            template = template.replace("[tls]\n", f'[tls]\nticket_keys = "{shared}"\n')
        self.proxy = Tidegate(folder, credentials, route("/", port, **settings), template)

    def trust(self, *roots):
        replace(self.trusted, "".join(self.credentials.chain(root).read_text() for root in roots))

    def revoke(self, *chains, without=()):
        """The lists of all issuers; these leaves, of the clients' CA, are on its list."""
        named = {"clients-ca": chains}
        lists = [
            authority.revocation_list(named.get(name, ()))
            for name, authority in self.authorities.items()
            if name not in without
        ]
        replace(self.lists, "".join(lists))

    def configure(self, old, new):
        text = self.proxy.config.read_text()
        assert old in text
        replace(self.proxy.config, text.replace(old, new))

    def reload(self, preview=False):
        """What it says; the watcher may have been faster."""
        status, body = self.proxy.ask("POST", "/reload?preview=true" if preview else "/reload")
        assert status == 200, body
        return json.loads(body)

    def clients(self, leaves=LEAVES, kinds=(Python, OpenSsl, Node)):
        """Every kind of client, with each leaf and both versions; Node, slow to start, half of it."""
        chains = [(self.credentials.chain(name), self.credentials.key(name), name) for name in leaves]
        return self.showing(chains or [(None, None, "nobody")], kinds)

    def showing(self, chains, kinds=(Python, OpenSsl, Node)):
        root = self.credentials.chain("root")
        return [
            kind(name, self.folder, root, chain, key, version)
            for kind in kinds
            for place, (chain, key, name) in enumerate(chains)
            for version in (2, 3)
            if kind is not Node or (place + version) % 2
        ]


def replace(path, content):
    new = path.with_name(f"{path.name}.new")
    new.write_text(content)
    new.replace(path)


def short_lived(ground):
    """Clients whose certificate ends in some seconds, and when that is."""
    authority = ground.authorities["clients-ca"]
    end = authority.issue("brief", PATIENCE)
    chain = (authority.pem("brief"), authority.key("brief"), "brief")
    return ground.showing([chain]), end


@pytest.fixture(params=["own tickets", "shared tickets"])
def make(request, tmp_path, credentials, python_backend):
    """Makes grounds; those with shared ticket keys share them."""
    shared = ticket_keys(tmp_path) if request.param == "shared tickets" else None
    grounds = []

    def make_one(**settings):
        folder = tmp_path / f"ground-{len(grounds)}"
        folder.mkdir()
        grounds.append(Ground(folder, credentials, python_backend[1], shared, **settings))
        return grounds[-1]

    yield make_one
    for ground in grounds:
        ground.proxy.stop()


def ticket_keys(folder):
    path = folder / "tickets.txt"
    path.write_text(base64.urlsafe_b64encode(os.urandom(48)).decode() + "\n")
    path.chmod(0o600)
    return path


def save(ground, clients, verdict):
    """Every client comes in, saves its session, and shows that it is worth something."""
    port = ground.proxy.port
    for client in clients:
        assert client.attempt(port, "save") == (verdict, False), client.name
        assert client.attempt(port, "resume") == (verdict, True), client.name


def check_nobody_gains(ground, clients, full, resumed=None, survives=None):
    """Full handshakes end with `full`; saved sessions with the same, or `resumed`.

    `survives`: whether the sessions have to be resumed, or must not be.
    """
    port = ground.proxy.port
    for client in clients:
        verdict, reused = client.attempt(port, "full")
        assert (verdict, reused) == (full, False), client.name
        verdict, reused = client.attempt(port, "resume")
        assert verdict == (resumed or full), client.name
        assert reused == survives or survives is None, client.name
    opened = ground.proxy.metric("websockets_open")
    assert full.startswith("in") or opened == 0, f"{opened} sockets are open"


CHANGES = {
    "the CA is removed": (lambda ground: ground.trust("stranger-root"), NO_TLS),
    "the list names the clients": (
        lambda ground: ground.revoke(*[ground.credentials.chain(leaf) for leaf in LEAVES]),
        NO_TLS,
    ),
    "the issuer's list is gone": (lambda ground: ground.revoke(without=["clients-ca"]), NO_TLS),
    "the allow list names others": (
        lambda ground: ground.configure("*.edge.example.com", "*.core.example.com"),
        "403",
    ),
    "a deny list names them": (
        lambda ground: ground.configure("allow =", 'deny = ["dns:*.edge.example.com"]\nallow ='),
        "403",
    ),
    "certificates are asked for, not required": (
        lambda ground: ground.configure('mode = "required"', 'mode = "optional"'),
        KNOWN,
    ),
    "a CA is added": (lambda ground: ground.trust("root", "stranger-root"), KNOWN),
    "a list of nobody comes anew": (lambda ground: ground.revoke(), KNOWN),
}
RULES = ("the allow list names others", "a deny list names them")


@pytest.mark.parametrize("change", CHANGES)
def test_a_saved_session_lets_nobody_in_whom_a_full_handshake_would_not(make, change):
    ground = make(allow=ALLOW)
    clients = ground.clients()
    save(ground, clients, KNOWN)
    act, verdict = CHANGES[change]
    act(ground)
    ground.reload()
    # What lives on was issued under the same CAs, lists and mode.
    check_nobody_gains(ground, clients, verdict, survives=change in RULES)


@pytest.mark.parametrize("before", ["off", "optional"])
def test_a_session_without_a_certificate_lets_nobody_in_where_one_is_required_now(make, before):
    ground = make(mode=before)
    nobody, known = ground.clients(leaves=()), ground.clients(kinds=(Python, OpenSsl))
    save(ground, nobody, UNKNOWN)
    save(ground, known, UNKNOWN if before == "off" else KNOWN)
    ground.configure(f'mode = "{before}"', 'mode = "required"')
    ground.reload()
    check_nobody_gains(ground, known, KNOWN)
    for client in nobody:
        assert client.attempt(ground.proxy.port, "full") == (NO_TLS, False), client.name
        assert client.attempt(ground.proxy.port, "resume")[0] == NO_TLS, client.name


def test_a_session_with_a_certificate_tells_of_none_where_none_is_asked_for_now(make):
    ground = make()
    clients = ground.clients()
    save(ground, clients, KNOWN)
    ground.configure('mode = "required"', 'mode = "off"')
    ground.reload()
    check_nobody_gains(ground, clients, UNKNOWN)


def test_a_saved_session_does_not_outlive_its_certificate(make):
    ground = make()
    clients, end = short_lived(ground)
    save(ground, clients, KNOWN)
    assert time.time() < end, "the machine is too slow for this certificate"
    time.sleep(end + 1.1 - time.time())
    check_nobody_gains(ground, clients, NO_TLS, resumed="403", survives=True)


def test_a_shared_ticket_opens_another_proxy_but_none_that_trusts_less(make):
    ground, same, fewer, revoked = make(), make(), make(), make()
    fewer.trust("stranger-root")
    fewer.reload()
    revoked.revoke(*[ground.credentials.chain(leaf) for leaf in LEAVES])
    revoked.reload()
    clients = ground.clients()
    shutil.copy(ground.lists, same.lists)
    same.reload()
    save(ground, clients, KNOWN)
    for client in clients:
        assert client.attempt(same.proxy.port, "resume") == (KNOWN, ground.shared), client.name
        for other in (fewer, revoked):
            assert client.attempt(other.proxy.port, "resume") == (NO_TLS, False), client.name


@pytest.fixture
def ground(tmp_path, credentials, python_backend):
    ground = Ground(tmp_path, credentials, python_backend[1], allow=ALLOW)
    yield ground
    ground.proxy.stop()


async def ending(socket, seconds):
    """The code and the reason that a socket ends with; echoing meanwhile."""
    async with asyncio.timeout(seconds):
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.send("still there?")
                await socket.recv()
                await asyncio.sleep(0.05)
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_a_socket_ends_when_its_certificate_expires(ground):
    authority = ground.authorities["clients-ca"]
    end = authority.issue("brief", PATIENCE)
    context = ground.credentials.context(None)
    context.load_cert_chain(authority.pem("brief"), authority.key("brief"))
    async with (
        ground.proxy.connect("/echo", ssl=context) as brief,
        ground.proxy.connect("/echo") as other,
    ):
        assert await ending(brief, PATIENCE + 5) == (1008, "the client's certificate expired")
        late = time.time() - end
        print(f"closed {late:.2f} s after notAfter")
        assert 0 <= late < 2
        await other.send("here")
        assert await other.recv() == "here"


async def test_a_changed_ca_that_still_covers_a_client_touches_nothing(ground):
    async with ground.proxy.connect("/echo") as socket:
        ground.trust("root", "stranger-root")
        preview = ground.reload(preview=True)
        assert (preview["result"], preview["touched"]) == ("ok", [])
        assert ground.reload()["touched"] == []
        await eventually(lambda: ground.proxy.metric("config_generation") == 2, "the CAs are in use")
        await socket.send("here")
        assert await socket.recv() == "here"
        assert ground.proxy.metric("websockets_open") == 1


@pytest.mark.parametrize(
    "change, reason",
    [
        ("the CA is removed", "no longer allowed"),
        ("the list names the clients", "was revoked"),
        ("the allow list names others", "no longer allowed"),
        ("a deny list names them", "no longer allowed"),
    ],
)
async def test_a_preview_names_the_sockets_that_a_reload_ends(ground, change, reason):
    async with ground.proxy.connect("/echo") as socket:
        CHANGES[change][0](ground)
        preview = ground.reload(preview=True)
        assert [len(group["connections"]) for group in preview["touched"]] == [1], preview
        await socket.send("a preview ends nothing")
        assert await socket.recv() == "a preview ends nothing"
        ground.reload()
        code, said = await ending(socket, 5)
        assert code == 1008
        assert reason in said
