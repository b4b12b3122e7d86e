
"use strict";
const element = (id) => document.getElementById(id);
let after = null;
let next = null;

function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = units.findIndex(([, size]) => seconds >= size);
  if (at < 0) return "0 s";
  const [name, size] = units[at];
  const text = `${Math.floor(seconds / size)} ${name}`;
  const below = units[at + 1];
  const rest = below ? Math.floor((seconds % size) / below[1]) : 0;
  return rest ? `${text} ${rest} ${below[0]}` : text;
}

function moment(unix) {
  return new Date(unix * 1000).toISOString().slice(0, 16).replace("T", " ") + " UTC";
}

function expiry(unix) {
  if (unix === null || unix === undefined) return ["–", "none"];
  const left = unix - Date.now() / 1000;
  const day = moment(unix);
  if (left < 0) return [`${day} (expired)`, "bad"];
  // The hour matters when it is near; until then the column is better narrow.
  const shown = left > 2 * 86400 ? day.slice(0, 10) : day;
  return [`${shown} (in ${duration(left)})`, left < 14 * 86400 ? "soon" : ""];
}

function cell(value) {
  const made = document.createElement("td");
  const [content, style] = Array.isArray(value) ? value : [value, ""];
  if (content instanceof Node) made.append(content);
  else made.textContent = content ?? "–";
  if (style) made.className = style;
  return made;
}

function fill(table, rows) {
  const body = element(table).tBodies[0];
  const made = rows.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells.map(cell));
    return row;
  });
  if (made.length === 0) {
    const row = document.createElement("tr");
    const only = cell(["None", "none"]);
    only.colSpan = element(table).tHead.rows[0].cells.length;
    row.append(only);
    made.push(row);
  }
  body.replaceChildren(...made);
}

function notice(text, bad) {
  const place = element("notice");
  place.textContent = text;
  place.className = bad ? "bad" : "";
  place.hidden = false;
}

function showStatus(status) {
  const open = status.listeners.reduce((sum, listener) => sum + listener.open, 0);
  element("summary").textContent =
    `${status.version} · ${status.state} · up ${duration(status.uptime_seconds)} · generation ${status.generation} · ${open} open · pid ${status.pid}`;
  const draining = status.state === "draining";
  element("drain").disabled = draining;
  element("drain").textContent = draining ? "Draining" : "Drain…";
  showLastReload(status);
  fill("listeners", status.listeners.map((l) => [l.name, l.address, [l.open, "number"]]));
  fill("routes", status.routes.map((r) => [r.name, r.hosts.join(", ") || "any", r.path, r.backend, [r.open, "number"]]));
  fill("backends", status.backends.flatMap((b) => b.servers.map((s) =>
    [b.name, s.address, [s.open, "number"], serverState(s)])));
  fill("certificates", status.certificates.map((c) => [c.kind.replace("_", " "), [c.name, "wide"], expiry(c.expires)]));
}

/** Whether a server is up, since when, and by what that is known. */
function serverState(s) {
  if (s.state === "never_tried") return ["never tried", "none"];
  const now = Date.now() / 1000;
  const how = s.known_by === "probe" ? "probed" : s.up ? "connected" : "tried";
  const shown = `${s.state} for ${duration(now - s.since)}, ${how} ${duration(now - s.checked)} ago`;
  return s.up ? [shown, "good"] : [`${shown}: ${s.error}`, "bad wide"];
}

const TRIGGERS = { file: "a file changed", signal: "HUP", admin: "an operator asked" };

/** The band that stays while the last attempt has failed. */
function showLastReload({ last_reload: last, generation }) {
  const band = element("failed");
  band.hidden = last.result !== "failed";
  // A change of it is read out: it changes only when there is something new.
  const shown = JSON.stringify(last);
  if (band.dataset.shown === shown) return;
  band.dataset.shown = shown;
  const trigger = TRIGGERS[last.trigger] ?? last.trigger;
  element("failed-title").textContent =
    `Reload failed on ${moment(last.at)} (${trigger}); generation ${generation} stays in use`;
  const items = [...last.problems, ...last.warnings].map(item);
  if (last.omitted) items.push(text("li", `and ${last.omitted} more, which \`tidegate check\` prints`));
  element("problems").replaceChildren(...items);
}

function item(problem) {
  const made = text("li", [problem.place, problem.severity, problem.message].filter(Boolean).join(": "));
  if (problem.hint) made.append(text("span", problem.hint));
  return made;
}

function text(tag, content) {
  const made = document.createElement(tag);
  made.textContent = content;
  return made;
}

function closer(id) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "danger";
  button.textContent = "Close";
  button.dataset.id = id;
  button.setAttribute("aria-label", `Close connection ${id}`);
  button.addEventListener("click", () => act("DELETE", `/connections/${encodeURIComponent(id)}`, () => `Connection ${id} is being closed.`));
  return button;
}

/** Algorithm and binding, and the key that the tags depend on. */
function sealing(c) {
  return [c.integrity, c.integrity_key].filter(Boolean).join(" ") || null;
}

function showConnections(page) {
  const now = Date.now() / 1000;
  next = page.next;
  element("total").textContent = `(${page.total})`;
  element("first").disabled = after === null;
  element("next").disabled = next === null;
  const focused = document.activeElement?.dataset?.id;
  fill("connections", page.connections.map((c) => [
    c.id, c.peer, [c.identity, "wide"], c.route, sealing(c),
    [duration(now - c.opened), "number"], [duration(c.idle_seconds), "number"],
    expiry(c.certificate_expires), closer(c.id),
  ]));
  // New rows must not take the focus away from the keyboard.
  if (focused) element("connections").querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
}

async function ask(path) {
  const response = await fetch(path, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function refresh() {
  try {
    const query = after === null ? "" : `&after=${encodeURIComponent(after)}`;
    const [status, page] = await Promise.all([ask("/status"), ask(`/connections?limit=50${query}`)]);
    showStatus(status);
    showConnections(page);
  } catch (error) {
    element("summary").textContent = `The proxy does not answer (${error.message}).`;
  }
}

const line = (problem) => [problem.place, problem.severity, problem.message, problem.hint].filter(Boolean).join(" · ");

function told(document) {
  const problems = (document.problems ?? []).map(line);
  return [document.detail ?? document.title, ...problems].join("\n");
}

function report(answer) {
  const changes = answer.changes.map((c) => `${c.change} ${c.what} ${c.name}`);
  const touched = answer.touched.map((t) => `${t.connections.length} sockets end: ${t.reason}`);
  const head = answer.result === "unchanged" ? "Nothing has changed." : answer.preview ? "A reload would do this:" : `Loaded; generation ${answer.generation}.`;
  return [head, ...changes, ...touched, ...answer.warnings.map(line)].join("\n");
}

async function act(method, path, say) {
  const token = element("token").value;
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  try {
    const response = await fetch(path, { method, headers });
    const answer = await response.json();
    if (response.ok) notice(say(answer), false);
    else notice(told(answer), true);
    if (response.status === 401) element("remote").open = true;
  } catch (error) {
    notice(`The proxy does not answer (${error.message}).`, true);
  }
  await refresh();
}

element("reload").addEventListener("click", () => act("POST", "/reload", report));
element("preview").addEventListener("click", () => act("POST", "/reload?preview", report));
element("drain").addEventListener("click", () => {
  if (confirm("End every connection and stop the proxy?")) act("POST", "/drain", () => "The proxy is draining.");
});
element("first").addEventListener("click", () => { after = null; refresh(); });
element("next").addEventListener("click", () => { after = next; refresh(); });
setInterval(() => { if (!document.hidden) refresh(); }, 3000);
refresh();
