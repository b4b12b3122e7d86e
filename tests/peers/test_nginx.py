"""nginx and HAProxy as the backend, over TCP and over a Unix socket, with the Python echo behind them."""

import json
import os

import pytest

from harness import MIB, Process, Tidegate, free_port, route

NGINX = """
daemon off;
user root;
pid nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path temp;
  proxy_temp_path temp;
  fastcgi_temp_path temp;
  uwsgi_temp_path temp;
  scgi_temp_path temp;
  server {{
    listen 127.0.0.1:{port};
    listen unix:{folder}/nginx.sock;
    location / {{
      proxy_pass http://127.0.0.1:{echo};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $http_connection;
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""

HAPROXY = """
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen echo
  bind 127.0.0.1:{port}
  server echo 127.0.0.1:{echo}
"""


@pytest.fixture(scope="module")
def servers(folder, python_backend):
    nginx, haproxy = free_port(), free_port()
    (folder / "nginx.conf").write_text(NGINX.format(port=nginx, folder=folder, echo=python_backend[1]))
    (folder / "haproxy.cfg").write_text(HAPROXY.format(port=haproxy, echo=python_backend[1]))
    running = [
        Process(folder, "nginx", ["nginx", "-p", folder, "-c", "nginx.conf", "-e", "stderr"]).listens(nginx),
        Process(folder, "haproxy", ["haproxy", "-db", "-f", "haproxy.cfg"]).listens(haproxy),
    ]
    yield {"nginx": nginx, "haproxy": haproxy, "unix": folder / "nginx.sock"}
    for each in running:
        each.stop()


@pytest.fixture(scope="module")
def tidegate(folder, credentials, servers):
    unix = '\n[[route]]\npath = "/unix"\nbackend = "unix"\n[backend.unix]\nservers = ["unix:{}"]\n'
    routes = [
        route("/nginx", servers["nginx"]),
        route("/haproxy", servers["haproxy"]),
        unix.format(servers["unix"]),
    ]
    proxy = Tidegate(folder, credentials, "".join(routes))
    yield proxy
    proxy.stop()


@pytest.mark.parametrize("path", ["/nginx", "/haproxy", "/unix"])
async def test_messages_return_unchanged(tidegate, path):
    async with tidegate.connect(path) as socket:
        for message in ("", "é" * 40_000, os.urandom(MIB), os.urandom(3)):
            await socket.send(message)
            assert await socket.recv() == message


@pytest.fixture(scope="module")
def describing(folder, credentials, servers):
    proxy = Tidegate(folder / "describing", credentials, route("/", servers["nginx"]))
    yield proxy
    proxy.stop()


async def test_fields_arrive_behind_nginx(describing):
    async with describing.connect("/describe?a=b", additional_headers={"Cookie": "a=b"}) as socket:
        seen = json.loads(await socket.recv())
    fields = dict(seen["fields"])
    assert seen["path"] == "/describe?a=b"
    assert fields["cookie"] == "a=b"
    assert fields["host"] == f"localhost:{describing.port}"
    assert fields["client-cert"].startswith(":MII")
