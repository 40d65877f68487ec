// The report's data, and how values are spelt and elements are made.
const data = JSON.parse(document.getElementById("data").textContent);

/** Operations come as columns, each with all values, or with those of some rows, and texts by their place in a table. */
function unpack({ count, columns }) {
  const rows = Array.from({ length: count }, () => ({}));
  for (const [key, { at, texts, values }] of Object.entries(columns))
    for (let i = 0; i < values.length; ++i) rows[at ? at[i] : i][key] = texts ? texts[values[i]] : values[i];
  return rows;
}
if (!Array.isArray(data.ops)) data.ops = unpack(data.ops);
const byId = id => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";
/** An element; a key `on…` is a listener, a value that is undefined or false leaves the attribute out. */
function setAll(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter(child => child !== undefined && child !== null && child !== ""));
  return node;
}
const make = (tag, attributes = {}, ...children) => setAll(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) => setAll(document.createElementNS(SVG, tag), attributes, children);

const spellTime = us => us === 0 ? "0" : us >= 1e6 ? (us / 1e6).toFixed(2) + " s" : us >= 1000 ? (us / 1000).toFixed(2) + " ms" : us >= 100 ? us.toFixed(0) + " µs" : us >= 1 ? us.toFixed(1) + " µs" : us >= .01 ? us.toFixed(2) + " µs" : "<0.01 µs";
const spellBytes = bytes => bytes >= 1e9 ? (bytes / 1e9).toFixed(2) + " GB" : bytes >= 1e6 ? (bytes / 1e6).toFixed(bytes >= 1e8 ? 0 : 1) + " MB" : bytes >= 1e3 ? (bytes / 1e3).toFixed(bytes >= 1e5 ? 0 : 1) + " kB" : Math.round(bytes) + " B";
const spellCount = n => n.toLocaleString("en").replaceAll(",", " ");
const spellPart = part => part === 0 ? "0" : part >= .1 ? (100 * part).toFixed(0) + " %" : part >= .001 ? (100 * part).toFixed(1) + " %" : part >= 1e-5 ? (100 * part).toPrecision(1) + " %" : "<0.001 %";
const plural = (n, one, many = one + "s") => `${spellCount(n)} ${n === 1 ? one : many}`;
/** `ane.conv` is conv, `tensor<1x2xf16>` is f16[1,2]. */
const spellOp = op => op.replace(/^ane\./, "");
const spellType = type => { const found = /^tensor<((?:[\d?]+x)*)([a-z]\w*)(?:,.*)?>$/.exec(type); return found ? `${found[2]}[${found[1].split("x").slice(0, -1).join(",")}]` : type; };
const elementOf = type => { const found = /(?:^tensor<|x)([a-z]+\d+\w*)[,>]/.exec(type); return found ? found[1] : ""; };

const colour = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

/** One line of help beside the pointer. */
function showTip(text, x, y) {
  const tip = byId("tip");
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 6)) + "px";
  tip.style.top = (y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18) + "px";
}
const hideTip = () => showTip("");

const ruleLink = rule => rule in data.rules ? make("a", { class: "chip rule", href: "#rule-" + rule }, rule) : rule ? make("span", { class: "chip rule" }, rule) : "";
const placeChip = place => make("span", { class: "chip " + place }, place === "ane" ? "engine" : "host");
