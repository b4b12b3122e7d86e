"""What stands before an application and ends TLS: tidegate, or nginx to compare it with."""

import os
import shutil
import subprocess

import pytest

from harness import TEMPLATE, WORK, Process, Tidegate, free_port

TIDEGATE = (
    TEMPLATE[: TEMPLATE.index("[tls.clients]")]
    + """
[tls.clients]
mode = "off"

"""
    + TEMPLATE[TEMPLATE.index("[admin]") :]
)

ROUTE = """
[[route]]
path = "/"
backend = "application"

[backend.application]
servers = [{servers}]
{more}
"""

# As the documents of these applications configure it, in one.
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
  client_max_body_size 0;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream application {{ {sticky}{servers} }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certs}/server-ecdsa.pem;
    ssl_certificate_key {certs}/server-ecdsa.key;
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 5m;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }}
  }}
}}
"""


class Front:
    """A proxy before one application, or several alike of which each client has its own."""

    def __init__(self, process, port, credentials):
        self.process, self.credentials = process, credentials
        self.https, self.wss = f"https://localhost:{port}", f"wss://localhost:{port}"
        self.port = port

    @property
    def context(self):
        return self.credentials.context(None)

    def node(self, script, *arguments, seconds=60):
        """Runs one of applications/*.mjs, which trusts this proxy's CA."""
        command = ["node", WORK / "applications" / script, *arguments]
        return self.run(command, seconds, NODE_EXTRA_CA_CERTS=self.credentials.chain("root"))

    def run(self, command, seconds=60, **environment):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env={**os.environ, **environment}
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.process.tail()}"
        return done.stdout

    def browse(self, path, expression, seconds=60):
        """What a page in Chromium resolves an expression to."""
        if not (os.environ.get("CHROMIUM") or shutil.which("chromium")):
            pytest.skip("chromium is not installed: apt-get install chromium, or name it by CHROMIUM")
        return self.node("browse.mjs", f"{self.https}{path}", expression, seconds=seconds).strip()


def tidegate(folder, credentials, ports):
    servers = ", ".join(f'"http://127.0.0.1:{port}"' for port in ports)
    more = 'balance = "hash"\nhash_on = "ip"' if len(ports) > 1 else ""
    proxy = Tidegate(folder, credentials, ROUTE.format(servers=servers, more=more), TIDEGATE)
    return Front(proxy, proxy.port, credentials)


def nginx(folder, credentials, ports):
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    servers = "".join(f"server 127.0.0.1:{each}; " for each in ports)
    sticky = "ip_hash; " if len(ports) > 1 else ""
    text = NGINX.format(port=port, certs=credentials.folder, servers=servers, sticky=sticky)
    (folder / "nginx.conf").write_text(text)
    process = Process(folder, "nginx", ["nginx", "-p", folder, "-c", "nginx.conf", "-e", "stderr"])
    return Front(process.listens(port), port, credentials)


FRONTS = {"tidegate": tidegate, "nginx": nginx}
