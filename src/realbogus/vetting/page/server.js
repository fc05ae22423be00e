// Questions to the server, and votes on their way to it: kept in this browser until the server has them on its disk.

/** The server does not answer, or not now. */
export class Away extends Error {}

/** The server answered that it will not. */
export class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

export class Server {
  constructor(token, vetter) { this.headers = { "X-Realbogus-Token": token, "X-Realbogus-Vetter": encodeURIComponent(vetter) }; }

  async #fetch(path, options = {}) {
    let answer;
    try {
      answer = await fetch(path, {
        ...options, headers: { ...this.headers, ...options.headers }, cache: "no-store", credentials: "omit",
        signal: AbortSignal.timeout(20000),
      });
    } catch (error) { throw new Away("no answer. Is `realbogus vet` still running?"); }
    if (answer.status >= 500) { throw new Away(await detail(answer)); }
    return answer;
  }

  async ask(path, values = {}) {
    const answer = await this.#fetch(`${path}?${new URLSearchParams(values)}`);
    if (!answer.ok) { throw new Refused(answer.status, await detail(answer)); }
    return answer;
  }

  async json(path, values) { return (await this.ask(path, values)).json(); }

  async picture(rows, stretch) {
    const answer = await this.ask("/api/sheet", { rows: rows.join(","), stretch });
    return createImageBitmap(await answer.blob());
  }

  /** Send votes; the answer says of each whether it is on the disk or refused for good. */
  async votes(wires) {
    const answer = await this.#fetch("/api/votes", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ votes: wires }),
    });
    const said = await answer.json().catch(() => ({}));
    if (!said.refused) { throw new Refused(answer.status, text(said.detail)); }
    return said;
  }
}

async function detail(answer) { return text((await answer.json().catch(() => ({}))).detail) || `status ${answer.status}`; }
function text(value) { return typeof value === "string" ? value : JSON.stringify(value ?? ""); }

/** A random word for one act of voting; the votes of one act share it, so that they are taken back together. */
export function newGroup() {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Votes that the server has not acknowledged. One entry of localStorage each: two tabs never overwrite one another. */
export class Outbox {
  constructor(server, salt, vetter, changed, refused) {
    Object.assign(this, { server, changed, refused, away: null, locked: null, running: null, count: 0 });
    this.prefix = `realbogus/votes/${salt}/${encodeURIComponent(vetter)}/`;
    this.memory = new Map(); // where the browser keeps nothing
    this.kept = true;
  }

  add(wire) {
    const name = `${this.prefix}${String(Date.now()).padStart(15, "0")}-${String(this.count++).padStart(8, "0")}-${wire.key}`;
    try { localStorage.setItem(name, JSON.stringify(wire)); } catch (error) { this.memory.set(name, wire); this.kept = false; }
  }

  #names() {
    const names = [...this.memory.keys()];
    try {
      for (let i = 0; i < localStorage.length; i++) {
        const name = localStorage.key(i);
        if (name.startsWith(this.prefix)) { names.push(name); }
      }
    } catch (error) { this.kept = false; }
    return names.sort();
  }

  #read(name) {
    try { return this.memory.get(name) ?? JSON.parse(localStorage.getItem(name)); } catch (error) { return null; }
  }

  #remove(name) { this.memory.delete(name); try { localStorage.removeItem(name); } catch (error) { this.kept = false; } }

  get size() { return this.#names().length; }

  /** Send until nothing is left, or the server does not know this page any more. */
  flush() {
    this.running ??= this.#run().finally(() => { this.running = null; });
    return this.running;
  }

  async #run() {
    let pause = 250, most = 200;
    for (;;) {
      const names = this.#names().slice(0, most), wires = names.map((name) => this.#read(name));
      if (!names.length || this.locked) { this.changed(); return; }
      this.changed();
      try {
        const said = await this.server.votes(wires.filter((wire) => wire));
        const over = new Set([...said.taken, ...Object.keys(said.refused)]);
        names.forEach((name, i) => { if (!wires[i] || over.has(wires[i].key)) { this.#remove(name); } });
        this.away = null;
        pause = 250;
        if (Object.keys(said.refused).length) { this.refused(said.refused); }
      } catch (error) {
        if (error instanceof Away) {
          this.away = error.message;
          this.changed();
          await wait(pause);
          pause = Math.min(2 * pause, 3000);
        } else if (error.status === 401 || error.status === 403) {
          this.locked = error.message;
        } else if (most > 1) { // one of them cannot be read: find it
          most = 1;
        } else {
          this.#remove(names[0]);
          this.refused({ [names[0]]: error.message });
        }
      }
    }
  }
}
