"""The credentials that `tidegate certs` makes, as OpenSSL, Python and Node judge them."""

import os
import ssl
import subprocess

import pytest

from harness import ONE_CERTIFICATE, WORK, Tidegate, connect, route


class Made:
    """A folder filled by `tidegate certs`."""

    def __init__(self, folder):
        self.folder = folder
        self.certs("init", "--dir", folder, "--host", "localhost")
        self.certs("issue", "client", "--dir", folder, "--name", "peer", "--out", folder / "peer")

    @staticmethod
    def certs(*arguments):
        done = subprocess.run([os.environ["TIDEGATE"], "certs", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def context(self):
        context = ssl.create_default_context(cafile=self.folder / "ca.pem")
        context.load_cert_chain(self.folder / "peer.pem", self.folder / "peer.key")
        return context


@pytest.fixture(scope="module")
def made(folder):
    return Made(folder / "certs")


@pytest.fixture(scope="module")
def tidegate(folder, made, python_backend):
    proxy = Tidegate(folder, made, route("/", python_backend[1]), ONE_CERTIFICATE)
    yield proxy
    proxy.stop()


@pytest.mark.parametrize("name, purpose", [("server", "sslserver"), ("peer", "sslclient")])
def test_openssl_verifies_them_strictly(made, name, purpose):
    trust = ["-x509_strict", "-CAfile", made.folder / "ca.pem", "-untrusted", made.folder / f"{name}.pem"]
    command = ["openssl", "verify", *trust, "-purpose", purpose, made.folder / f"{name}.pem"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_keys_are_for_their_owner_alone(made):
    for key in made.folder.glob("*.key"):
        assert key.stat().st_mode & 0o077 == 0, key


async def test_websockets_converses_with_them(tidegate, made):
    async with connect(
        f"wss://localhost:{tidegate.port}/echo", host="127.0.0.1", ssl=made.context()
    ) as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"


def test_node_converses_with_them(tidegate, made, folder):
    """client.mjs wants the names that certs.sh uses."""
    names = folder / "names"
    names.mkdir()
    for name, target in (("client.pem", "peer.pem"), ("client.key", "peer.key"), ("root.pem", "ca.pem")):
        (names / name).symlink_to(made.folder / target)
    command = ["node", WORK / "client.mjs", "plain", f"wss://localhost:{tidegate.port}", names]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_curl_gets_the_426_of_the_backend(tidegate, made):
    url = f"https://localhost:{tidegate.port}/echo"
    trust = [
        "--cacert",
        made.folder / "ca.pem",
        "--cert",
        made.folder / "peer.pem",
        "--key",
        made.folder / "peer.key",
    ]
    command = [
        "curl",
        "--silent",
        "--noproxy",
        "*",
        *trust,
        "--write-out",
        "%{http_code}",
        "--output",
        os.devnull,
        url,
    ]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "426"
