// The page: what is shown, what a key does, where a vote goes.

import { Away, Outbox, Refused, Server, newGroup } from "./server.js";
import { extent, paint } from "./draw.js";
import { banner, cell, element, get, markCell, options, press, showFacts } from "./view.js";

const ZOOMS = [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5, 6, 8, 10, 12];
const ANSWERS = { r: "real", b: "bogus", u: "unsure" };
const BLINK = 500; // milliseconds an image: slow enough for everyone

const state = {
  session: null, start: 0, target: 0, items: [], sheet: null, ready: false, turn: 0, cursor: 0, since: 0, shown: new Map(),
  single: false, planes: [], panel: -1, blink: -1, north: false, ticks: true, stretch: "asinh",
  zoom: { grid: 0, single: 0 }, history: [], local: new Map(), ahead: null, note: "",
};
let server, outbox;

// ---- beginning ------------------------------------------------------------------------------------------------

/** The link's token and name go from the address to this tab's memory: nobody reads them over a shoulder. */
function credentials() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of ["token", "vetter"]) {
    if (given.has(name)) { sessionStorage.setItem(`realbogus/${name}`, given.get(name)); }
  }
  if (given.has("token")) {
    if (!given.has("vetter")) { sessionStorage.removeItem("realbogus/vetter"); }
    history.replaceState(null, "", location.pathname);
  }
  return [sessionStorage.getItem("realbogus/token"), sessionStorage.getItem("realbogus/vetter")];
}

async function begin() {
  const [token, vetter] = credentials();
  if (!token) { banner("Open the link that `realbogus vet` printed: this address alone opens nothing."); return; }
  if (!vetter) { askName(""); return; }
  server = new Server(token, vetter);
  try {
    let session = await patiently(() => server.json("/api/session", orderWish(vetter)));
    outbox = new Outbox(server, session.salt, vetter, mail, refused);
    if (outbox.size) { // of before a reload
      await outbox.flush();
      session = await patiently(() => server.json("/api/session", orderWish(vetter)));
    }
    open(session);
  } catch (error) {
    if (!(error instanceof Refused)) { throw error; }
    if (error.status === 401) { banner(`${error.message}.`); } else { askName(error.message); }
  }
}

function orderWish(vetter) {
  const order = sessionStorage.getItem(`realbogus/order/${vetter}`);
  return order ? { order } : {};
}

function askName(wrong) {
  get("name-wrong").textContent = wrong;
  get("name").value = localStorage.getItem("realbogus/name") ?? "";
  get("start").showModal();
}

get("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = get("name").value.trim();
  if (!name) { return; }
  localStorage.setItem("realbogus/name", name);
  sessionStorage.setItem("realbogus/vetter", name);
  get("start").close();
  begin();
});
get("start").addEventListener("cancel", (event) => event.preventDefault());
window.addEventListener("hashchange", () => location.reload()); // another link in this tab

/** Ask again and again while the server is away. */
async function patiently(question, wanted = () => true) {
  for (let pause = 250; ; pause = Math.min(2 * pause, 3000)) {
    try {
      const answer = await question();
      if (outbox?.away) { outbox.away = null; mail(); }
      return answer;
    } catch (error) {
      if (!(error instanceof Away) || !wanted()) { throw error; }
      if (outbox) { outbox.away = error.message; mail(); } else { banner(error.message); }
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}

function open(session) {
  banner("");
  Object.assign(state, { session, history: session.history, done: session.done });
  const liked = JSON.parse(localStorage.getItem("realbogus/view") ?? "{}");
  for (const name of ["stretch", "panel", "north", "ticks"]) { state[name] = liked[name] ?? state[name]; }
  if (!session.stretches.includes(state.stretch)) { state.stretch = "asinh"; }
  const usual = ["science", "reference", "difference"];
  const rank = (name) => (usual.indexOf(name) + usual.length + 1) % (usual.length + 1); // others last
  state.planes = session.channels.map((name, column) => ({ name, column }))
    .sort((a, b) => (usual.includes(a.name) ? rank(a.name) : 9) - (usual.includes(b.name) ? rank(b.name) : 9));
  if (state.panel >= state.planes.length) { state.panel = -1; }
  document.body.dataset.open = "yes";
  document.title = `${session.set} · vetting`;
  get("set").textContent = session.set;
  get("vetter").textContent = session.vetter;
  options(get("order"), session.orders, session.order);
  options(get("stretch"), session.stretches, state.stretch);
  const buttons = state.planes.map((plane, i) => ["panel", i, `${i + 1}`, plane.name]);
  get("planes").replaceChildren(...(buttons.length > 1 ? [["panel", -1, "0", "all"], ...buttons] : []).map(([, i, key, name]) => {
    const button = element("button", "", { type: "button" });
    button.dataset.do = `panel${i}`;
    button.append(element("kbd", key), ` ${name}`);
    return button;
  }));
  document.querySelectorAll('[data-do="blink"]').forEach((button) => { button.hidden = state.planes.length < 2; });
  document.querySelectorAll('[data-do="north"]').forEach((button) => { button.hidden = !session.north; });
  const place = Number(sessionStorage.getItem(placeName()) ?? session.resume);
  mail();
  goTo(Math.min(place, session.count - 1));
}

const placeName = () => `realbogus/place/${state.session.salt}/${state.session.vetter}/${state.session.order}`;

// ---- pages ----------------------------------------------------------------------------------------------------

/** Show the stamp at a place of the queue, and the page that it is on. */
function goTo(index) {
  const size = state.session.page, start = Math.floor(index / size) * size;
  if (state.ready && start === state.start) { setCursor(index - start); return Promise.resolve(); }
  return openPage(start, index - start);
}

async function openPage(start, cursor) {
  const turn = ++state.turn, mine = () => turn === state.turn;
  state.target = start;
  setReady(false);
  try {
    const ahead = state.ahead?.start === start ? state.ahead : null;
    state.ahead = null;
    const page = (await ahead?.page) ?? (await patiently(() => askPage(start), mine));
    if (!mine()) { return; }
    const items = page.items.map((item) => (state.local.has(item.show) ? { ...item, ...state.local.get(item.show) } : item));
    const sheet = await patiently(() => picture(items), mine);
    if (!mine()) { return; }
    Object.assign(state, { start, items, sheet, cursor: Math.min(cursor, items.length - 1) });
    build();
    setReady(true);
    lookAhead(start + state.session.page);
  } catch (error) {
    if (mine() && !(error instanceof Away)) { banner(error.message); }
  }
}

const askPage = (start) => server.json("/api/page", { start, order: state.session.order });

/** The picture of some stamps; the last few are kept. */
async function picture(items) {
  const rows = items.map((item) => item.row), name = `${state.stretch} ${rows}`;
  const found = state.shown.get(name) ?? (await server.picture(rows, state.stretch));
  state.shown.delete(name);
  state.shown.set(name, found);
  if (state.shown.size > 8) { state.shown.delete(state.shown.keys().next().value); }
  return found;
}

/** Ask for the next page while this one is looked at; a failure shows when it is wanted. */
function lookAhead(start) {
  if (start >= state.session.count) { return; }
  const page = askPage(start).then(async (found) => { await picture(found.items); return found; }).catch(() => null);
  state.ahead = { start, page };
}

function setReady(ready) {
  state.ready = ready;
  document.body.dataset.page = ready ? String(state.start) : "";
  restart();
}

/** The time that a vote took runs from here; not while the page is hidden. */
function restart() { state.since = document.hidden ? NaN : performance.now(); }
document.addEventListener("visibilitychange", () => { state.since = NaN; });

// ---- showing --------------------------------------------------------------------------------------------------

function build() {
  get("grid").replaceChildren(...state.items.map((item, i) => {
    const made = cell(item, state.start + i + 1);
    made.id = `cell${i}`;
    made.addEventListener("click", () => setCursor(i));
    made.addEventListener("dblclick", () => { setCursor(i); setSingle(true); });
    return made;
  }));
  draw();
  setCursor(state.cursor);
}

/** Columns of the sheet that are visible now, in order. */
function visible() {
  if (state.blink >= 0) { return [state.planes[state.blink].column]; }
  return state.panel >= 0 ? [state.planes[state.panel].column] : state.planes.map((plane) => plane.column);
}

function gridZoom(count) {
  if (state.zoom.grid) { return state.zoom.grid; }
  const room = document.querySelector("main"), wide = room.clientWidth - 22, high = room.clientHeight - 16;
  const fits = ZOOMS.filter((zoom) => {
    const [width, height] = extent(state.session.size, zoom, count);
    const columns = Math.floor((wide + 6) / (width + 12));
    return columns > 0 && Math.ceil(state.items.length / columns) * (height + 32) - 6 <= high;
  });
  return Math.max(fits.at(-1) ?? 1, 1);
}

function singleZoom(count) {
  if (state.zoom.single) { return state.zoom.single; }
  const room = document.querySelector("main"), beside = get("single").querySelector("aside").offsetWidth + 50;
  const most = Math.min((room.clientWidth - beside) / count, room.clientHeight - 46) / state.session.size;
  return Math.max(Math.floor(2 * most) / 2, 1);
}

function draw() {
  if (!state.items.length) { return; }
  const planes = visible(), size = state.session.size;
  const zoom = state.single ? singleZoom(planes.length) : gridZoom(planes.length);
  const turned = (item) => state.north && item.north !== null;
  const of = (item, row) => ({
    sheet: state.sheet, row, planes, size, zoom, ticks: state.ticks, turn: turned(item) ? item : null,
  });
  if (state.single) {
    const item = state.items[state.cursor];
    const rose = item.north === null ? null : turned(item) ? { north: 0, parity: 1 } : item;
    paint(get("canvas"), { ...of(item, state.cursor), compass: rose });
    get("names").replaceChildren(...planes.map((column) => {
      const name = element("span", state.session.channels[column]);
      name.style.width = `${size * zoom}px`;
      return name;
    }));
  } else {
    const cells = get("grid").children;
    state.items.forEach((item, i) => paint(cells[i].querySelector("canvas"), of(item, i)));
  }
  get("zoom").textContent = `${zoom}×`;
  press("north", state.north);
  press("blink", state.blink >= 0);
  press("single", state.single);
  [-1, ...state.planes.keys()].forEach((i) => press(`panel${i}`, state.blink >= 0 ? i === state.blink : i === state.panel));
}

function setCursor(cursor) {
  const cells = get("grid").children;
  state.cursor = cursor;
  for (const [i, made] of [...cells].entries()) { made.setAttribute("aria-selected", String(i === cursor)); }
  get("grid").setAttribute("aria-activedescendant", `cell${cursor}`);
  if (state.single) { draw(); } else { cells[cursor]?.scrollIntoView({ block: "nearest" }); }
  sessionStorage.setItem(placeName(), String(state.start + cursor));
  told();
  restart();
}

/** Say where we are, and what is known of the stamp under the cursor. */
function told() {
  const { session, start, cursor } = state;
  get("place").textContent = `${start + cursor + 1} of ${session.count} · page ${Math.floor(start / session.page) + 1} of ${Math.ceil(session.count / session.page)}`;
  get("done").textContent = `${state.done} of ${session.count} judged`;
  get("bar").value = state.done / session.count;
  showFacts(state.items[cursor], state.north);
}

function setSingle(single) {
  state.single = single;
  get("single").hidden = !single;
  get("grid").hidden = single;
  draw();
  setCursor(state.cursor);
}

// ---- votes ----------------------------------------------------------------------------------------------------

function vote(answer, whole = false) {
  if (!state.ready) { return; } // nobody votes on what is not there to be seen
  const chosen = whole ? [...state.items.keys()].filter((i) => !state.items[i].vote) : [state.cursor];
  if (!chosen.length) { note("All on this page are judged: change one with its key, or take votes back with z."); return; }
  const group = newGroup();
  const looked = whole || !(state.since >= 0) ? null : Math.round(performance.now() - state.since) / 1000;
  chosen.forEach((i, place) => {
    const item = state.items[i], key = `${group}:${place}`;
    outbox.add({ key, id: item.id, show: item.show, vote: answer, seconds: looked });
    state.history.push({ index: state.start + i, key, vote: answer, before: item.vote });
    if (!item.vote) { state.done++; }
    setVote(i, answer, key);
  });
  note("");
  outbox.flush();
  advance(whole);
}

function setVote(i, answer, key) {
  const item = state.items[i];
  Object.assign(item, { vote: answer, key });
  state.local.set(item.show, { vote: answer, key });
  markCell(get("grid").children[i], item);
}

function advance(whole) {
  const next = whole ? state.start + state.items.length : state.start + state.cursor + 1;
  if (next < state.session.count) { goTo(next); return; }
  told();
  note(state.done === state.session.count ? "All are judged. Thank you." :
    "This is the end of the list: j goes to what is not judged yet.", true);
}

/** Take the last act of voting back, one vote or a page of them, and go there. */
async function undo() {
  const last = state.history.at(-1);
  if (!last) { note("There is no vote of yours to take back."); return; }
  const group = (key) => key.split(":")[0], back = newGroup(), taken = [];
  while (state.history.length && group(state.history.at(-1).key) === group(last.key)) { taken.push(state.history.pop()); }
  taken.forEach((entry, place) => {
    outbox.add({ key: `${back}:${place}`, undo: entry.key });
    if (!entry.before) { state.done--; }
  });
  note(`Taken back: ${taken.length === 1 ? "one vote" : `${taken.length} votes`}.`);
  outbox.flush();
  await goTo(taken.at(-1).index);
  for (const entry of taken) {
    const i = entry.index - state.start;
    if (state.items[i]) { setVote(i, entry.before, null); }
  }
  told();
}

/** What the server would not take is not shown as if it had. */
function refused(reasons) {
  banner(`Not taken: ${[...new Set(Object.values(reasons))].join("; ")}.`);
  state.local.clear();
  openPage(state.start, state.cursor);
}

/** A word to the vetter that goes with the next vote, or by itself. */
function note(text, stays = false) {
  state.note = text;
  const quiet = () => !outbox.away && !outbox.locked;
  if (quiet()) { banner(text, "note"); }
  if (text && !stays) { setTimeout(() => { if (state.note === text && quiet()) { note(""); } }, 5000); }
}

/** Say whether votes are safe. */
function mail() {
  const waiting = outbox.size, place = get("mail"), votes = waiting === 1 ? "1 vote" : `${waiting} votes`;
  const words = {
    saved: "✓ all votes saved", sending: `… saving ${votes}`,
    away: `⚠ server away${waiting ? `, ${votes} kept here` : ""}`, locked: `⚠ link no longer valid${waiting ? `, ${votes} kept here` : ""}`,
  };
  const now = outbox.locked ? "locked" : outbox.away ? "away" : waiting ? "sending" : "saved";
  const before = place.dataset.state;
  place.dataset.state = now;
  place.dataset.waiting = String(waiting);
  place.textContent = words[now];
  const kept = outbox.kept ? "Votes are kept in this browser and sent when it is back." : "Do not close this page: the browser keeps nothing.";
  if (now === "away") { banner(`The server is away: ${outbox.away} ${kept}`); }
  else if (now === "locked") { banner(`${outbox.locked}. ${kept}`); }
  else if (before === "away" || before === "locked") { banner(state.note, "note"); }
}

setInterval(async () => { // so that an absent server shows before the next vote
  if (!outbox || outbox.running || outbox.locked) { return; }
  try {
    await server.ask("/api/alive");
    outbox.away = null;
  } catch (error) {
    if (error instanceof Away) { outbox.away = error.message; } else { outbox.locked = error.message; }
  }
  mail();
  if (!outbox.away && outbox.size) { outbox.flush(); }
}, 4000);

// ---- keys and buttons -----------------------------------------------------------------------------------------

function step(by) {
  const index = state.start + state.cursor + by;
  if (state.ready && index >= 0 && index < state.session.count) { goTo(index); }
}

/** Cells in a row of the grid. */
function columns() {
  const cells = [...get("grid").children];
  return state.single ? 1 : cells.filter((made) => made.offsetTop === cells[0].offsetTop).length;
}

function turnPage(by) {
  const start = state.target + by * state.session.page; // of the page that is on its way, if one is
  if (start >= 0 && start < state.session.count) { openPage(start, 0); }
}

/** On to the next that is not judged: on this page, or by what the server knows. */
async function nextOpen() {
  const here = state.items.findIndex((item, i) => i > state.cursor && !item.vote);
  if (here >= 0) { setCursor(here); return; }
  await outbox.flush();
  const session = await patiently(() => server.json("/api/session", { order: state.session.order }));
  if (session.done === session.count) { note("All are judged. Thank you.", true); return; }
  goTo(session.resume);
}

function zoom(by) {
  const view = state.single ? "single" : "grid", count = visible().length;
  const now = state.single ? singleZoom(count) : gridZoom(count);
  const wanted = by > 0 ? ZOOMS.find((each) => each > now) : ZOOMS.findLast((each) => each < now);
  state.zoom[view] = wanted ?? now;
  draw();
}

async function stretch(name) {
  state.stretch = name;
  get("stretch").value = name;
  keep();
  const turn = state.turn, items = state.items, sheet = await patiently(() => picture(items));
  if (turn === state.turn && name === state.stretch) { state.sheet = sheet; draw(); }
}

function keep() {
  const { stretch: name, panel, north, ticks } = state;
  localStorage.setItem("realbogus/view", JSON.stringify({ stretch: name, panel, north, ticks }));
}

function show(panel) {
  Object.assign(state, { panel: panel < state.planes.length ? panel : state.panel, blink: -1 });
  keep();
  draw();
}

function toggle(name) {
  state[name] = !state[name];
  keep();
  draw();
  told();
}

function blink() {
  state.blink = state.blink >= 0 || state.planes.length < 2 ? -1 : 0;
  draw();
}
setInterval(() => {
  if (state.blink >= 0 && state.session) {
    state.blink = (state.blink + 1) % state.planes.length;
    draw();
  }
}, BLINK);

const last = () => Math.floor((state.session.count - 1) / state.session.page) * state.session.page;
const ACTIONS = {
  real: () => vote("real"), bogus: () => vote("bogus"), unsure: () => vote("unsure"),
  "all-real": () => vote("real", true), "all-bogus": () => vote("bogus", true), "all-unsure": () => vote("unsure", true),
  undo, next: () => turnPage(1), previous: () => turnPage(-1), blink, north: () => toggle("north"),
  single: () => setSingle(!state.single), help: () => get("help").showModal(), larger: () => zoom(1), smaller: () => zoom(-1),
};
const KEYS = {
  z: undo, Backspace: undo, n: ACTIONS.next, PageDown: ACTIONS.next, p: ACTIONS.previous, PageUp: ACTIONS.previous,
  ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => step(-columns()), ArrowDown: () => step(columns()),
  Home: () => openPage(0, 0), End: () => openPage(last(), 0), j: nextOpen, Enter: ACTIONS.single, Escape: () => setSingle(false),
  " ": blink, s: () => { const all = state.session.stretches; stretch(all[(all.indexOf(state.stretch) + 1) % all.length]); },
  o: () => { if (state.session.north) { toggle("north"); } }, x: () => toggle("ticks"), "+": ACTIONS.larger, "=": ACTIONS.larger,
  "-": ACTIONS.smaller, f: () => { state.zoom[state.single ? "single" : "grid"] = 0; draw(); }, "?": ACTIONS.help, h: ACTIONS.help,
};
const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "n", "p", "PageDown", "PageUp"];

document.addEventListener("keydown", (event) => {
  if (!state.items.length || document.querySelector("dialog[open]") || event.target.closest?.("select, input")) { return; }
  // on a keyboard of other letters, or with an input method at work, the place of the key counts
  const latin = event.key === "Process" || /^[^\x20-\x7e]$/.test(event.key) ? event.code.replace(/^(Key|Digit)/, "") : event.key;
  const key = latin.length === 1 ? latin.toLowerCase() : latin;
  const undoes = (event.ctrlKey || event.metaKey) && key === "z";
  if ((event.ctrlKey || event.metaKey || event.altKey) && !undoes) { return; }
  if (key === "Enter" && event.target.closest?.("a, button")) { return; }
  let act = KEYS[key];
  if (key in ANSWERS) { act = () => vote(ANSWERS[key], event.shiftKey); }
  if (/^[0-9]$/.test(key)) { act = () => show(Number(key) - 1); }
  if (!act) { return; }
  event.preventDefault();
  if (event.repeat && !MOVES.includes(key)) { return; } // a key held down is one vote
  act();
});

document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (!name || !state.items.length) { return; }
  if (name.startsWith("panel")) { show(Number(name.slice(5))); } else { ACTIONS[name](); }
  event.target.closest("[data-do]").blur(); // the keys belong to the stamps again
});

get("stretch").addEventListener("change", (event) => { stretch(event.target.value); event.target.blur(); });
get("order").addEventListener("change", async (event) => {
  sessionStorage.setItem(`realbogus/order/${state.session.vetter}`, event.target.value);
  event.target.blur();
  await outbox.flush();
  const session = await patiently(() => server.json("/api/session", { order: event.target.value }));
  Object.assign(state, { ready: false, ahead: null, local: new Map() });
  open(session);
});
window.addEventListener("resize", draw);

begin();
