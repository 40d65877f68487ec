// Memory, precision, other generations, passes, rules.
const remedyOf = rule => /^ {2}what to do: (.*)$/m.exec(data.rules[rule] ?? "")?.[1] ?? "";

const tableOf = (heads, rows) => [make("thead", {}, make("tr", {}, ...heads.map(([text, number]) => make("th", { scope: "col", class: number ? "num" : undefined }, text)))), make("tbody", {}, ...rows)];
const cells = (row, heads) => row.map((content, i) => make("td", { class: heads[i][1] ? "num" : undefined }, ...[content].flat()));

/** The area under `values` over predicted time: of each column of pixels the most. */
function areaOf(values, x, y, width) {
  const most = new Map();
  let now = 0;
  for (const [i, value] of values.entries()) {
    const from = Math.floor(x(now)), to = Math.floor(x(now += ops[i].predicted_us));
    for (let column = from; column <= to; ++column) most.set(column, Math.max(most.get(column) ?? 0, value));
  }
  const columns = [...most.keys()].sort((a, b) => a - b);
  return columns.map((column, i) => `${i ? "L" : "M"}${column} ${y(most.get(column)).toFixed(1)}L${Math.min(column + 1, width)} ${y(most.get(column)).toFixed(1)}`).join("") + `L${columns.at(-1)} ${y(0)}L${columns[0]} ${y(0)}Z`;
}

function showMemory() {
  if (!ops.length) return void (byId("memory").hidden = true);
  const alive = findMemory(), peak = alive.reduce((best, value, i) => value > alive[best] ? i : best, 0), chip = data.on_chip_bytes, spent = ops.reduce((sum, op) => sum + op.predicted_us, 0) || 1;
  const over = alive.filter(value => value > chip).length;
  byId("memory-note").append(`Values that are alive while each operation runs, without weights, in the order of the report. At most ${spellBytes(alive[peak])}, at `, linkTo(peak), over ? `; ${plural(over, "operation")} above the ${spellBytes(chip)} that stay on chip.` : `; ${spellBytes(chip)} stay on chip.`);
  const width = 1000, height = 220, left = 62, bottom = height - 24, top = (chip < alive[peak] * 3 ? Math.max(chip, alive[peak]) : alive[peak]) * 1.08 || 1;
  const x = at => left + at / spent * (width - left - 10), y = value => bottom - value / top * (bottom - 12);
  const chart = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Memory over time: at most ${spellBytes(alive[peak])} of ${spellBytes(chip)} on chip` });
  const text = (content, at, down, anchor) => { const node = draw("text", { x: at, y: down, "text-anchor": anchor }); node.textContent = content; chart.append(node); };
  for (const part of [0, .25, .5, .75, 1]) { const value = top / 1.08 * part; chart.append(draw("line", { class: "axis", x1: left, x2: width - 10, y1: y(value), y2: y(value) })); text(spellBytes(value), left - 6, y(value) + 4, "end"); }
  for (const part of [0, .25, .5, .75, 1]) text(spellTime(spent * part), x(spent * part), height - 6, part === 1 ? "end" : part ? "middle" : "start");
  chart.append(draw("path", { class: "area", d: areaOf(alive, x, y, width - 10) }));
  if (chip <= top) { chart.append(draw("line", { class: "limit", x1: left, x2: width - 10, y1: y(chip), y2: y(chip) })); text(`on chip, ${spellBytes(chip)}`, width - 14, y(chip) - 5, "end"); }
  byId("memory-chart").append(chart);
}

/** How many results have their largest value in each power of four; beyond fp16 in another colour. */
function rangeChart(peaks) {
  const low = -24, high = 20, bins = new Array((high - low) / 2).fill(0);
  let zero = 0;
  for (const peak of peaks) if (peak === 0) ++zero; else bins[Math.min(bins.length - 1, Math.max(0, Math.floor((Math.log2(peak) - low) / 2)))]++;
  const width = 560, height = 190, bottom = height - 34, most = Math.max(...bins, 1), step = (width - 50) / bins.length;
  const chart = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Largest magnitudes of ${peaks.length} results by power of four; the largest is ${Math.max(0, ...peaks).toPrecision(3)}, fp16 ends at 65504` });
  const text = (content, x, y, anchor = "middle") => { const node = draw("text", { x, y, "text-anchor": anchor }); node.textContent = content; chart.append(node); };
  chart.append(draw("line", { class: "axis", x1: 40, x2: width - 5, y1: bottom, y2: bottom }));
  bins.forEach((n, i) => {
    const power = low + 2 * i, x = 40 + i * step, tall = n / most * (bottom - 14);
    if (n) { chart.append(draw("rect", { class: "column" + (power >= 16 ? " high" : ""), x: x + 1, y: bottom - tall, width: step - 2, height: tall })); text(n, x + step / 2, bottom - tall - 3); }
    if (i % 3 === 0) text("2" + String(power).replace(/./g, c => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]), x, bottom + 15);
  });
  const end = 40 + (16 - low) / 2 * step;
  chart.append(draw("line", { class: "limit", x1: end, x2: end, y1: 8, y2: bottom }));
  text("fp16 ends", end - 4, 12, "end");
  text(`largest value of a result${zero ? `; ${zero} are zero` : ""}`, width / 2 + 20, height - 3);
  return chart;
}

const SMALLEST = 6e-8;

function showPrecision() {
  const body = byId("precision-body"), found = data.accuracy, repaired = ops.filter(op => op.repair), measured = ops.filter(op => op.error !== undefined);
  const add = (title, ...content) => { const place = make("div", {}, make("h3", {}, title), ...content); two.append(place); };
  const two = make("div", { class: "two" });
  const scroll = (label, heads, rows) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, make("table", {}, ...tableOf(heads, rows.map(row => make("tr", {}, ...cells(row, heads))))));
  const none = !found || found.not_measured !== undefined;
  if (none) body.append(make("p", { class: "note" }, `Not measured: ${found?.not_measured || "made without a check"}. --check=full runs the model whatever it takes; --calibration=DIR runs it on samples of yours.`));
  else add("Outputs against fp32", scroll("Outputs", [["output"], ["cosine", 1], ["largest error", 1], ["verdict"]], found.outputs.map(o => [o.name, o.cosine.toFixed(6), o.integers_differing ? spellPart(o.integers_differing) + " differ" : o.max_error === null ? "not finite" : spellPart(o.max_error), make("span", { class: "chip " + (o.within_bar ? "good" : "bad") }, o.within_bar ? "within the bar" : "beyond it")])),
    make("p", { class: "note" }, `${found.numerics} numerics, on ${found.guessed ? "guessed inputs" : "samples"}: ${found.samples.join("; ")}.${found.kept_fp32 ? ` ${plural(found.kept_fp32, "operation")} kept in fp32 on the host.` : ""}${found.repair_undone ? " Repairs made it worse and were undone." : ""}`));
  if (measured.length) {
    // What is below fp16's smallest number is zero there, and rarely matters.
    const visible = measured.filter(op => op.peak === null || op.peak >= SMALLEST), tiny = measured.filter(op => op.peak > 0 && op.peak < SMALLEST).length;
    const worst = visible.sort((a, b) => (b.error ?? Infinity) - (a.error ?? Infinity)).slice(0, 8);
    add("Largest values", rangeChart(measured.filter(op => op.peak !== null).map(op => op.peak)));
    add("Operations that are off most", scroll("Operations that are off most", [["operation"], ["off fp32", 1], ["coming in", 1], ["largest value", 1]], worst.map(op => [linkTo(op.index), op.error === null ? "not finite" : spellPart(op.error), spellPart(Math.max(0, ...op.inputs.map(i => ops[i].error ?? 0))), op.peak === null ? "" : op.peak.toPrecision(3)])), tiny ? make("p", { class: "note" }, `Without ${plural(tiny, "result")} wholly below ${SMALLEST}, fp16's smallest number.`) : "");
  }
  if (repaired.length) add("Repaired for fp16", scroll("Repaired for fp16", [["operation"], ["what was found, and done"]], repaired.slice(0, 40).map(op => [linkTo(op.index), op.repair])), repaired.length > 40 ? make("p", { class: "note" }, `and ${repaired.length - 40} more`) : "");
  else if (!none) add("Repaired for fp16", make("p", { class: "note" }, "Nothing: no value was found that fp16 cannot hold."));
  body.append(two);
}

function showTargets() {
  const heads = [["generation"], ["what"], ["engine", 1], ["host", 1], ["±", 1], ["together"], ["not taken there", 1]], slowest = Math.max(...data.targets.map(t => t.engine_us + t.host_us), 1e-9);
  const bar = t => make("div", { class: "stack", style: `width:${Math.max(1, 100 * (t.engine_us + t.host_us) / slowest)}%;min-width:4px` }, t.engine_us > 0 ? make("span", { class: "meter", style: `flex:${t.engine_us} 1 0` }) : "", t.host_us > 0 ? make("span", { class: "meter host", style: `flex:${t.host_us} 1 0` }) : "");
  byId("targets-table").append(...tableOf(heads, data.targets.map(t => {
    const row = make("tr", t.name === data.target ? { class: "made" } : {}, ...cells([t.name + (t.name === data.target ? " (this report)" : ""), t.summary, spellTime(t.engine_us), spellTime(t.host_us), Math.round(t.error_percent) + " %", bar(t), t.refused_ops ? [plural(t.refused_ops, "op") + " ", ruleLink(t.rule)] : ""], heads));
    row.children[5].style.width = "24%";
    return row;
  })));
}

function showPasses() {
  const list = counts => Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([op, n]) => `${n} × ${spellOp(op)}`).join(", ");
  const busy = data.passes.filter(pass => Object.keys(pass.more).length || Object.keys(pass.fewer).length), heads = [["pass"], ["ops before", 1], ["after", 1], ["more"], ["fewer"]];
  if (!data.passes.length) return void (byId("passes").hidden = true);
  byId("passes-note").textContent = busy.length ? `${busy.length} of ${plural(data.passes.length, "pass", "passes")} changed which operations there are.` : "No pass changed which operations there are.";
  if (busy.length) byId("passes-table").append(...tableOf(heads, busy.map(pass => make("tr", {}, ...cells([make("code", {}, pass.pass), spellCount(pass.ops_before), spellCount(pass.ops_after), list(pass.more), list(pass.fewer)], heads)))));
}

/** What --explain prints: a heading, then lines of `key: value` and, deeper, what belongs to the last. */
function readRule(text) {
  const [head, ...lines] = text.trimEnd().split("\n"), entries = [];
  for (const line of lines) {
    const found = /^ {2}(\S[^:]*): (.*)$/.exec(line);
    if (found) entries.push([found[1], [found[2]]]);
    else if (/^ {4}/.test(line) && entries.length) entries.at(-1)[1].push(line.trim());
    else { const limit = /^ {2}(\S+)\s+(.*)$/.exec(line); entries.push(limit ? [limit[1], [limit[2]]] : ["", [line.trim()]]); }
  }
  return { head: head.slice(head.indexOf(": ") + 2), entries };
}

function showRules() {
  const rules = Object.entries(data.rules);
  if (!rules.length) return void (byId("rules").hidden = true);
  for (const [id, text] of rules) {
    const { head, entries } = readRule(text), broken = ops.filter(op => op.rule === id).length;
    byId("rules-list").append(make("div", { class: "rule-text", id: "rule-" + id }, make("h3", {}, make("code", {}, id), " " + head), make("p", { class: "note" }, broken ? `${plural(broken, "operation")} of this report.` : "Of another generation."),
      make("dl", {}, ...entries.flatMap(([key, lines]) => [make("dt", {}, key), make("dd", {}, ...lines.flatMap((line, i) => i ? [make("br"), line] : [line]))]))));
  }
}
