// The graph: modules that open and close, laid out in layers; moved, zoomed and searched.
const graph = { open: new Set(), x: 0, y: 0, scale: 1, found: [], at: -1, chosen: null, boxes: [], hulls: [], edges: [], size: { width: 1, height: 1 } };
const MOST = 400; // boxes that are laid out at once

const placeOf = i => { needTree(); return graph.places[i]; };
let tree; // of modules, when it is first asked for: a large one takes a while
function needTree() {
  if (tree) return;
  tree = makeTree();
  graph.places = new Array(ops.length);
  graph.groups = new Map();
  const walk = group => { graph.groups.set(group.id, group); for (const child of group.children) child.children ? walk(child) : graph.places[child.op] = child; };
  walk(tree);
}

/** Opens modules level by level as long as few boxes are in sight. */
function openSome(most) {
  graph.open = new Set([tree.id]);
  let shown = tree.children.length, level = [tree];
  while (level.length) {
    const next = level.flatMap(group => group.children.filter(child => child.children));
    const more = next.reduce((sum, group) => sum + group.children.length - 1, 0);
    if (!next.length || shown + more > most) break;
    next.forEach(group => graph.open.add(group.id));
    shown += more;
    level = next;
  }
}

/** The box that stands for an operation: itself, or the closed module around it. */
function visibleOf(i) {
  let seen = placeOf(i);
  for (let group = seen.up; group; group = group.up) if (!graph.open.has(group.id)) seen = group;
  return seen;
}
const idOf = member => member.children ? member.id : "o" + member.op;

function boxOf(member) {
  if (member.children) {
    const sub = `${plural(member.ops.length, "op")} · ${spellTime(member.cost)}`;
    return { kind: "module" + (member.host === member.ops.length ? " host" : member.host ? " mixed" : ""), title: member.name, sub, about: `Module ${member.name}: ${plural(member.ops.length, "operation")}, ${spellTime(member.cost)}${member.host ? `, ${member.host} on the host` : ""}. Opens.`, member };
  }
  const op = ops[member.op], name = pathOf(op.node).at(-1) ?? "", sub = `${spellType(op.type)}${op.weight_bytes > 1e3 ? " · weights " + spellBytes(op.weight_bytes) : ""}`;
  return { kind: op.placement === "ane" ? "op" : "op host", title: spellOp(op.op) + (name && !name.toLowerCase().startsWith(spellOp(op.op)) ? " · " + name : ""), sub, about: `${spellOp(op.op)}, ${op.title}, ${op.placement === "ane" ? "engine" : "host"}, ${spellTime(op.predicted_us)}`, member, op: member.op };
}

const short = (text, most) => text.length > most ? text.slice(0, most - 2) + "…" : text;
function sized(box) {
  const title = short(box.title, 34), sub = short(box.sub, 34);
  return { ...box, title, sub, width: Math.max(widthOf(title), widthOf(sub) * .92), height: BOX_HEIGHT };
}
const boxOfPort = (id, value, kind) => sized({ id, kind: "port", title: value.name, sub: `${kind} ${spellType(value.type)}`, about: `${kind} ${value.name}, ${spellType(value.type)}` });

/** Boxes in sight, by the module that they are in, and what each of them reads. */
function collect() {
  const levels = new Map(), boxes = new Map(), up = new Map(), edges = new Map();
  const levelOf = group => levels.get(group.id) ?? levels.set(group.id, { group, items: [], edges: new Map() }).get(group.id);
  const add = (box, group) => { boxes.set(box.id, box); up.set(box.id, group); levelOf(group).items.push(box); return box.id; };
  const see = i => { const member = visibleOf(i), id = idOf(member); return boxes.has(id) ? id : add(sized({ id, ...boxOf(member) }), member.up); };
  const connect = (from, to) => { if (from !== to) edges.set(from, (edges.get(from) ?? new Set()).add(to)); };
  data.model_inputs.forEach((value, k) => { if (ops.some(op => op.model_inputs?.includes(k))) add(boxOfPort("i" + k, value, "input"), tree); });
  for (const op of ops) {
    const to = see(op.index);
    for (const from of op.inputs) connect(see(from), to);
    for (const k of op.model_inputs ?? []) connect("i" + k, to);
  }
  data.model_outputs.forEach((value, k) => { if (value.row !== undefined) connect(see(value.row), add(boxOfPort("x" + k, value, "output"), tree)); });
  return { levels, levelOf, up, edges };
}

/** An edge becomes a piece in each module that it passes: down to its border, between siblings, from a border to its reader. */
function addPieces({ levelOf, up, edges }) {
  const chain = id => { const groups = []; for (let group = up.get(id); group; group = group.up) groups.push(group); return groups; };
  const piece = (group, from, to, source, target) => {
    const pieces = levelOf(group).edges, key = `${from}\n${to}\n${source}`;
    if (!pieces.has(key)) pieces.set(key, { from, to, source, targets: new Set() });
    pieces.get(key).targets.add(target);
  };
  for (const [source, targets] of edges) {
    const above = chain(source), depth = new Map(above.map((group, i) => [group, i]));
    for (const target of targets) {
      const below = chain(target), meet = below.findIndex(group => depth.has(group)), common = depth.get(below[meet]);
      for (let i = 0; i < common; ++i) piece(above[i], i ? above[i - 1].id : source, "out:" + source, source, target);
      piece(below[meet], common ? above[common - 1].id : source, meet ? below[meet - 1].id : target, source, target);
      for (let i = 0; i < meet; ++i) piece(below[i], "in:" + source, i ? below[i - 1].id : target, source, target);
    }
  }
}

/** Innermost modules first: what is around needs their size. */
function layOutAll(found) {
  const visit = group => {
    const level = found.levelOf(group);
    for (const child of group.children)
      if (child.children && graph.open.has(child.id)) { const inner = visit(child); level.items.push({ id: child.id, group: child, inner, width: inner.width, height: inner.height }); }
    level.edges = [...level.edges.values()];
    layOutLevel(level);
    return level;
  };
  const root = visit(tree);
  return { ...compose(root, 0, 0, { boxes: [], hulls: [], edges: [] }), size: { width: root.width, height: root.height } };
}

function rebuild(keep) {
  const spot = id => { const hull = graph.hulls.find(each => each.id === id); return hull ? { x: hull.x, y: hull.y - hull.height / 2 + BOX_HEIGHT / 2 } : graph.boxes.find(each => each.id === id); };
  const was = keep && spot(keep), at = was && { x: was.x * graph.scale + graph.x, y: was.y * graph.scale + graph.y };
  const found = collect();
  addPieces(found);
  Object.assign(graph, layOutAll(found));
  paintGraph();
  const now = at && spot(keep);
  if (now) { graph.x = at.x - now.x * graph.scale; graph.y = at.y - now.y * graph.scale; place(); } else fitGraph();
  byId("graph-count").textContent = `${plural(graph.boxes.length, "box", "boxes")} for ${plural(ops.length, "operation")}`;
}

const press = act => event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); event.stopPropagation(); act(); } };

function paintBox(box) {
  const left = box.x - box.width / 2, top = box.y - box.height / 2, act = () => chooseBox(box);
  const at = (x, y) => ({ x: left + x, y: top + y, width: box.width, height: box.height, rx: box.kind === "port" ? 20 : 7 });
  const group = draw("g", { class: "box " + box.kind, "data-id": box.id, tabindex: box.kind === "port" ? undefined : "0", role: box.kind === "port" ? "img" : "button", "aria-label": box.about, "aria-expanded": box.member?.children ? "false" : undefined, onkeydown: press(act) });
  if (box.member?.children) group.append(draw("rect", at(4, 4)));
  group.append(draw("rect", { ...at(0, 0), class: "front" }));
  const text = (content, y, kind) => { const node = draw("text", { x: box.x, y: top + y, "text-anchor": "middle", class: kind }); node.textContent = content; group.append(node); };
  text(box.title, 18, undefined);
  text(box.sub, 33, "sub");
  return group;
}

function paintHull(hull) {
  const close = () => { graph.open.delete(hull.id); rebuild(hull.id); refocus(hull.id); };
  const title = draw("text", { x: hull.x - hull.width / 2 + 8, y: hull.y - hull.height / 2 + 14 });
  const room = Math.floor((hull.width - 20) / 7);
  title.textContent = "▾ " + (hull.group.name.length > room ? hull.group.name.slice(0, Math.max(room - 2, 3)) + "…" : hull.group.name);
  return draw("g", { class: "hull", "data-id": hull.id, tabindex: "0", role: "button", "aria-expanded": "true", "aria-label": `Module ${hull.group.name}. Closes.`, onkeydown: press(close) },
    draw("rect", { x: hull.x - hull.width / 2, y: hull.y - hull.height / 2, width: hull.width, height: hull.height, rx: 10 }), title);
}

function paintGraph() {
  const arrow = draw("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" }, draw("path", { d: "M0 0L8 4L0 8z" }));
  const scene = draw("g", { id: "scene" }, ...graph.hulls.map(paintHull),
    ...graph.edges.map(edge => draw("path", { class: "edge", d: edge.path, "marker-end": edge.arrow && "url(#arrow)", "data-from": edge.from, "data-to": edge.to.join(" ") })), ...graph.boxes.map(paintBox));
  byId("graph-view").replaceChildren(draw("svg", { role: "group", "aria-label": "Graph" }, draw("defs", {}, arrow), scene));
  mark();
}

function refocus(id) { byId("graph-view").querySelector(`[data-id="${id}"]`)?.focus({ preventScroll: true }); }

function chooseBox(box) {
  if (box.op !== undefined) return showOperation(box.op);
  if (!box.member?.children) return;
  if (graph.boxes.length + box.member.children.length > MOST) return say(`More than ${MOST} boxes: close a module first.`);
  graph.open.add(box.id);
  rebuild(box.id);
  refocus(box.id);
}
const say = text => byId("graph-said").textContent = text;

/** Marks what was searched and what was chosen, with its edges. */
function mark() {
  const chosen = graph.chosen === null ? null : idOf(visibleOf(graph.chosen)), found = new Set(graph.found.map(i => idOf(visibleOf(i))));
  for (const node of byId("graph-view").querySelectorAll(".box")) { node.classList.toggle("chosen", node.dataset.id === chosen); node.classList.toggle("found", found.has(node.dataset.id)); }
  for (const node of byId("graph-view").querySelectorAll(".edge")) node.classList.toggle("chosen", chosen !== null && (node.dataset.from === chosen || node.dataset.to.split(" ").includes(chosen)));
}

function place() { byId("scene").setAttribute("transform", `translate(${graph.x.toFixed(2)} ${graph.y.toFixed(2)}) scale(${graph.scale.toFixed(4)})`); }
function zoomGraph(factor, x = byId("graph-view").clientWidth / 2, y = byId("graph-view").clientHeight / 2) {
  const scale = Math.min(3, Math.max(.02, graph.scale * factor));
  graph.x = x - (x - graph.x) * scale / graph.scale;
  graph.y = y - (y - graph.y) * scale / graph.scale;
  graph.scale = scale;
  place();
}
function fitGraph() {
  const view = byId("graph-view"), { width, height } = graph.size;
  graph.scale = Math.min(1.1, Math.max(view.clientWidth / width, .0001));
  // A tall graph begins at its top, at a size that can be read.
  graph.scale = Math.min(graph.scale, Math.max(view.clientHeight / height, Math.min(graph.scale, .75)));
  graph.x = (view.clientWidth - width * graph.scale) / 2;
  graph.y = Math.max(0, (view.clientHeight - height * graph.scale) / 2);
  place();
}
function showWhole() {
  const view = byId("graph-view"), { width, height } = graph.size;
  graph.scale = Math.min(1.1, view.clientWidth / width, view.clientHeight / height);
  graph.x = (view.clientWidth - width * graph.scale) / 2;
  graph.y = (view.clientHeight - height * graph.scale) / 2;
  place();
}
function centre(id) {
  const box = graph.boxes.find(each => each.id === id), view = byId("graph-view");
  if (!box) return;
  graph.scale = Math.max(graph.scale, .8);
  graph.x = view.clientWidth / 2 - box.x * graph.scale;
  graph.y = view.clientHeight / 2 - box.y * graph.scale;
  place();
}

/** Opens the modules around an operation, others where it gets too much. */
function reveal(i) {
  const around = [];
  for (let group = placeOf(i).up; group; group = group.up) around.push(group);
  const missing = around.filter(group => !graph.open.has(group.id));
  if (!missing.length) return;
  if (graph.boxes.length + missing.reduce((sum, group) => sum + group.children.length, 0) > MOST) graph.open = new Set([tree.id]);
  around.forEach(group => graph.open.add(group.id));
  rebuild();
}
function findInGraph(i) {
  ensureGraph();
  reveal(i);
  graph.chosen = i;
  mark();
  centre("o" + i);
  byId("graph").scrollIntoView({ block: "start" });
}

function searchGraph(text) {
  ensureGraph();
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  graph.found = words.length ? ops.filter(op => words.every(word => op.text.includes(word))).map(op => op.index) : [];
  graph.at = -1;
  mark();
  say(words.length ? `${plural(graph.found.length, "operation")} found${graph.found.length ? "; Enter goes to the next" : ""}` : "");
}
function nextFound() {
  if (!graph.found.length) return;
  graph.at = (graph.at + 1) % graph.found.length;
  reveal(graph.found[graph.at]);
  mark();
  centre("o" + graph.found[graph.at]);
  say(`${graph.at + 1} of ${graph.found.length}: ${ops[graph.found[graph.at]].title}`);
}

function watchGraph(view) {
  const held = new Map();
  let moved = 0, target = null, spread = 0;
  const distance = () => { const [a, b] = [...held.values()]; return Math.hypot(a.x - b.x, a.y - b.y); };
  view.addEventListener("pointerdown", event => { held.set(event.pointerId, { x: event.clientX, y: event.clientY }); if (held.size === 1) { moved = 0; target = event.target.closest("[data-id]"); } else if (held.size === 2) spread = distance(); view.setPointerCapture(event.pointerId); });
  view.addEventListener("pointermove", event => {
    const last = held.get(event.pointerId);
    if (!last) { const box = graph.boxes.find(each => each.id === event.target.closest?.(".box")?.dataset.id); return showTip(box ? box.about : "", event.clientX, event.clientY); }
    if (held.size === 1) { graph.x += event.clientX - last.x; graph.y += event.clientY - last.y; }
    moved += Math.abs(event.clientX - last.x) + Math.abs(event.clientY - last.y);
    held.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (held.size === 2) { const box = view.getBoundingClientRect(), [a, b] = [...held.values()], now = distance(); zoomGraph(now / spread, (a.x + b.x) / 2 - box.left, (a.y + b.y) / 2 - box.top); spread = now; } else place();
  });
  view.addEventListener("pointerup", event => {
    held.delete(event.pointerId);
    if (moved > 4 || !target || held.size) return;
    const box = graph.boxes.find(each => each.id === target.dataset.id), hull = graph.hulls.find(each => each.id === target.dataset.id);
    if (box) chooseBox(box);
    else if (hull) { graph.open.delete(hull.id); rebuild(hull.id); }
  });
  view.addEventListener("pointercancel", event => held.delete(event.pointerId));
  view.addEventListener("pointerleave", hideTip);
  view.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    const box = view.getBoundingClientRect();
    zoomGraph(event.deltaY > 0 ? .87 : 1.15, event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  view.addEventListener("keydown", event => {
    const by = (x, y) => () => { graph.x += x; graph.y += y; place(); };
    const act = { ArrowLeft: by(60, 0), ArrowRight: by(-60, 0), ArrowUp: by(0, 60), ArrowDown: by(0, -60), "+": () => zoomGraph(1.25), "=": () => zoomGraph(1.25), "-": () => zoomGraph(.8), "0": showWhole }[event.key];
    if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); act(); }
  });
  // The keyboard walks over boxes: the one that it is at comes into sight.
  view.addEventListener("focusin", event => {
    view.scrollLeft = view.scrollTop = 0;
    const node = event.target.closest(".box");
    if (!node || !node.matches(":focus-visible")) return;
    const here = node.getBoundingClientRect(), box = view.getBoundingClientRect();
    if (here.left < box.left || here.right > box.right || here.top < box.top || here.bottom > box.bottom) centre(node.dataset.id);
  });
}

function ensureGraph() {
  if (graph.boxes.length || !ops.length) return;
  needTree();
  openSome(ops.length <= 90 ? 90 : 45);
  rebuild();
}

function showGraph() {
  const go = (text, act, name = text) => make("button", { type: "button", onclick: act, "aria-label": name }, text);
  byId("graph-tools").append(make("input", { type: "search", id: "graph-search", placeholder: "Find in graph", "aria-label": "Find in graph", oninput: event => searchGraph(event.target.value), onkeydown: event => { if (event.key === "Enter") nextFound(); } }),
    go("Next", nextFound, "Next that was found"), go("−", () => zoomGraph(.8), "Zoom graph out"), go("+", () => zoomGraph(1.25), "Zoom graph in"), go("Show all", showWhole, "Show all of the graph"),
    go("Close modules", () => { needTree(); openSome(45); rebuild(); }), go("Open modules", () => { needTree(); openSome(MOST); rebuild(); }),
    make("span", { id: "graph-count", class: "count" }), make("span", { id: "graph-said", class: "count", role: "status" }));
  const sample = (style, text) => make("span", {}, make("i", { style }), text);
  byId("graph-legend").append(sample("border:2px solid var(--engine)", "engine"), sample("border:2px solid var(--host);background:var(--host-wash)", "host"), sample("border:2px dashed var(--engine)", "module with both"), make("span", {}, "A click on a module opens or closes it, on an operation shows it. Drag to move, Ctrl and the wheel to zoom."));
  watchGraph(byId("graph-view"));
  listeners.push(i => { graph.chosen = i; if (graph.boxes.length) mark(); });
  // Laid out when it comes near, so that the rest of the page does not wait.
  new IntersectionObserver((entries, observer) => { if (entries.some(entry => entry.isIntersecting)) { observer.disconnect(); ensureGraph(); } }, { rootMargin: "600px" }).observe(byId("graph-view"));
}
