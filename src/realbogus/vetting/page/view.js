// Elements of the page. Everything that comes from a catalogue or a person goes in as text, never as markup.

export const get = (id) => document.getElementById(id);
export const WORDS = { real: "R real", bogus: "B bogus", unsure: "? unsure" };

export function element(name, text = "", values = {}) {
  const made = Object.assign(document.createElement(name), values);
  if (text) { made.textContent = text; }
  return made;
}

/** One cell of the grid: a canvas, its number and its mark. */
export function cell(item, number) {
  const made = element("div", "", { className: "cell" });
  made.setAttribute("role", "option");
  const line = element("p"), snr = item.facts.find(([name]) => name === "S/N");
  line.append(element("span", `${number}${snr ? ` · S/N ${snr[1]}` : ""}`), element("b"));
  made.append(element("canvas"), line);
  markCell(made, item);
  return made;
}

export function markCell(made, item) {
  made.dataset.vote = item.vote ?? "";
  made.querySelector("b").textContent = item.vote ? WORDS[item.vote] : "";
  made.setAttribute("aria-label", `${item.id}, ${item.vote ?? "not judged"}`);
}

export function showFacts(item, north) {
  const said = item.north === null ? [] : [["north", `${Math.round(item.north)}° from up${item.parity < 0 ? ", mirrored" : ""}`]];
  if (north && item.north === null) { said.push(["north", "not known: as it is"]); }
  get("facts").replaceChildren(...[...item.facts, ...said].flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  get("links").replaceChildren(...item.links.filter(([, url]) => url.startsWith("https://")).map(([name, url]) =>
    element("a", name, { href: url, target: "_blank", rel: "noopener noreferrer" })));
  get("verdict").textContent = item.vote ? WORDS[item.vote] : "not judged";
  get("verdict").dataset.vote = item.vote ?? "";
}

export function options(select, names, chosen) {
  select.replaceChildren(...names.map((name) => element("option", name, { value: name, selected: name === chosen })));
}

export function press(name, on) {
  document.querySelectorAll(`[data-do="${name}"]`).forEach((button) => button.setAttribute("aria-pressed", String(on)));
}

export function banner(text, kind = "warning") {
  const place = get("banner");
  place.hidden = !text;
  place.textContent = text;
  place.dataset.kind = kind;
}
