// Elements for texts, entities, readings and probabilities. All text goes in as text, never as markup.
import { word } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const COLUMN = 24, HEIGHT = 90, MARGIN = 30;
export const SHOWN_UNITS = 500;

/** An element with attributes and children; strings become text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Hues of types that lie far from each other, in the order of the model's types. */
export function hues(types) {
  return new Map(types.map((type, place) => [type, Math.round(210 + place * 137.5) % 360]));
}

function coloured(made, hue) {
  made.style.setProperty("--hue", hue ?? 0);
  return made;
}

/** Share of 1 with two digits; what is not quite 1 does not show as 1. */
export function share(value) {
  const shown = value.toFixed(2);
  return shown === "1.00" && value < 0.9995 ? value.toFixed(3) : shown;
}

/** The pieces of a text with its entities as marks; offsets count code points. `made` gets each mark. */
export function marked(text, entities, colours, made = () => {}) {
  const characters = Array.from(text);
  const pieces = [];
  let at = 0;
  for (const entity of entities) {
    pieces.push(characters.slice(at, entity.start).join(""));
    const mark = coloured(element("mark", {}, entity.text), colours.get(entity.label));
    mark.append(element("small", {}, `${entity.label} ${share(entity.score)}`));
    made(mark, entity);
    pieces.push(mark);
    at = entity.end;
  }
  pieces.push(characters.slice(at).join(""));
  return pieces.filter((piece) => piece !== "");
}

/** A table with a heading for each column; columns of `numbers` stand at the end of the line. */
export function fill(table, names, rows, numbers = []) {
  const kind = (place) => (numbers.includes(place) ? { class: "number" } : {});
  const head = names.map((name, place) => element("th", { scope: "col", ...kind(place) }, name));
  const body = rows.map((row) => element("tr", {}, ...row.map((cell, place) => element("td", kind(place), cell))));
  table.replaceChildren(element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body));
}

/** What the marginals say by type: for each unit its text and a probability for each type, "" for outside. */
export function byType(marginals, labelTypes) {
  const characters = Array.from(marginals.text);
  return marginals.offsets.map(([start, end], row) => {
    const types = new Map();
    marginals.probabilities[row].forEach((probability, tag) => {
      const type = labelTypes[tag];
      types.set(type, (types.get(type) ?? 0) + probability);
    });
    return { start, end, text: characters.slice(start, end).join(""), types };
  });
}

/** Bars of the probabilities of types, unit by unit, in as many lines as the width needs. */
export function picture(units, types, colours, width) {
  const longest = Math.max(1, ...units.map((unit) => Array.from(unit.text).length));
  const column = Math.min(longest > 1 ? 12 * Math.min(longest, 8) + 10 : COLUMN, width - MARGIN);
  const each = Math.max(1, Math.floor((width - MARGIN) / column));
  const lines = [];
  for (let first = 0; first < units.length; first += each) {
    lines.push(line(units.slice(first, first + each), types, colours, column));
  }
  return lines;
}

function line(units, types, colours, column) {
  const parts = [0, 0.5, 1].flatMap((value) => {
    const y = 8 + HEIGHT * (1 - value);
    const right = MARGIN + column * units.length;
    return [drawn("line", { x1: MARGIN - 3, x2: right, y1: y, y2: y }),
      drawn("text", { x: MARGIN - 6, y: y + 3, class: "axis" }, String(value))];
  });
  units.forEach((unit, place) => {
    const x = MARGIN + column * place;
    let top = 8 + HEIGHT;
    for (const type of types) {
      const height = HEIGHT * (unit.types.get(type) ?? 0);
      if (height < 0.4) continue;
      top -= height;
      const bar = drawn("rect", { x: x + 2, y: top, width: column - 4, height },
        drawn("title", {}, `${unit.text}: ${type} ${share(unit.types.get(type))}`));
      parts.push(coloured(bar, colours.get(type)));
    }
    const shown = Array.from(unit.text);
    const text = shown.length > 9 ? `${shown.slice(0, 8).join("")}…` : unit.text;
    parts.push(drawn("text", { x: x + column / 2, y: HEIGHT + 26 }, text));
  });
  const [width, height] = [MARGIN + column * units.length, HEIGHT + 34];
  return drawn("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" }, ...parts);
}

/** What else an entity could be: its units by themselves, and what other readings have in its place. */
export function detail(entity, units, readings, outside) {
  const parts = [element("h3", {}, `${entity.text} — ${entity.label}, ${word("score")} ${share(entity.score)}`)];
  const own = units.filter((unit) => unit.start >= entity.start && unit.end <= entity.end);
  if (own.length) {
    const items = own.slice(0, 40).map((unit) => {
      const likely = [...unit.types].filter(([, value]) => value >= 0.005).sort((a, b) => b[1] - a[1]).slice(0, 4);
      const told = likely.map(([type, value]) => `${type || outside} ${share(value)}`).join(" · ");
      return element("li", {}, element("b", {}, unit.text), told);
    });
    parts.push(element("div", {}, word("units")), element("ul", { class: "units" }, ...items));
  }
  const others = new Map();
  for (const reading of readings) {
    const here = reading.entities.filter((each) => each.start < entity.end && each.end > entity.start);
    const told = here.map((each) => `${each.text} — ${each.label}`).join(", ") || word("otherwise");
    if (told !== `${entity.text} — ${entity.label}`) others.set(told, (others.get(told) ?? 0) + reading.probability);
  }
  if (others.size) {
    const items = [...others].map(([told, value]) => element("li", {}, `${told} (${share(value)})`));
    parts.push(element("div", {}, word("others")), element("ul", {}, ...items));
  }
  return parts;
}

/** The types with their colours. */
export function legend(types, colours) {
  return types.map((type) => {
    const swatch = coloured(element("span", { class: "swatch", "aria-hidden": "true" }), colours.get(type));
    return element("span", {}, swatch, type);
  });
}
