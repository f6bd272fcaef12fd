// The page: asks the API that it comes from, and shows the answers.
import { SHOWN_UNITS, byType, detail, element, fill, hues, legend, marked, picture, share } from "./drawing.js";
import { asked, speak, word } from "./words.js";

const READINGS = 5, SHOWN_TEXTS = 100;
const by = (id) => document.getElementById(id);
let served = null; // of GET v1/models
let shown = null; // the last answer
let lines = []; // the answers to a file
let running = null; // an AbortController

class Refused extends Error {
  constructor(status, told, after) {
    super(told.error ?? `HTTP ${status}`);
    Object.assign(this, { status, index: told.index ?? null, option: told.option ?? null, after });
  }
}

async function ask(path, body, signal) {
  const headers = by("key").value ? { Authorization: `Bearer ${by("key").value}` } : {};
  if (body) headers["Content-Type"] = "application/json";
  const options = { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(word("unreachable"));
  }
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 401) by("key-field").hidden = false;
  throw new Refused(answer.status, told, Number(answer.headers.get("Retry-After")) || 1);
}

function tell(error) {
  if (error.name === "AbortError") return;
  by("status").textContent = "";
  if (error.status === 401) {
    by("error").textContent = word("key_needed");
    by("key").focus();
  } else {
    by("error").textContent = error.option ? `${error.message} (${error.option})` : error.message;
  }
}

/** Stop what runs, and begin anew. */
function begin() {
  running?.abort();
  running = new AbortController();
  by("error").textContent = "";
  by("status").textContent = word("busy");
  return running.signal;
}

async function load() {
  if (served) return;
  served = await ask("v1/models");
  by("model").replaceChildren(...served.models.map((each) => element("option", { value: each.name }, each.name)));
  by("model-field").hidden = served.models.length < 2;
  by("least").min = by("least").value = served.limits.min_score;
  describe();
  count();
}

function chosen() {
  return served.models.find((each) => each.name === by("model").value);
}

function describe() {
  if (!served) return;
  const can = chosen().can.includes("marginals") ? "" : ` ${word("exported")}`;
  by("about").textContent = `${chosen().about}${can}`;
}

function count() {
  if (served) by("count").textContent = word("count", Array.from(by("text").value).length, served.limits.max_text);
}

async function tag() {
  const signal = begin();
  try {
    await load();
    const [text, info] = [by("text").value, chosen()];
    const asking = { text, model: info.name };
    const all = [ask("v1/entities", { ...asking, min_score: Number(by("least").value) }, signal)];
    const k = Math.min(READINGS, served.limits.max_k);
    if (info.can.includes("k-best")) all.push(ask("v1/k-best", { ...asking, k }, signal));
    if (info.can.includes("marginals")) all.push(ask("v1/marginals", asking, signal));
    const [entities, readings, marginals] = await Promise.allSettled(all);
    if (signal.aborted) return;
    if (entities.status === "rejected") throw entities.reason;
    shown = {
      info,
      ...entities.value,
      readings: readings?.value?.readings ?? [],
      marginals: marginals?.value ?? null,
      faults: [readings, marginals].filter((each) => each?.status === "rejected").map((each) => each.reason),
    };
    show();
    by("many").hidden = true;
    for (const fault of shown.faults.slice(0, 1)) tell(fault);
    by("status").textContent = shown.entities.length ? word("found", shown.entities.length) : word("none");
  } catch (error) {
    if (!signal.aborted) tell(error);
  }
}

function show() {
  if (!shown) return;
  const { info, text, entities, readings, marginals } = shown;
  const colours = hues(info.types);
  const units = marginals ? byType(marginals, info.label_types) : [];
  const outside = word("outside");
  by("result").hidden = false;
  const choose = (mark, entity) => {
    by("detail").replaceChildren(...detail(entity, units, readings, outside));
    for (const other of by("marked").querySelectorAll("mark")) other.setAttribute("aria-pressed", other === mark);
  };
  by("marked").replaceChildren(...marked(text, entities, colours, (mark, entity) => {
    const attributes = { tabindex: 0, role: "button", "aria-pressed": false, "aria-controls": "detail" };
    for (const [key, value] of Object.entries(attributes)) mark.setAttribute(key, value);
    for (const event of ["mouseenter", "focus", "click"]) mark.addEventListener(event, () => choose(mark, entity));
    mark.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose(mark, entity);
    });
  }));
  by("detail").replaceChildren(element("p", { class: "small" }, word(entities.length ? "choose" : "none")));
  by("list-scroll").hidden = !entities.length;
  fill(by("list"), [word("label"), word("surface"), word("start"), word("end"), word("score")],
    entities.map((each) => [each.label, each.text, String(each.start), String(each.end), share(each.score)]), [2, 3, 4]);
  by("more").hidden = !readings.length && !units.length;
  by("readings").replaceChildren(...readings.map((reading) => {
    const bar = element("span", { class: "share", "aria-hidden": "true" });
    bar.style.width = `${100 * reading.probability}%`;
    const whole = element("div", { class: "entities", dir: "auto" }, ...marked(text, reading.entities, colours));
    return element("li", {}, `${word("probability")} ${share(reading.probability)}`, bar, whole);
  }));
  draw(units, info.types, colours);
}

function draw(units, types, colours) {
  const first = units.slice(0, SHOWN_UNITS);
  by("legend").replaceChildren(...legend(types, colours));
  const label = word("picture_label", first.length, types.join(", "));
  const frame = element("div", { role: "img", "aria-label": label });
  frame.append(...picture(first, types, colours, by("picture").clientWidth || 600));
  const less = units.length > first.length ? [element("p", { class: "small" }, word("shown", first.length, units.length))] : [];
  by("picture").replaceChildren(frame, ...less);
  const columns = [...types, ...(units.some((unit) => unit.types.has("")) ? [""] : [])];
  const head = [word("unit"), ...columns.map((type) => type || word("outside"))];
  fill(by("numbers-table"), head,
    first.map((unit) => [unit.text, ...columns.map((type) => share(unit.types.get(type) ?? 0))]),
    columns.map((_, place) => place + 1));
}

/** The lines of a file, as many a request as the server takes. */
function* pieces(texts, limits) {
  let piece = [], bytes = 0;
  const room = 0.9 * limits.max_body - 200; // JSON escapes some characters
  for (const text of texts) {
    const size = new TextEncoder().encode(JSON.stringify(text)).length + 1;
    if (piece.length && (piece.length >= Math.min(limits.max_texts, 64) || bytes + size > room)) {
      yield piece;
      [piece, bytes] = [[], 0];
    }
    piece.push(text);
    bytes += size;
  }
  if (piece.length) yield piece;
}

async function tagFile(file) {
  const signal = begin();
  lines = [];
  try {
    await load();
    const texts = await read(file);
    const info = chosen();
    const colours = hues(info.types);
    by("result").hidden = true;
    by("many").hidden = false;
    by("stop").disabled = false;
    by("save-many").disabled = true;
    by("texts").replaceChildren();
    by("progress").max = texts.length;
    by("progress").value = 0;
    for (const piece of pieces(texts, served.limits)) {
      const body = { texts: piece, model: info.name, min_score: Number(by("least").value) };
      const { answers } = await patiently(body, signal);
      for (const answer of answers.slice(0, Math.max(0, SHOWN_TEXTS - lines.length))) {
        by("texts").append(element("li", { class: "entities", dir: "auto" }, ...marked(answer.text, answer.entities, colours)));
      }
      lines.push(...answers);
      by("progress").value = lines.length;
      by("save-many").disabled = false;
      by("status").textContent = word("progress", lines.length, texts.length);
    }
    const more = lines.length > SHOWN_TEXTS ? ` ${word("first", SHOWN_TEXTS)}` : "";
    by("status").textContent = `${word("done", lines.length)}${more}`;
  } catch (error) {
    if (error.name === "AbortError") by("status").textContent = word("stopped", lines.length);
    else tell(error.index === undefined || error.index === null ? error
      : Object.assign(new Error(`${word("line", lines.length + error.index + 1)}${error.message}`), { option: error.option }));
  } finally {
    by("stop").disabled = true;
  }
}

/** Ask for a batch; a busy server is asked again when it says. */
async function patiently(body, signal) {
  for (;;) {
    try {
      return await ask("v1/batch", body, signal);
    } catch (error) {
      if (error.status !== 429 && error.status !== 503) throw error;
      by("status").textContent = word("waiting", error.after);
      await new Promise((go, stop) => {
        const timer = setTimeout(go, 1000 * error.after);
        signal.addEventListener("abort", () => { clearTimeout(timer); stop(new DOMException("", "AbortError")); });
      });
    }
  }
}

async function read(file) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error(word("not_utf8"));
  }
  const texts = text.split(/\r?\n/);
  if (texts.at(-1) === "") texts.pop();
  if (!texts.length) throw new Error(word("empty_file"));
  return texts;
}

function save(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

by("ask").addEventListener("submit", (event) => { event.preventDefault(); tag(); });
by("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) tag();
});
by("text").addEventListener("input", count);
by("model").addEventListener("change", describe);
by("file").addEventListener("change", () => {
  const [file] = by("file").files;
  if (!file) return;
  by("file-name").textContent = file.name;
  by("file").value = ""; // so that the same file can be chosen again
  tagFile(file);
});
by("stop").addEventListener("click", () => running?.abort());
by("save").addEventListener("click", () => {
  const { text, entities, readings, marginals } = shown;
  save("entities.json", `${JSON.stringify({ text, entities, readings, marginals }, null, 1)}\n`);
});
by("save-many").addEventListener("click", () => {
  save("entities.jsonl", lines.map((each) => `${JSON.stringify(each)}\n`).join(""));
});
by("language").addEventListener("change", () => {
  speak(by("language").value);
  by("status").textContent = by("error").textContent = "";
  count();
  describe();
  show();
});
let width = innerWidth;
addEventListener("resize", () => {
  if (width === innerWidth || !shown?.marginals || by("result").hidden) return;
  width = innerWidth;
  draw(byType(shown.marginals, shown.info.label_types), shown.info.types, hues(shown.info.types));
});

by("language").value = asked();
speak(asked());
load().catch(tell);
