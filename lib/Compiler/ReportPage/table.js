// The operations, dearest first. Only the rows in sight are in the page, so that tens of thousands cost nothing.
const ROW = 34, IN_SIGHT = Math.ceil(576 / ROW); // as views.css has them
const COLUMNS = [
  { key: "predicted_us", name: "predicted", width: 112, number: true, show: op => spellTime(op.predicted_us) },
  { key: "title", name: "node", width: 300, show: op => op.title },
  { key: "op", name: "operation", width: 130, show: op => spellOp(op.op) },
  { key: "placement", name: "where", width: 92, show: op => placeChip(op.placement) },
  { key: "why", name: "why", width: 260, show: op => [ruleLink(op.rule), op.rule ? " " : "", op.legal_on_engine ? make("span", { class: "chip", title: "no rule keeps it from the engine" }, "legal, not chosen") : "", op.legal_on_engine ? " " : "", op.why] },
  { key: "evidence", name: "evidence", width: 100, show: op => op.evidence ?? "" },
  { key: "bytes", name: "bytes", width: 86, number: true, show: op => spellBytes(op.bytes) },
  { key: "type", name: "result", width: 190, show: op => spellType(op.type) },
  { key: "precision", name: "precision", width: 98, show: op => op.precision },
  { key: "error", name: "off fp32", width: 84, number: true, show: op => op.error === undefined ? "" : op.error === null ? "not finite" : spellPart(op.error) },
  { key: "bound", name: "goes into", width: 106, show: op => op.bound ?? "host" },
  { key: "program", name: "program", width: 100, show: op => op.program },
];
const table = { order: COLUMNS[0], down: true, grouped: false, open: new Set(), rows: [], first: -1, chosen: null, shown: 0 };

const valueOf = (op, column) => { const value = op[column.key]; return value === null ? Infinity : value ?? (column.number ? -1 : ""); };
const byOrder = (a, b) => {
  const x = valueOf(ops[a], table.order), y = valueOf(ops[b], table.order);
  return (typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0) * (table.down ? -1 : 1) || a - b;
};

/** Groups by cost where the order is by time, else as they come in the model. */
function addGroup(group, matches, depth, rows) {
  const members = [];
  for (const child of group.children) {
    if (!child.children) { if (matches[child.op]) members.push({ op: child.op, cost: ops[child.op].predicted_us }); continue; }
    let n = 0, cost = 0;
    for (const i of child.ops) if (matches[i]) { ++n; cost += ops[i].predicted_us; }
    if (n) members.push({ group: child, n, cost });
  }
  if (table.order.key === "predicted_us") members.sort((a, b) => table.down ? b.cost - a.cost : a.cost - b.cost);
  for (const member of members) {
    rows.push({ ...member, depth });
    if (member.group && table.open.has(member.group.id)) addGroup(member.group, matches, depth + 1, rows);
  }
}

function filterTable() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean), where = byId("where").value;
  const suits = { "": () => true, ane: op => op.placement === "ane", host: op => op.placement !== "ane", chosen: op => op.legal_on_engine, repaired: op => op.repair, weak: op => op.evidence && op.evidence !== "raw" }[where];
  const matches = ops.map(op => suits(op) && words.every(word => op.text.includes(word)));
  table.shown = matches.reduce((n, yes) => n + Boolean(yes), 0);
  table.rows = [];
  if (table.grouped) needTree(), addGroup(tree, matches, 0, table.rows);
  else for (const i of ops.map(op => op.index).filter(i => matches[i]).sort(byOrder)) table.rows.push({ op: i, depth: 0 });
  byId("operations-count").textContent = `${spellCount(table.shown)} of ${plural(ops.length, "operation")}`;
  table.first = -1;
  fillTable();
}

function makeRow(row, at) {
  const indent = `padding-left:${.6 + 1.1 * row.depth}rem`;
  if (row.group) {
    const open = table.open.has(row.group.id);
    const toggle = () => { open ? table.open.delete(row.group.id) : table.open.add(row.group.id); filterTable(); byId("operations-grid").querySelector(`[data-group="${row.group.id}"]`)?.focus(); };
    return make("tr", { class: "group", "aria-rowindex": at + 2 }, make("td", { class: "num" }, spellTime(row.cost)),
      make("td", { colspan: "2", style: indent }, make("button", { type: "button", class: "plain", "data-group": row.group.id, "aria-expanded": String(open), onclick: toggle }, `${open ? "▾" : "▸"} ${row.group.name}`)),
      make("td", { colspan: COLUMNS.length - 3 }, `${plural(row.n, "operation")}${row.group.host ? `, ${row.group.host} on the host` : ""}`));
  }
  const op = ops[row.op];
  return make("tr", { class: op.placement === "ane" ? "ane" : "host", "aria-rowindex": at + 2, "aria-selected": String(op.index === table.chosen), "data-op": op.index },
    ...COLUMNS.map(column => {
      const shown = column.show(op);
      if (column.key === "title") return make("td", { style: indent, title: op.title }, make("button", { type: "button", class: "plain mono", onclick: () => showOperation(op.index) }, shown));
      return make("td", { class: column.number ? "num" : undefined, title: column.key === "why" && op.why ? op.why : undefined }, ...[shown].flat());
    }));
}

function fillTable() {
  const grid = byId("operations-grid"), body = grid.querySelector("tbody"), first = Math.max(0, Math.min(Math.floor(grid.scrollTop / ROW) - 6, table.rows.length - 1)), last = Math.min(table.rows.length, first + IN_SIGHT + 12);
  if (first === table.first && body.childElementCount) return;
  table.first = first;
  const space = rows => make("tr", { "aria-hidden": "true" }, make("td", { class: "space", colspan: COLUMNS.length, style: `height:${rows * ROW}px` }));
  const focused = document.activeElement?.closest?.("tr[data-op]")?.dataset.op;
  const rows = table.rows.slice(first, last).map((row, i) => makeRow(row, first + i));
  body.replaceChildren(...(first ? [space(first)] : []), ...rows, ...(last < table.rows.length ? [space(table.rows.length - last)] : []));
  grid.querySelector("table").setAttribute("aria-rowcount", table.rows.length + 1);
  if (focused !== undefined) body.querySelector(`tr[data-op="${focused}"] button`)?.focus({ preventScroll: true });
}

function sortBy(column, cell) {
  table.down = table.order === column ? !table.down : Boolean(column.number);
  table.order = column;
  for (const other of cell.parentNode.children) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", table.down ? "descending" : "ascending");
  byId("operations-grid").scrollTop = 0;
  filterTable();
}

function findInTable(i) {
  byId("filter").value = "";
  byId("where").value = "";
  for (let group = placeOf(i).up; group; group = group.up) table.open.add(group.id);
  table.chosen = i;
  filterTable();
  const at = table.rows.findIndex(row => row.op === i);
  byId("operations-grid").scrollTop = Math.max(0, at * ROW - 200);
  fillTable();
  byId("operations").scrollIntoView({ block: "start" });
}

function showTable() {
  const head = make("tr");
  for (const column of COLUMNS) {
    const cell = make("th", { scope: "col", class: column.number ? "num" : undefined, "data-key": column.key, style: `width:${column.width}px` });
    cell.append(make("button", { type: "button", onclick: () => sortBy(column, cell) }, column.name));
    if (column === table.order) cell.setAttribute("aria-sort", "descending");
    head.append(cell);
  }
  byId("operations-grid").querySelector("table").style.width = COLUMNS.reduce((sum, column) => sum + column.width, 0) + "px";
  byId("operations-grid").querySelector("table").append(make("thead", {}, head), make("tbody"));
  const choices = [["", "engine and host"], ["ane", "engine"], ["host", "host"], ["chosen", "legal, not chosen"], ["repaired", "repaired for fp16"], ["weak", "weaker evidence"]];
  byId("operations-tools").append(make("input", { id: "filter", type: "search", placeholder: "Filter by node, operation, type, rule, reason", "aria-label": "Filter operations", oninput: filterTable }),
    make("select", { id: "where", "aria-label": "Which operations", onchange: filterTable }, ...choices.map(([value, text]) => make("option", { value }, text))),
    make("label", { class: "check" }, make("input", { type: "checkbox", id: "grouped", onchange: event => { table.grouped = event.target.checked; byId("operations-grid").scrollTop = 0; filterTable(); } }), "group by module"),
    make("span", { id: "operations-count", class: "count", role: "status" }));
  byId("operations-grid").addEventListener("scroll", () => requestAnimationFrame(fillTable), { passive: true });
  listeners.push(i => {
    table.chosen = i;
    for (const row of byId("operations-grid").querySelectorAll("tr[data-op]")) row.setAttribute("aria-selected", String(Number(row.dataset.op) === i));
  });
  filterTable();
}
