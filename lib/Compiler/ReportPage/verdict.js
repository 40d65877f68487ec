// The answer first: where the model runs, how long that is predicted to take, how exact it is, what would make it better.
const describeDoor = door => door === "coreml" ? "through Core ML" : door === "e5rt" ? "through E5RT" : "started in memory";
const madeFor = () => { const found = data.targets.find(target => target.name === data.target); return found ? `${data.target} (${found.summary})` : data.target; };

function spellVerdict() {
  const s = data.summary, all = s.engine_ops + s.host_ops;
  if (!all) return ["Nothing is computed", "The model has no operation that computes something at run time."];
  const error = `± ${Math.round(s.predicted_error_percent)} %`;
  const engines = programs.filter(program => program.kind === "ane").length;
  const place = s.package ? `can run on the engine of ${madeFor()}, where Core ML places them so` : `run on the engine of ${madeFor()}, in ${plural(engines, "program")} ${describeDoor(s.door)}`;
  if (!s.engine_ops) return ["It runs on the host alone", `None of ${plural(all, "operation")} runs on the engine of ${madeFor()}; the host is predicted to take ${spellTime(s.predicted_host_us)} (its model is coarse).`];
  if (!s.host_ops) return ["All of it fits the engine", `${all === 1 ? "The one operation" : `All ${spellCount(all)} operations`} ${place}: predicted ${spellTime(s.predicted_engine_us)} ${error} per call.`];
  return ["Most of it fits the engine".replace("Most", s.engine_ops * 2 < all ? "A part" : "Most"),
    `${spellCount(s.engine_ops)} of ${plural(all, "operation")} ${place}: predicted ${spellTime(s.predicted_engine_us)} ${error} per call, and ${spellTime(s.predicted_host_us)} on the host, where ${plural(s.host_ops, "operation")} ${s.host_ops === 1 ? "stays" : "stay"}.`];
}

function showAccuracy() {
  const place = byId("accuracy"), found = data.accuracy;
  if (!found || found.not_measured !== undefined) {
    place.append(make("span", { class: "chip" }, "not checked"), ` Accuracy was not measured: ${found?.not_measured || "this report was made without a check"}.`);
    return;
  }
  const good = found.outputs.every(output => output.within_bar), worst = found.outputs.reduce((least, output) => Math.min(least, output.cosine), 1);
  const differ = found.outputs.filter(output => output.integers_differing > 0).length;
  const what = `${found.numerics} numerics against fp32${found.of_operations ? `, the first ${found.first_operations} of ${found.of_operations} operations` : ""}, on ${found.guessed ? "guessed inputs" : "samples"}`;
  place.append(make("span", { class: "chip " + (good ? "good" : "bad") }, good ? "matches in the interpreter" : "differs in the interpreter"),
    ` Least cosine ${worst.toFixed(6)} over ${plural(found.outputs.length, "output")}${differ ? `, ${plural(differ, "output")} of integers with other values` : ""} (${what}).`);
}

function showFigures() {
  const s = data.summary, weights = ops.reduce((sum, op) => sum + op.weight_bytes, 0), crossing = programs.reduce((sum, program) => sum + program.input_bytes + program.output_bytes, 0);
  const figures = [["predicted, engine", spellTime(s.predicted_engine_us), `± ${Math.round(s.predicted_error_percent)} %`], ["predicted, host", spellTime(s.predicted_host_us), ""],
    ["on the engine", spellCount(s.engine_ops), "ops"], ["on the host", spellCount(s.host_ops), "ops"], ["programs", spellCount(programs.length), ""], ["weights read", spellBytes(weights), ""], ["through surfaces", spellBytes(crossing), ""]];
  if (data.training) figures.push(["a step of training", plural(data.training.dispatches, "dispatch", "dispatches"), `${spellBytes(data.training.weight_bytes)} of weights in, ${spellBytes(data.training.gradient_bytes)} of gradients out`]);
  for (const [label, value, more] of figures) byId("figures").append(make("div", {}, make("dt", {}, label), make("dd", {}, value, more && make("small", {}, " " + more))));
}

function adviceItem(advice, island) {
  const gain = advice.gain_us > 0 && total > 0 ? make("span", { class: "gain" }, `up to −${spellTime(advice.gain_us)} (${spellPart(advice.gain_us / total)})`) : make("span", { class: "note" }, "no gain known");
  const subject = make("button", { type: "button", class: "plain mono", onclick: () => showOperation(advice.row) }, advice.subject);
  const size = (advice.ops > 1 ? ` ${plural(advice.ops, "operation")}${advice.alike > 1 ? " each" : ""}.` : "");
  const alike = advice.alike > 1 ? ` and ${plural(advice.alike - 1, "node")} like it` : "";
  return make("li", {}, make("div", { class: "head" }, make("span", {}, subject, alike), make("span", { class: "num" }, `${spellTime(advice.predicted_us)}, ${spellPart(total ? advice.predicted_us / total : 0)}`)),
    make("p", {}, ruleLink(advice.rule), advice.rule ? " " : "", (advice.why.charAt(0).toUpperCase() + advice.why.slice(1) || (island ? "Placed on the host" : "")) + ".", size),
    make("p", {}, advice.remedy ? advice.remedy + " " : "", gain));
}

function showAdvice() {
  const list = (title, items, island, none) => byId("advice").append(make("div", {}, make("h2", { class: "small" }, title), items.length ? make("ol", {}, ...items.map(item => adviceItem(item, island))) : make("p", { class: "note" }, none)));
  list("Nodes that take longest", data.dearest, false, "Nothing takes time.");
  list(data.summary.package ? "What keeps parts from the engine" : "Islands on the host", data.islands, true, "None: nothing leaves the engine.");
}

function showChoice() {
  const a = data.alternatives;
  if (!a) return;
  const from = a.engine_pays_from_times_positions;
  byId("choice").append(`As placed ${spellTime(a.placed_us)}; all on the host ${spellTime(a.host_only_us)} (`, make("code", {}, "--placement=host"), `); the cheapest split ${spellTime(a.cheapest_us)} (`, make("code", {}, "--placement=cost"), "). The engine is "
    + (from === null ? "never faster" : from === 0 ? "always faster" : `faster from ${from.toFixed(2)} times the positions of this model on`) + "; the model of the host is coarse.");
}

function showVerdict() {
  const [title, sentence] = spellVerdict();
  document.title = data.model + " - placement report";
  byId("model").textContent = data.model;
  byId("verdict-title").textContent = title;
  byId("sentence").textContent = sentence;
  showAccuracy();
  showFigures();
  showAdvice();
  showChoice();
  byId("foot").textContent = `${data.producer}, target ${data.target}. All times are predictions of a cost model; nothing was measured on an engine.`;
}
