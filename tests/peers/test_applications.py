"""Applications set up by their own documents, each with its real client, behind tidegate and behind nginx."""

import asyncio
import email.utils
import hashlib
import json
import os
import re
import shutil
import sys
import time

import httpx
import paho.mqtt.client
import pytest

import harness
from fronts import FRONTS
from harness import MIB, WORK, Process, free_port, wait_until

APPLICATIONS = WORK / "applications"


@pytest.fixture(scope="module")
def start(folder):
    """Starts an application of this name, once, at the PORT of its command. Returns that port."""
    running = {}

    def start(name, *command, seconds=30):
        if name not in running:
            port = free_port()
            command = [re.sub(r"\bPORT\b", str(port), str(part)) for part in command]
            running[name] = Process(folder, name, command), port
            running[name][0].listens(port, seconds)
        return running[name][1]

    yield start
    for process, _ in running.values():
        process.stop()


@pytest.fixture(scope="module")
def node(start):
    """Starts an application of applications/servers.mjs."""

    def node(name, *more, number=1):
        return start(f"{name}-{number}", "node", APPLICATIONS / "servers.mjs", name, "PORT", *more)

    return node


@pytest.fixture(scope="module", params=FRONTS)
def behind(request, folder, credentials):
    """Puts a proxy in front of an application, or of several alike; `ports` are theirs."""
    running = {}

    def behind(*ports):
        if ports not in running:
            place = folder / f"{request.param}-{ports[0]}-{len(ports)}"
            running[ports] = FRONTS[request.param](place, credentials, ports)
        return running[ports]

    yield behind
    for front in running.values():
        front.process.stop()


@pytest.mark.parametrize(
    "transports", [[], ["polling"], ["websocket"]], ids=["default", "polling", "websocket"]
)
def test_socketio(node, behind, transports):
    front = behind(node("socketio"))
    front.node("clients.mjs", "socketio", front.https, *transports)


@pytest.mark.parametrize("transports", [[], ["polling"]], ids=["default", "polling"])
def test_socketio_with_two_sticky_servers(node, behind, transports):
    front = behind(node("socketio"), node("socketio", number=2))
    front.node("clients.mjs", "sticky", front.https, *transports)


@pytest.mark.parametrize("transport", ["websocket", "xhr-streaming", "xhr-polling"])
def test_sockjs(node, behind, transport):
    front = behind(node("sockjs"))
    front.node("clients.mjs", "sockjs", front.https, transport)


@pytest.mark.parametrize("transport", ["WebSockets", "ServerSentEvents", "LongPolling"])
def test_signalr(node, behind, transport):
    front = behind(node("signalr"))
    front.node("clients.mjs", "signalr", front.https, transport)


@pytest.mark.parametrize("name", ["graphql", "yjs"])
def test_node_application(node, behind, name):
    front = behind(node(name))
    front.node("clients.mjs", name, front.https)


def test_mqtt(node, behind):
    front = behind(node("mqtt"))
    front.node("clients.mjs", "mqtt", front.https)
    converse_with_paho(front)


def converse_with_paho(front):
    arrived = []
    client = paho.mqtt.client.Client(paho.mqtt.client.CallbackAPIVersion.VERSION2, transport="websockets")
    client.tls_set_context(front.context)
    client.on_connect = lambda *_: client.subscribe("paho/+", qos=1)
    client.on_subscribe = lambda *_: client.publish("paho/one", b"x" * 100_000, qos=1)
    client.on_message = lambda _client, _data, message: arrived.append(message.payload)
    client.connect("localhost", front.port, keepalive=10)
    client.loop_start()
    assert wait_until(lambda: arrived, "the message comes back") == [b"x" * 100_000]
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def fastapi(start, behind):
    command = [sys.executable, "-m", "uvicorn", "--app-dir", APPLICATIONS, "--port", "PORT"]
    return behind(start("fastapi", *command, "fastapi_application:app"))


def browser(front):
    return httpx.Client(base_url=front.https, verify=front.context, trust_env=False, timeout=60)


def test_fastapi_pages_and_redirects(fastapi):
    with browser(fastapi) as client:
        assert client.get("/").text == "<h1>FastAPI</h1>"
        assert client.get("/docs").status_code == 200
        answer = client.get("/login")
        assert answer.status_code == 307 and len(answer.headers.get_list("set-cookie")) == 2
        seen = client.get("/items", follow_redirects=True).json()
        assert seen["url"] == f"{fastapi.https}/items/"
        assert (seen["cookies"], seen["client"]) == ({"session": "one", "theme": "dark"}, "127.0.0.1")
        assert client.delete("/items/one").status_code == 204
        assert client.get("/nothing").status_code == 404
        assert client.post("/upload").status_code == 422


def test_fastapi_files_by_head_range_and_condition(fastapi):
    path = "/static/fastapi_application.py"
    with browser(fastapi) as client:
        whole = client.get(path)
        head = client.head(path)
        assert head.content == b"" and head.headers["content-length"] == str(len(whole.content))
        part = client.get(path, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, whole.content[10:20])
        for field, value in [("If-None-Match", whole.headers["etag"]), ("If-Modified-Since", now())]:
            unchanged = client.get(path, headers={field: value})
            assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert client.get(path).content == whole.content


def now():
    return email.utils.formatdate(usegmt=True)


def test_fastapi_moves_large_files(fastapi):
    content = os.urandom(8 * MIB)
    with browser(fastapi) as client:
        told = client.post("/upload", files={"file": ("a.bin", content)}).json()
        assert told == {"name": "a.bin", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        told = client.put("/stream", content=(content[:MIB] for _ in range(32))).json()
        assert told == {"size": 32 * MIB, "chunked": True}
        with client.stream("GET", "/download", params={"mib": 100}) as answer:
            assert sum(map(len, answer.iter_bytes())) == 100 * MIB


def test_fastapi_sends_events_as_they_come(fastapi):
    times = []
    with browser(fastapi) as client, client.stream("GET", "/events") as answer:
        for line in answer.iter_lines():
            if line:
                times.append(time.monotonic())
    assert len(times) == 5
    assert times[-1] - times[0] > 0.6, "they came all at once"


async def test_fastapi_serves_many_at_once(fastapi):
    limits = httpx.Limits(max_connections=50, max_keepalive_connections=50)
    client = httpx.AsyncClient(
        base_url=fastapi.https, verify=fastapi.context, limits=limits, trust_env=False, timeout=60
    )
    async with client:
        for _ in range(3):
            answers = await asyncio.gather(*(client.get("/poll?seconds=0.2") for _ in range(50)))
            assert {answer.status_code for answer in answers} == {200}


async def test_fastapi_socket(fastapi):
    async with harness.connect(f"{fastapi.wss}/ws", ssl=fastapi.context) as socket:
        for message in ("", "hello", "é" * MIB):
            await socket.send(message)
            assert await socket.recv() == message


def test_django_channels_with_its_checks_of_origins(start, behind):
    daphne = ["-m", "daphne", "--bind", "127.0.0.1", "--port", "PORT", "--proxy-headers"]
    command = ["env", f"PYTHONPATH={APPLICATIONS}", sys.executable, *daphne]
    front = behind(start("django", *command, "django_application:application"))
    with browser(front) as client:
        told = client.get("/form/").json()
        assert told["url"] == f"{front.https}/form/"
        assert client.get("/form").headers["location"] == "/form/"
        own, strange = {"Origin": front.https}, {"Origin": "https://evil.example"}
        form = {"name": "Alice", "csrfmiddlewaretoken": told["token"]}
        assert client.post("/form/", data=form, headers=strange).status_code == 403
        assert client.post("/form/", headers=own).status_code == 403
        assert client.post("/form/", data=form, headers=own).status_code == 200
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    asyncio.run(converse_in_room(front, cookies))


async def converse_in_room(front, cookies):
    url, options = f"{front.wss}/room/", {"ssl": front.context, "additional_headers": {"Cookie": cookies}}
    async with harness.connect(url, origin=front.https, **options) as socket:
        assert json.loads(await socket.recv()) == {"name": "Alice"}
        await socket.send('{"a": [1]}')
        assert json.loads(await socket.recv()) == {"a": [1]}
    with pytest.raises(harness.websockets.exceptions.InvalidStatus) as refused:
        await harness.connect(url, origin="https://evil.example", **options)
    assert refused.value.response.status_code == 403


def test_vite_replaces_a_module_in_an_open_page(node, behind, folder):
    root = folder / "vite"
    shutil.copytree(APPLICATIONS / "vite", root, dirs_exist_ok=True)
    front = behind(node("vite", root))
    # Vite tells of a new file once or twice.
    before, after, *_ = front.browse("/", when("shown.length > 1", "shown")).split(",")
    assert before != after and after.startswith("edited")


def when(condition, value):
    """The text of a value in a page, once a condition is true there."""
    look = f"try {{ if ({condition}) done(String({value})) }} catch {{}}"
    return f"new Promise((done) => setInterval(() => {{ {look} }}, 50))"


@pytest.fixture
def full(pytestconfig):
    if not pytestconfig.getoption("--full"):
        pytest.skip("it takes large packages: only with --full")


def test_fastapi_answers_a_poll_of_35_seconds(full, fastapi):
    with browser(fastapi) as client:
        assert client.get("/poll?seconds=35").json() == {"waited": 35}


def test_jupyter_runs_a_cell_and_a_terminal(full, start, behind):
    options = ["--no-browser", "--allow-root", "--port", "PORT", "--IdentityProvider.token=secret"]
    front = behind(start("jupyter", sys.executable, "-m", "jupyter_server", *options))
    with browser(front) as client:
        assert client.get("/api/kernels").status_code == 403
        token = re.search(r'name="_xsrf" value="([^"]+)"', client.get("/login").text)[1]
        assert client.post("/login", data={"password": "secret", "_xsrf": token}).status_code == 302
        # The cookie alone: a script of the page brings its token in a field.
        client.headers.update({"X-XSRFToken": client.cookies["_xsrf"], "Origin": front.https})
        kernel = client.post("/api/kernels", json={"name": "python3"}).json()["id"]
        terminal = client.post("/api/terminals").json()["name"]
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        options = {"ssl": front.context, "additional_headers": {"Cookie": cookies}, "origin": front.https}
        asyncio.run(run_cell(f"{front.wss}/api/kernels/{kernel}/channels", options))
        asyncio.run(run_command(f"{front.wss}/terminals/websocket/{terminal}", options))
        assert client.delete(f"/api/kernels/{kernel}").status_code == 204
        assert client.delete(f"/api/terminals/{terminal}").status_code == 204


async def run_cell(url, options):
    request = {
        "header": {
            "msg_id": "1",
            "session": "1",
            "username": "",
            "msg_type": "execute_request",
            "version": "5.3",
        },
        "parent_header": {},
        "metadata": {},
        "content": {"code": "print(6 * 7)", "silent": False, "allow_stdin": False},
        "channel": "shell",
    }
    async with harness.connect(url, **options) as socket, asyncio.timeout(60):
        await socket.send(json.dumps(request))
        while (message := json.loads(await socket.recv()))["header"]["msg_type"] != "stream":
            pass
    assert message["content"]["text"] == "42\n"


async def run_command(url, options):
    seen = ""
    async with harness.connect(url, **options) as socket, asyncio.timeout(60):
        await socket.send(json.dumps(["stdin", "echo $((6 * 7))\r"]))
        while "42" not in seen:
            kind, *rest = json.loads(await socket.recv())
            seen += rest[0] if kind == "stdout" else ""


def test_streamlit_in_chromium(full, start, behind):
    options = ["--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.port", "PORT"]
    command = [sys.executable, "-m", "streamlit", "run", APPLICATIONS / "streamlit_application.py"]
    front = behind(start("streamlit", *command, *options, seconds=60))
    press = "document.querySelector('[data-testid=stButton] button').click()"
    pressed = "document.body.innerText.includes('It was pressed')"
    shown = front.browse("/", when(f"{pressed} || {press}", "document.querySelector('h1').innerText"))
    assert shown == "Streamlit's page"


def test_gradio_by_its_client_and_in_chromium(full, start, behind):
    application = start("gradio", sys.executable, APPLICATIONS / "gradio_application.py", "PORT", seconds=120)
    front = behind(application)
    root = str(front.credentials.chain("root"))
    called = front.run([sys.executable, APPLICATIONS / "gradio_caller.py", front.https], SSL_CERT_FILE=root)
    assert called == "True\n4 ['0', '1', '2', '3', '4']\n"
    buttons = "[...document.querySelectorAll('button')].map((it) => it.innerText)"
    shown = front.browse("/", when(f"{buttons}.includes('Reverse')", "document.title"))
    assert shown == "Gradio's page"


def test_novnc_in_chromium_by_websockify(full, start, behind, folder):
    vnc = start("vnc", sys.executable, APPLICATIONS / "vnc_server.py", "PORT")
    page = folder / "novnc"
    for part in (WORK / "node_modules" / "@novnc" / "novnc", APPLICATIONS / "novnc"):
        shutil.copytree(part, page, dirs_exist_ok=True)
    command = ["websockify", "--web", page, "127.0.0.1:PORT", f"127.0.0.1:{vnc}"]
    front = behind(start("websockify", *command))
    assert front.browse("/", when("connected && colour() == '255,0,0,255'", "colour()")) == "255,0,0,255"
    wait_until(lambda: "key 97 1\nkey 97 0\n" in (folder / "vnc.log").read_text(), "the key is told")


RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def test_stomp_by_rabbitmq(full, start, behind, folder):
    if not os.path.exists(RABBITMQ):
        pytest.skip("rabbitmq-server is not installed: `.ci/run --full` installs it")
    names = start("epmd", "epmd", "-address", "127.0.0.1", "-port", "PORT")
    home = folder / "rabbitmq-home"
    home.mkdir(exist_ok=True)
    (home / "enabled_plugins").write_text("[rabbitmq_web_stomp].")
    settings = {
        "HOME": home,
        "ERL_EPMD_PORT": names,
        "RABBITMQ_NODENAME": "peers@localhost",
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_MNESIA_BASE": home,
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": home / "none",
        "RABBITMQ_ENABLED_PLUGINS_FILE": home / "enabled_plugins",
        # Nothing is to start a daemon of its own.
        "ERL_AFLAGS": "-start_epmd false",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-rabbit tcp_listeners [] -rabbitmq_stomp tcp_listeners [] "
        "-rabbitmq_web_stomp tcp_config [{ip,{127,0,0,1}},{port,PORT}]",
    }
    fields = [f"{name}={value}" for name, value in settings.items()]
    front = behind(start("rabbitmq", "env", *fields, RABBITMQ, seconds=60))
    front.node("clients.mjs", "stomp", front.https)
