"""Frame integrity with the Python, JavaScript and Rust clients, alone and behind a man in the middle."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from harness import ROOT, WORK, Tidegate, eventually, free_port, route

CLIENTS = ROOT / "clients"
sys.path += [str(CLIENTS / "python" / "src"), str(CLIENTS / "python" / "tests")]

from tampering_proxy import TamperingProxy  # noqa: E402
from tidegate_client import IntegrityError, PublicKey, SharedKey, connect  # noqa: E402

MESSAGES = ["pay Alice 1", "pay Bob 2", "pay Carol 3"]
DELIBERATE = [
    *("flip", "flip-tag", "replay", "drop", "reorder", "inject", "inject-untagged"),
    *("retype", "lose-octet", "truncate", "forge-close"),
]
ACCIDENTAL = ["flip", "flip-tag", "lose-octet", "inject-untagged"]
UNTAGGED = ["inject-untagged", "forge-close"]
KINDS = ["secret", "x25519"]
BINDINGS = ["frame", "message"]
ROTATIONS, SOCKETS_A_KEY = 50, 20


def before(tampering):
    """The messages that come before what is noticed; of a replay, the first copy is good."""
    return MESSAGES[: 2 if tampering == "replay" else 1]


def keys(keyring, *arguments):
    """`tidegate keys` on a keyring; gives what it prints."""
    command = [os.environ["TIDEGATE"], "keys", *arguments, "--keyring", keyring]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=keyring.parent).stdout


class Sealed:
    """A tidegate whose routes are sealed, its keys, and what its backend hears."""

    def __init__(self, folder, credentials):
        folder.mkdir(parents=True, exist_ok=True)
        self.keyring = folder / "keyring.toml"
        self.credentials, self.backend_port, self.browser_port = credentials, free_port(), free_port()
        secret = keys(self.keyring, "generate", "secret-1", "--show")
        self.secret = re.search(r"^secret (\S+)$", secret, re.MULTILINE)[1]
        public = keys(self.keyring, "generate", "x25519-1", "--kind", "x25519")
        self.public = re.search(r"^public (\S+)$", public, re.MULTILINE)[1]
        more = (
            f'[[listener]]\nname = "browsers"\naddress = "127.0.0.1:{self.browser_port}"\n'
            'client_cert = "off"\n'
            f'[integrity]\nkeyring = "{self.keyring}"\n'
        )
        self.proxy = Tidegate(folder, credentials, more + route("/", self.backend_port, integrity="required"))
        self.heard = None

    def sealing(self, kind):
        """How to seal, as arguments of `connect`; "none" is `sha-256`."""
        return {
            "secret": {"key": SharedKey("secret-1", self.secret)},
            "x25519": {"key": PublicKey("x25519-1", self.public)},
            "none": {"algorithm": "sha-256"},
        }[kind]

    def json_sealing(self, kind):
        """The same as the JavaScript client takes it."""
        return {
            "secret": {"key": {"kid": "secret-1", "secret": self.secret}},
            "x25519": {"key": {"kid": "x25519-1", "publicKey": self.public}},
            "none": {"algorithm": "sha-256"},
        }[kind]

    @contextlib.asynccontextmanager
    async def backend(self):
        """An echo; `heard` gets the messages and the Close of each connection."""
        self.heard = asyncio.Queue()

        async def handle(socket):
            messages = []
            with contextlib.suppress(ConnectionClosed):
                async for message in socket:
                    messages.append(message)
                    with contextlib.suppress(ConnectionClosed):
                        await socket.send(message)
            close = (socket.close_code, socket.close_reason)
            self.heard.put_nowait((messages, close, socket.request.headers))

        async with serve(handle, "127.0.0.1", self.backend_port, max_size=None, ping_interval=None):
            yield

    @contextlib.asynccontextmanager
    async def middle(self):
        """A man in the middle that ends TLS with a certificate that the clients trust."""
        own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        own.load_cert_chain(self.credentials.chain("server-ecdsa"), self.credentials.key("server-ecdsa"))
        upstream = f"wss://localhost:{self.proxy.port}"
        proxy = TamperingProxy(upstream, self.credentials.context(), own)
        try:
            yield await proxy.start()
        finally:
            proxy.stop()

    def url(self):
        return f"wss://localhost:{self.proxy.port}"

    def connect(self, url, kind, binding="frame"):
        options = {"ssl": self.credentials.context(), "host": "127.0.0.1", "proxy": None, "max_size": None}
        sealing = self.sealing(kind) if isinstance(kind, str) else {"key": kind}
        return connect(url, **sealing, binding=binding, open_timeout=30, ping_interval=None, **options)

    async def heard_next(self):
        return await asyncio.wait_for(self.heard.get(), 30)


@pytest.fixture(scope="module")
def sealed(folder, credentials):
    world = Sealed(folder / "sealed", credentials)
    yield world
    world.proxy.stop()


async def python_talks(sealed, url, kind, binding, echoes=3):
    """Sends three messages, awaits so many echoes, closes: what came, how it ended, what was found."""
    received = []
    socket = await sealed.connect(url, kind, binding)
    try:
        for message in MESSAGES:
            await socket.send(message)
        while len(received) < echoes:
            received.append(await socket.recv())
        await socket.close(1000, "done")
        while True:
            received.append(await socket.recv())
    except ConnectionClosed as closed:
        return received, closed, socket.integrity_error


async def node_talks(sealed, url, kind, echoes=3, messages=MESSAGES):
    """The same with the JavaScript client."""
    task = {
        "client": str(CLIENTS / "js" / "src" / "index.js"),
        "folder": str(sealed.credentials.folder),
        **{"url": url, "sealing": sealed.json_sealing(kind), "messages": messages, "echoes": echoes},
    }
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    program = await asyncio.create_subprocess_exec("node", WORK / "sealed.mjs", **pipes)
    output, _ = await asyncio.wait_for(program.communicate(json.dumps(task).encode()), 60)
    return json.loads(output)


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("kind", ["none", *KINDS])
async def test_python_converses(sealed, kind, binding):
    async with sealed.backend():
        async with sealed.connect(sealed.url(), kind, binding) as socket:
            algorithm = "sha-256" if kind == "none" else "hmac-sha-256"
            assert (socket.integrity.algorithm, socket.integrity.binding) == (algorithm, binding)
            for message in ("", b"", "Grüße", os.urandom(300_000), "é" * 100_000):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(["in ", "three ", "pieces"])
            assert await socket.recv() == "in three pieces"
            await asyncio.wait_for(await socket.ping(), 10)
            await socket.close(4001, "enough")
            assert (socket.close_code, socket.close_reason) == (4001, "enough")
        messages, close, fields = await sealed.heard_next()
        assert (len(messages), close) == (6, (4001, "enough"))
        assert f"alg={algorithm}" in fields["Frame-Integrity"]
        assert f"binding={binding}" in fields["Frame-Integrity"]


@pytest.mark.parametrize("kind", ["none", *KINDS])
async def test_node_converses(sealed, kind):
    messages = ["", "Grüße", "é" * 100_000]
    async with sealed.backend():
        outcome = await node_talks(sealed, sealed.url(), kind, 3, messages)
        assert outcome["received"] == messages
        assert outcome["errors"] == []
        assert outcome["close"] == {"code": 1000, "reason": "done", "wasClean": True}
        assert (await sealed.heard_next())[:2] == (messages, (1000, "done"))


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tampering", DELIBERATE)
async def test_python_notices_every_change_by_hmac(sealed, tampering, kind, binding):
    at = 2 if binding == "message" else 1  # the nonce is the first message
    async with sealed.backend(), sealed.middle() as middle:
        url = f"{middle}/?tamper={tampering}&direction=s2c&at={at}"
        received, closed, found = await python_talks(sealed, url, kind, binding)
        assert received == before(tampering)
        assert closed.rcvd is None, "never a clean end"
        if tampering != "truncate":
            finding = "missing" if tampering in UNTAGGED else "mismatch"
            assert isinstance(found, IntegrityError)
            assert (closed.sent.code, closed.sent.reason) == (1008, f"frame-integrity: {finding}")
            assert (await sealed.heard_next())[1] == (1008, f"frame-integrity: {finding}")


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tampering", DELIBERATE)
async def test_tidegate_notices_every_change_by_hmac(sealed, tampering, kind, binding):
    async with sealed.backend(), sealed.middle() as middle:
        url = f"{middle}/?tamper={tampering}&direction=c2s"
        _, closed, _ = await python_talks(sealed, url, kind, binding)
        messages, close, _ = await sealed.heard_next()
        assert messages == before(tampering)
        if tampering == "truncate":
            assert (close[0], closed.rcvd) == (1006, None)
        else:
            finding = "missing" if tampering in UNTAGGED else "mismatch"
            assert close == (1008, f"frame-integrity: {finding}")
            assert (closed.rcvd.code, closed.rcvd.reason) == close, "the proxy's Close, verified"


@pytest.mark.parametrize("direction", ["c2s", "s2c"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tampering", DELIBERATE)
async def test_node_and_tidegate_notice_every_change_by_hmac(sealed, tampering, kind, direction):
    at = 2 if direction == "s2c" else 1
    async with sealed.backend(), sealed.middle() as middle:
        url = f"{middle}/?tamper={tampering}&direction={direction}&at={at}"
        outcome = await node_talks(sealed, url, kind)
        assert outcome["received"] == MESSAGES[: len(outcome["received"])]
        assert len(outcome["received"]) < len(MESSAGES)
        if tampering == "truncate":
            assert (outcome["close"]["code"], outcome["close"]["wasClean"]) == (1006, False)
            return
        reason = f"frame-integrity: {'missing' if tampering in UNTAGGED else 'mismatch'}"
        assert (outcome["close"]["code"], outcome["close"]["reason"]) == (1008, reason)
        if direction == "c2s":
            messages, close, _ = await sealed.heard_next()
            assert (messages, close) == (before(tampering), (1008, reason))
        else:
            assert outcome["errors"] == [f"IntegrityError: {reason}"]


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("direction", ["c2s", "s2c"])
@pytest.mark.parametrize("tampering", ACCIDENTAL)
async def test_accidents_are_noticed_by_sha_256(sealed, tampering, direction, binding):
    async with sealed.backend(), sealed.middle() as middle:
        url = f"{middle}/?tamper={tampering}&direction={direction}"
        received, closed, found = await python_talks(sealed, url, "none", binding)
        assert received == MESSAGES[: len(received)]
        assert len(received) < len(MESSAGES)
        assert isinstance(found, IntegrityError) if direction == "s2c" else closed.rcvd.code == 1008


@pytest.mark.parametrize("binding", BINDINGS)
@pytest.mark.parametrize("direction", ["c2s", "s2c"])
async def test_the_loss_of_the_last_message_is_noticed_at_the_close(sealed, direction, binding):
    last = 3 if (binding, direction) == ("message", "s2c") else 2
    async with sealed.backend(), sealed.middle() as middle:
        url = f"{middle}/?tamper=drop&direction={direction}&at={last}"
        received, closed, found = await python_talks(sealed, url, "secret", binding, echoes=2)
        assert received == MESSAGES[:2]
        assert isinstance(found, IntegrityError) if direction == "s2c" else closed.rcvd.code == 1008


async def rust_talks(sealed, url, folder, *arguments):
    """`tidegate connect` with one message; its exit code and output."""
    secret = folder / "secret.txt"
    secret.write_text(sealed.secret)
    secret.chmod(0o600)
    credentials = sealed.credentials
    command = [
        *(os.environ["TIDEGATE"], "connect", url, "--message", "hello", "--once"),
        *("--ca", credentials.chain("root")),
        *("--cert", credentials.chain("client"), "--key", credentials.key("client")),
        *("--integrity", "hmac-sha-256", "--kid", "secret-1", "--key-file", secret, *arguments),
    ]
    program = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = await asyncio.wait_for(program.communicate(), 60)
    return program.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize("options", [[], ["--channel-binding"]])
async def test_tidegate_connect_converses(sealed, folder, options):
    async with sealed.backend():
        code, output, errors = await rust_talks(sealed, sealed.url(), folder, *options)
        assert (code, output.strip()) == (0, "hello"), errors


async def test_with_a_channel_binding_the_mere_presence_of_a_middle_is_noticed(sealed, folder):
    async with sealed.backend(), sealed.middle() as middle:
        code, output, errors = await rust_talks(sealed, middle, folder)
        assert (code, output.strip()) == (0, "hello"), errors
        assert (await sealed.heard_next())[0] == ["hello"]
        code, output, errors = await rust_talks(sealed, middle, folder, "--channel-binding")
        assert (code, output) == (1, ""), errors
        assert "frame-integrity: mismatch" in errors
        messages, close, _ = await sealed.heard_next()
        assert (messages, close[0]) == ([], 1008)


async def test_a_client_without_an_offer_is_refused(sealed):
    async with sealed.backend():
        status = None
        try:
            await sealed.proxy.connect("/")
        except Exception as error:  # noqa: BLE001
            status = error.response.status_code
            problem = json.loads(error.response.body)
        assert status == 400
        assert "hmac-sha-256, sha-256" in problem["detail"]


async def test_a_revoked_key_ends_its_sockets_with_a_sealed_close(folder, credentials):
    world = Sealed(folder / "revoked", credentials)
    async with (
        world.backend(),
        world.connect(world.url(), "secret") as ending,
        world.connect(world.url(), "x25519") as other,
    ):
        keys(world.keyring, "revoke", "secret-1")
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(ending.recv(), 30)
        close = closed.value.rcvd
        assert (close.code, close.reason) == (1008, "frame-integrity: key revoked")
        await other.send("still there?")
        assert await other.recv() == "still there?"
    world.proxy.stop()


async def test_fifty_rotations_under_a_thousand_sockets_lose_none(folder, credentials):
    world = Sealed(folder / "rotated", credentials)
    sockets = []

    async def echoes(socket, message):
        await socket.send(message)
        assert await asyncio.wait_for(socket.recv(), 60) == message

    async def open_one(number, key):
        return await world.connect(world.url(), key, BINDINGS[number % 2])

    async with world.backend():
        for rotation in range(ROTATIONS):
            kid = f"key-{rotation}"
            printed = keys(world.keyring, "generate", kid, "--show")
            if rotation:
                keys(world.keyring, "retire", f"key-{rotation - 1}")
            status, answer = await asyncio.to_thread(world.proxy.ask, "POST", "/reload")
            assert status == 200, answer
            key = SharedKey(kid, re.search(r"^secret (\S+)$", printed, re.MULTILINE)[1])
            opening = [open_one(number, key) for number in range(SOCKETS_A_KEY)]
            sockets += await asyncio.gather(*opening)
            await echoes(sockets[0], f"after rotation {rotation}")
        assert len(sockets) == ROTATIONS * SOCKETS_A_KEY
        for socket in sockets:
            await echoes(socket, socket.integrity.kid)
        for rotation in range(ROTATIONS):
            used = world.proxy.metric("integrity_key_websockets_open", key=f"key-{rotation}")
            assert used == SOCKETS_A_KEY, rotation
        await asyncio.gather(*(socket.close() for socket in sockets))
        await eventually(
            lambda: world.proxy.metric("integrity_key_websockets_open") == 0, "no socket uses a key", 30
        )
    assert world.proxy.metric("integrity_units_total", result="mismatch") == 0
    world.proxy.stop()


def first_program(readme, language):
    text = (CLIENTS / readme).read_text()
    return re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)[1]


def node_modules():
    """The JavaScript client's own test dependencies; installed where they are missing."""
    folder = CLIENTS / "js"
    if not (folder / "node_modules" / "ws").is_dir():
        command = ["npm", "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, check=True)
    return folder


@pytest.mark.parametrize("client", ["python", "js"])
def test_a_client_keeps_its_own_promises(client):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if client == "js":
        node_modules()
        command = ["npm", "test", "--silent"]
    environment = {**os.environ, "PYTHONPATH": str(CLIENTS / "python" / "src"), "PYTHON": sys.executable}
    options = {"capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(command, cwd=CLIENTS / client, env=environment, **options)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]


@pytest.mark.parametrize("language", ["python", "js"])
async def test_the_first_program_of_a_client_runs_as_pasted(sealed, language):
    program = first_program(f"{language}/README.md", language)
    root = str(sealed.credentials.chain("root"))
    environment = {
        **os.environ,
        **{"TIDEGATE_URL": f"wss://localhost:{sealed.browser_port}/", "TIDEGATE_KID": "secret-1"},
        **{"TIDEGATE_SECRET": sealed.secret, "SSL_CERT_FILE": root, "NODE_EXTRA_CA_CERTS": root},
        "PYTHONPATH": str(CLIENTS / "python" / "src"),
    }
    command = [sys.executable, "-c", program]
    if language == "js":
        command = ["node", "--input-type=module", "--eval", program]
    async with sealed.backend():
        running = await asyncio.create_subprocess_exec(
            *command, cwd=node_modules(), env=environment, stdout=subprocess.PIPE
        )
        output, _ = await asyncio.wait_for(running.communicate(), 60)
        assert output == b"hello\n"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_page_in_chromium_converses_and_refuses_a_forged_message(sealed, kind):
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium, or name it by CHROMIUM")
    picture = WORK / f"page-{kind}.png"
    credentials, key = sealed.credentials, sealed.json_sealing(kind)["key"]
    command = [
        *("node", "test/browser/run.js", "--url", f"wss://localhost:{sealed.browser_port}/"),
        *("--ca", credentials.chain("root"), "--screenshot", picture, "--kid", key["kid"]),
        # Base64url may begin with a hyphen: only "--name=value" takes such a value for one.
        f"--secret={key['secret']}" if kind == "secret" else f"--public={key['publicKey']}",
    ]
    environment = {**os.environ, "CHROMIUM": chromium, "PYTHON": sys.executable}
    async with sealed.backend():
        running = await asyncio.create_subprocess_exec(
            *command, cwd=node_modules(), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await asyncio.wait_for(running.communicate(), 180)
        assert running.returncode == 0, output.decode()
        assert b"2 conversations as they should be" in output
    assert picture.stat().st_size > 10_000
