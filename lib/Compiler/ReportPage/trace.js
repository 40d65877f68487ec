// Predicted events in time, the same as those of --trace: programs one after the other, their operations inside.
function findEvents() {
  const events = [], inside = programs.map(() => []);
  for (const op of ops) inside[programOf.get(op.program)].push(op);
  let now = 0;
  programs.forEach((program, i) => {
    const engine = program.kind === "ane";
    events.push({ name: program.name, kind: program.kind, start: now, length: program.predicted_us, engine, program: i });
    let at = now;
    if (engine) {
      events.push({ name: "dispatch", kind: "dispatch", start: at, length: program.predicted.dispatch_us, engine, program: i, part: true });
      at += program.predicted.dispatch_us;
    }
    for (const op of inside[i]) {
      events.push({ name: op.node || op.op, kind: op.op, start: at, length: op.predicted_us, engine, program: i, part: true, op: op.index });
      at += op.predicted_us;
    }
    now += program.predicted_us;
  });
  return events;
}

function makeTrace(events) {
  const label = (name, tid, text) => ({ name, ph: "M", pid: 1, ...(tid ? { tid } : {}), args: { name: text } });
  const argumentsOf = event => event.op !== undefined ? { op: ops[event.op].op, type: ops[event.op].type, flops: ops[event.op].flops, weight_bytes: ops[event.op].weight_bytes }
    : event.part ? {} : { ops: programs[event.program].ops };
  return {
    displayTimeUnit: "ns",
    otherData: { model: data.model, target: data.target, what: "predicted by the cost model, not measured" },
    traceEvents: [label("process_name", 0, `${data.model} on ${data.target} (predicted)`), label("thread_name", 1, "engine"), label("thread_name", 2, "host"),
      ...events.map(event => ({ name: event.name, cat: event.kind, ph: "X", ts: event.start, dur: event.length, pid: 1, tid: event.engine ? 1 : 2, args: argumentsOf(event) }))],
  };
}

const traceText = events => JSON.stringify(makeTrace(events));

function saveTrace(events) {
  const link = make("a", { href: URL.createObjectURL(new Blob([traceText(events)], { type: "application/json" })), download: data.model + ".trace.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** Perfetto's page takes a trace by message once it answers; nothing leaves this page before the button is pressed. */
function openPerfetto(events, say) {
  const place = "https://ui.perfetto.dev", other = window.open(place);
  if (!other) return say("The browser did not open another page; save the trace and open it there.");
  const ask = setInterval(() => other.postMessage("PING", place), 100);
  const stop = () => { clearInterval(ask); clearTimeout(late); removeEventListener("message", listen); };
  const listen = event => {
    if (event.origin !== place || event.data !== "PONG") return;
    stop();
    other.postMessage({ perfetto: { buffer: new TextEncoder().encode(traceText(events)).buffer, title: `${data.model} on ${data.target} (predicted)` } }, place);
    say("The trace was handed over.");
  };
  const late = setTimeout(() => { stop(); say("Perfetto's page did not answer; save the trace and open it there."); }, 30000);
  addEventListener("message", listen);
}
