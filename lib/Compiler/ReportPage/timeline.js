// Engine and host as two lanes over predicted time; programs, what they hold, and where values cross.
const events = findEvents();
const KINDS = { dispatch: ["dispatch", "#8a8f98"], arithmetic: ["arithmetic", "#3b7ddd"], weights: ["streaming weights", "#8b5fc7"], elements: ["work per element", "#2f9e6b"], movement: ["moving data", "#c79a1b"], host: ["host", "#d9822b"], rest: ["surfaces", "#c2524a"] };
const timeline = { from: 0, to: total, folded: new Set(programs.length > 12 ? programs.map((_, i) => i) : []), chosen: null };
const LANE = 78, AXIS = 26, HEAD = 22;

const kindOf = event => event.kind === "dispatch" ? "dispatch" : event.op === undefined ? "rest" : ops[event.op].placement !== "ane" ? "host" : ops[event.op].bound in KINDS ? ops[event.op].bound : "elements";
const laneTop = engine => AXIS + (engine ? 0 : LANE + 10);

/** Round steps of the axis: 1, 2 or 5 times a power of ten. */
function stepOf(span, most) {
  const rough = span / most, power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5, 10].find(step => step * power >= rough));
}

function paintAxis(g, width, x) {
  const step = stepOf(timeline.to - timeline.from, Math.max(2, width / 110)), digits = Math.max(0, -Math.floor(Math.log10(step)));
  g.font = "11px system-ui, sans-serif";
  g.fillStyle = colour("soft");
  g.strokeStyle = colour("line");
  for (let at = Math.ceil(timeline.from / step) * step; at <= timeline.to; at += step) {
    g.beginPath(); g.moveTo(Math.round(x(at)) + .5, 16); g.lineTo(Math.round(x(at)) + .5, AXIS + 2 * LANE + 10); g.stroke();
    g.textAlign = x(at) > width - 60 ? "right" : "left";
    g.fillText(total >= 1e4 ? (at / 1000).toFixed(Math.max(0, digits + 3 - 3 * (digits < 1))).replace(/\.?0+$/, "") + " ms" : at.toFixed(digits) + " µs", x(at) + (g.textAlign === "left" ? 4 : -4), 12);
  }
}

/** What is narrower than a pixel is drawn once per pixel. */
function paintEvents(g, width, x) {
  let painted = [-1, -1];
  for (const event of events) {
    if (event.start > timeline.to || event.start + event.length < timeline.from) continue;
    const folded = timeline.folded.has(event.program), left = Math.max(x(event.start), -2), right = Math.min(x(event.start + event.length), width + 2), top = laneTop(event.engine);
    if (!event.part) {
      g.fillStyle = colour(event.engine ? "engine" : "host");
      const height = folded ? LANE - 6 : HEAD;
      g.fillRect(left, top, Math.max(right - left - 1, 1), height);
      if (!folded) { g.fillStyle = KINDS[event.engine ? "rest" : "host"][1]; g.globalAlpha = .25; g.fillRect(left, top + HEAD + 3, Math.max(right - left - 1, 1), LANE - HEAD - 9); g.globalAlpha = 1; }
      label(g, (folded ? "▸ " : "▾ ") + event.name + (folded ? ` · ${plural(programs[event.program].ops, "op")}` : ""), left, right, top + (folded ? height / 2 + 4 : 15), colour(event.engine ? "engine-ink" : "host-ink"));
      continue;
    }
    if (folded || event.length === 0) continue;
    const lane = event.engine ? 0 : 1;
    if (right - left < 1 && Math.floor(right) === painted[lane] && event.op !== timeline.chosen) continue;
    painted[lane] = Math.floor(right);
    g.fillStyle = KINDS[kindOf(event)][1];
    g.fillRect(left, top + HEAD + 3, Math.max(right - left - (right - left > 3 ? .6 : 0), .8), LANE - HEAD - 9);
    if (event.op !== undefined && event.op === timeline.chosen) { g.strokeStyle = colour("focus"); g.lineWidth = 3; g.strokeRect(left, top + HEAD + 3, Math.max(right - left, 2), LANE - HEAD - 9); g.lineWidth = 1; }
    label(g, event.op === undefined ? event.name : event.name.split("/").at(-1), left, right, top + HEAD + 30, "#ffffff");
  }
}

function label(g, text, left, right, y, ink) {
  const from = Math.max(left, 0) + 5;
  if (right - from < 32) return;
  g.save();
  g.beginPath(); g.rect(left, 0, right - left - 4, 1000); g.clip();
  g.fillStyle = ink;
  g.textAlign = "left";
  g.font = "11.5px system-ui, sans-serif";
  g.fillText(text, from, y);
  g.restore();
}

/** Between programs on different sides values cross. */
function paintCrossings(g, x) {
  const whole = events.filter(event => !event.part);
  g.strokeStyle = g.fillStyle = colour("ink");
  for (let i = 1; i < whole.length; ++i) {
    if (whole[i].engine === whole[i - 1].engine) continue;
    const at = Math.round(x(whole[i].start)) + .5;
    if (at < 0 || at > g.canvas.clientWidth) continue;
    g.setLineDash([3, 2]);
    g.beginPath(); g.moveTo(at, laneTop(true) + LANE - 4); g.lineTo(at, laneTop(false)); g.stroke();
    g.setLineDash([]);
    g.beginPath(); g.arc(at, laneTop(whole[i].engine) + (whole[i].engine ? LANE - 4 : 0), 3, 0, 7); g.fill();
  }
}

/** At the right of what a lane has nothing at, where there is room. */
function paintLaneNames(g, width) {
  g.font = "600 11px system-ui, sans-serif";
  for (const engine of [true, false]) {
    const name = (engine ? "ENGINE" : "HOST") + (events.some(event => event.engine === engine) ? "" : ": NOTHING");
    const wide = g.measureText(name).width + 12;
    g.fillStyle = colour("panel");
    g.globalAlpha = .85;
    g.fillRect(width - wide, laneTop(engine) + LANE - 22, wide, 16);
    g.globalAlpha = 1;
    g.fillStyle = colour("soft");
    g.textAlign = "right";
    g.fillText(name, width - 6, laneTop(engine) + LANE - 10);
  }
}

function paintTimeline() {
  const canvas = byId("timeline-canvas").firstChild, width = canvas.clientWidth, height = AXIS + 2 * LANE + 16, ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  const x = at => (at - timeline.from) / (timeline.to - timeline.from) * width;
  paintAxis(g, width, x);
  g.fillStyle = colour("wash");
  for (const engine of [true, false]) g.fillRect(0, laneTop(engine), width, LANE - 6);
  paintEvents(g, width, x);
  paintCrossings(g, x);
  paintLaneNames(g, width);
}

function zoomTimeline(factor, around = (timeline.from + timeline.to) / 2) {
  const span = Math.min(total, Math.max((timeline.to - timeline.from) * factor, total / 1e5)), part = (around - timeline.from) / (timeline.to - timeline.from);
  moveTimeline(around - part * span, span);
}
function moveTimeline(from, span = timeline.to - timeline.from) {
  timeline.from = Math.max(0, Math.min(from, total - span));
  timeline.to = timeline.from + span;
  requestAnimationFrame(paintTimeline);
}

function eventAt(canvas, clientX, clientY) {
  const box = canvas.getBoundingClientRect(), at = timeline.from + (clientX - box.left) / box.width * (timeline.to - timeline.from), y = clientY - box.top, engine = y < laneTop(false);
  const slack = (timeline.to - timeline.from) / box.width, whole = events.find(event => !event.part && event.engine === engine && event.start <= at && at <= event.start + event.length);
  if (!whole || y < laneTop(engine) || timeline.folded.has(whole.program) || y < laneTop(engine) + HEAD) return whole;
  let best = whole;
  for (const event of events) if (event.part && event.program === whole.program && event.length > 0 && event.start - slack <= at && at <= event.start + event.length + slack && (best === whole || event.length > best.length)) best = event;
  return best;
}

function describeEvent(event) {
  if (event.op !== undefined) return `${event.name}\n${spellOp(ops[event.op].op)} ${spellType(ops[event.op].type)}\n${spellTime(event.length)} from ${spellTime(event.start)}${ops[event.op].why ? "\n" + ops[event.op].why : ""}`;
  if (event.part) return `starting the program: ${spellTime(event.length)}`;
  const program = programs[event.program];
  return `${program.name} on the ${event.engine ? "engine" : "host"}: ${plural(program.ops, "operation")}, ${program.depth} deep\n${spellTime(event.length)} from ${spellTime(event.start)}\n${spellBytes(program.input_bytes)} in, ${spellBytes(program.output_bytes)} out`;
}

function toggleProgram(i) {
  timeline.folded.has(i) ? timeline.folded.delete(i) : timeline.folded.add(i);
  paintTimeline();
  showPrograms();
}

function watchTimeline(canvas) {
  let grabbed = null;
  canvas.addEventListener("pointerdown", event => { grabbed = { x: event.clientX, from: timeline.from, moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", event => {
    if (!grabbed) { const found = eventAt(canvas, event.clientX, event.clientY); return showTip(found ? describeEvent(found) : "", event.clientX, event.clientY); }
    const by = event.clientX - grabbed.x;
    grabbed.moved ||= Math.abs(by) > 3;
    if (grabbed.moved) moveTimeline(grabbed.from - by / canvas.clientWidth * (timeline.to - timeline.from));
  });
  canvas.addEventListener("pointerup", event => {
    const moved = grabbed?.moved;
    grabbed = null;
    if (moved) return;
    const found = eventAt(canvas, event.clientX, event.clientY);
    if (found?.op !== undefined) showOperation(found.op);
    else if (found && !found.part) toggleProgram(found.program);
  });
  canvas.addEventListener("pointercancel", () => grabbed = null);
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("wheel", event => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomTimeline(event.deltaY > 0 ? 1.25 : .8, timeline.from + (event.clientX - box.left) / box.width * (timeline.to - timeline.from));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const span = timeline.to - timeline.from;
    const act = { ArrowLeft: () => moveTimeline(timeline.from - span / 5), ArrowRight: () => moveTimeline(timeline.from + span / 5), "+": () => zoomTimeline(.5), "=": () => zoomTimeline(.5), "-": () => zoomTimeline(2), "0": () => moveTimeline(0, total) }[event.key];
    if (act && !event.ctrlKey && !event.metaKey) { event.preventDefault(); act(); }
  });
}

const PARTS = [["dispatch_us", "dispatch"], ["compute_us", "arithmetic"], ["weights_us", "weights"], ["vector_us", "elements"], ["move_us", "movement"], ["surfaces_us", "rest"], ["host_us", "host"]];

function showPrograms() {
  const longest = Math.max(...programs.map(program => program.predicted_us), 1e-9);
  const head = make("thead", {}, make("tr", {}, ...["program", "where"].map(text => make("th", { scope: "col" }, text)), ...["ops", "deep", "in", "out", "predicted"].map(text => make("th", { scope: "col", class: "num" }, text)), make("th", { scope: "col", style: "width:35%" }, "made of")));
  const rows = programs.map((program, i) => {
    const parts = { ...program.predicted, host_us: program.kind === "ane" ? 0 : program.predicted_us }, bar = make("div", { class: "stack", style: `width:${Math.max(2, 100 * program.predicted_us / longest)}%` });
    for (const [key, kind] of PARTS) if (parts[key] > 0) bar.append(make("span", { class: "meter", style: `flex:${parts[key]} 1 0;background:${KINDS[kind][1]}`, title: `${KINDS[kind][0]}: ${spellTime(parts[key])}` }));
    const fold = make("button", { type: "button", class: "plain", "aria-expanded": String(!timeline.folded.has(i)), onclick: () => toggleProgram(i) }, (timeline.folded.has(i) ? "▸ " : "▾ ") + program.name);
    return make("tr", {}, make("td", {}, fold), make("td", {}, placeChip(program.kind === "ane" ? "ane" : "host")), ...[spellCount(program.ops), spellCount(program.depth), spellBytes(program.input_bytes), spellBytes(program.output_bytes), spellTime(program.predicted_us)].map(text => make("td", { class: "num" }, text)), make("td", {}, bar));
  });
  byId("programs").querySelector("table").replaceChildren(head, make("tbody", {}, ...rows));
}

function findInTimeline(i) {
  const event = events.find(each => each.op === i);
  timeline.folded.delete(event.program);
  timeline.chosen = i;
  const span = Math.min(total, Math.max(event.length * 12, total / 200));
  moveTimeline(event.start + event.length / 2 - span / 2, span);
  showPrograms();
  byId("timeline").scrollIntoView({ block: "start" });
}

function showTimeline() {
  const crossings = programs.filter((program, i) => i && (program.kind === "ane") !== (programs[i - 1].kind === "ane")).length;
  byId("timeline-note").textContent = `${plural(programs.length, "program")} one after the other, ${spellTime(total)} in all${crossings ? `; values cross between engine and host ${crossings === 1 ? "once" : crossings + " times"}` : ""}. Drag to move, Ctrl and the wheel to zoom; a click on a program folds it.`;
  const canvas = make("canvas", { tabindex: "0", role: "img", style: `height:${AXIS + 2 * LANE + 16}px`, "aria-label": `Timeline of ${plural(programs.length, "program")} on engine and host, ${spellTime(total)}. Arrow keys move, plus and minus zoom, zero shows all. The table below has the same.` });
  byId("timeline-canvas").append(canvas);
  const say = text => byId("timeline-said").textContent = text;
  const go = (text, act, name = text) => make("button", { type: "button", onclick: act, "aria-label": name }, text);
  byId("timeline-tools").append(go("−", () => zoomTimeline(2), "Zoom out"), go("+", () => zoomTimeline(.5), "Zoom in"), go("Show all", () => moveTimeline(0, total)),
    go("Fold programs", () => { programs.forEach((_, i) => timeline.folded.add(i)); paintTimeline(); showPrograms(); }), go("Unfold", () => { timeline.folded.clear(); paintTimeline(); showPrograms(); }),
    go("Open in Perfetto ↗", () => openPerfetto(events, say), "Open the trace in Perfetto, on ui.perfetto.dev"), go("Save trace", () => saveTrace(events)), make("span", { id: "timeline-said", class: "count", role: "status" }));
  byId("timeline-legend").append(...Object.values(KINDS).map(([text, tint]) => make("span", {}, make("i", { style: `background:${tint}` }), text)));
  watchTimeline(canvas);
  showPrograms();
  listeners.push(i => { timeline.chosen = i; requestAnimationFrame(paintTimeline); });
  new ResizeObserver(paintTimeline).observe(byId("timeline-canvas"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintTimeline);
}
