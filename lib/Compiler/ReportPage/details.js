// What is known of one operation, beside whatever view it was chosen in.
const listeners = []; // told which operation was chosen
let returnTo = null; // where the keyboard was

const BOUNDS = { arithmetic: "arithmetic", weights: "streaming its weights", elements: "work per element", movement: "moving data", absorbed: "nothing: part of the convolution before it", free: "nothing at run time" };

function linkTo(i) {
  return make("button", { type: "button", class: "plain", onclick: () => showOperation(i) }, `${ops[i].title} (${spellOp(ops[i].op)})`);
}

function linksTo(list) {
  const shown = list.slice(0, 8).flatMap((i, k) => k ? [make("br"), linkTo(i)] : [linkTo(i)]);
  return list.length > 8 ? [...shown, make("br"), `and ${list.length - 8} more`] : shown;
}

function properties(op) {
  const remedy = remedyOf(op.rule), exact = op.error === undefined ? undefined : op.error === null ? "not finite" : spellPart(op.error) + " off fp32";
  return [["operation", spellOp(op.op)], ["result", spellType(op.type)], ["where", [placeChip(op.placement), " ", op.program, op.legal_on_engine ? " · legal on the engine, not chosen" : ""]],
    ["why", [ruleLink(op.rule), op.rule ? " " : "", op.why]], ["what to do", op.placement === "ane" ? "" : remedy],
    ["predicted", `${spellTime(op.predicted_us)} (${spellPart(total ? op.predicted_us / total : 0)} of all)`], ["goes into", op.bound && BOUNDS[op.bound]],
    ["arithmetic", op.flops ? spellCount(Math.round(op.flops)) + " operations" : ""], ["weights", op.weight_bytes ? spellBytes(op.weight_bytes) : ""], ["moves", spellBytes(op.activation_bytes)],
    ["evidence", op.evidence ? `${op.evidence}: ${op.evidence_text}` : ""], ["accuracy here", exact], ["largest value", op.peak === undefined || op.peak === null ? "" : op.peak.toPrecision(4)],
    ["reads", [...linksTo(op.inputs), ...(op.model_inputs ?? []).map(i => ` ${data.model_inputs[i].name}`)]], ["read by", linksTo(op.readers)]]
    .filter(([, value]) => value && value.length && !(Array.isArray(value) && value.every(part => part === "")));
}

function closeDetails() {
  byId("details").hidden = true;
  listeners.forEach(listen => listen(null));
  if (returnTo?.isConnected) returnTo.focus({ preventScroll: true });
}

function showOperation(i) {
  const op = ops[i], panel = byId("details");
  if (panel.hidden) returnTo = document.activeElement;
  listeners.forEach(listen => listen(i));
  const close = make("button", { type: "button", onclick: closeDetails, "aria-label": "Close details" }, "✕");
  const go = (label, act) => make("button", { type: "button", onclick: act }, label);
  panel.replaceChildren(make("header", {}, make("h2", { class: "mono small" }, op.title), close),
    make("dl", {}, ...properties(op).flatMap(([key, value]) => [make("dt", {}, key), make("dd", {}, ...[value].flat())])),
    make("div", { class: "tools" }, go("Show in graph", () => findInGraph(i)), go("Show in table", () => findInTable(i)), go("Show in timeline", () => findInTimeline(i))));
  panel.hidden = false;
  panel.scrollTop = 0;
  close.focus({ preventScroll: true });
}

addEventListener("keydown", event => { if (event.key === "Escape" && !byId("details").hidden) closeDetails(); });
