// What is computed from the data once: rows with what is searched, readers, the tree of modules, memory over time.
const ops = data.ops, programs = data.programs;
const programOf = new Map(programs.map((program, i) => [program.name, i]));
const total = programs.reduce((sum, program) => sum + program.predicted_us, 0);

ops.forEach((op, i) => {
  op.index = i;
  op.readers = [];
  op.bytes = op.weight_bytes + op.activation_bytes;
  op.precision = elementOf(op.type);
  op.why = [op.reason, op.repair, op.note].filter(Boolean).join("; ");
  op.title = op.node || spellOp(op.op) + " " + i;
  op.text = [op.node, spellOp(op.op), op.type, op.program, op.rule, op.why, op.evidence ?? "", op.placement === "ane" ? "engine" : "host", op.bound ?? ""].join("\n").toLowerCase();
});
for (const op of ops) for (const from of op.inputs) ops[from].readers.push(op.index);

/** Where exporters separate modules: by slashes, else by dots; nothing where names have neither. */
function pathOf(node) {
  const parts = node.split("/").filter(Boolean);
  return parts.length > 1 ? parts : node.includes(".") && !node.includes("/") ? node.split(".").filter(Boolean) : parts;
}

/** Groups with more members than that are cut into runs, so that no level is too wide to look at. */
const WIDEST = 40;

function addUp(group) {
  group.ops = [];
  for (const child of group.children) {
    if (child.children) addUp(child);
    for (const i of child.children ? child.ops : [child.op]) group.ops.push(i);
  }
  group.cost = group.ops.reduce((sum, i) => sum + ops[i].predicted_us, 0);
  group.bytes = group.ops.reduce((sum, i) => sum + ops[i].bytes, 0);
  group.host = group.ops.reduce((sum, i) => sum + (ops[i].placement !== "ane"), 0);
}

/** What a member holds: its operations in order. */
const opsOf = member => member.children ? member.children.flatMap(opsOf).sort((a, b) => a - b) : [member.op];

/** Which members read which, as sets of positions. */
function findReaders(members) {
  const at = new Map(), readers = members.map(() => new Set());
  members.forEach((member, i) => opsOf(member).forEach(op => at.set(op, i)));
  for (const [op, i] of at) for (const reader of ops[op].readers) if (at.has(reader) && at.get(reader) !== i) readers[i].add(at.get(reader));
  return readers;
}

/** Members that depend on each other in a circle: of each, the number of its circle (Tarjan, without recursion). */
function findCircles(readers) {
  const order = new Array(readers.length).fill(-1), low = [], circle = new Array(readers.length).fill(-1), stack = [];
  let next = 0, circles = 0;
  for (let root = 0; root < readers.length; ++root) {
    if (order[root] >= 0) continue;
    const work = [[root, null]];
    while (work.length) {
      const frame = work.at(-1), [i] = frame;
      if (!frame[1]) { order[i] = low[i] = next++; stack.push(i); frame[1] = readers[i].values(); }
      const { value, done } = frame[1].next();
      if (!done) {
        if (order[value] < 0) work.push([value, null]);
        else if (circle[value] < 0) low[i] = Math.min(low[i], order[value]);
        continue;
      }
      work.pop();
      if (work.length) low[work.at(-1)[0]] = Math.min(low[work.at(-1)[0]], low[i]);
      if (low[i] === order[i]) { let member; do circle[member = stack.pop()] = circles; while (member !== i); ++circles; }
    }
  }
  return circle;
}

/** A member with some of its operations only; nothing where it has none of them. */
function pick(member, wanted) {
  if (!member.children) return wanted.has(member.op) ? member : null;
  const children = member.children.map(child => pick(child, wanted)).filter(Boolean);
  return children.length ? { name: member.name, children } : null;
}

/** A module that is called twice would read what it makes: each call becomes a member of its own, so that all edges go down. */
function splitCalls(members) {
  const circle = findCircles(findReaders(members)), sizes = new Map();
  circle.forEach(number => sizes.set(number, (sizes.get(number) ?? 0) + 1));
  if (sizes.size === members.length) return members;
  const ownerOf = new Map(), result = members.filter((_, i) => sizes.get(circle[i]) === 1);
  members.forEach((member, i) => { if (sizes.get(circle[i]) > 1) opsOf(member).forEach(op => ownerOf.set(op, i)); });
  const runs = new Map(); // by circle: the run that is going on, and by member: how many there were
  const close = run => {
    const part = pick(members[run.owner], new Set(run.ops));
    const number = calls.set(run.owner, (calls.get(run.owner) ?? 0) + 1).get(run.owner);
    result.push(part.children && number > 1 ? { ...part, name: `${part.name} (${number})` } : part);
  };
  const calls = new Map();
  for (const op of [...ownerOf.keys()].sort((a, b) => a - b)) {
    const owner = ownerOf.get(op), run = runs.get(circle[owner]);
    if (run?.owner === owner) { run.ops.push(op); continue; }
    if (run) close(run);
    runs.set(circle[owner], { owner, ops: [op] });
  }
  runs.forEach(close);
  return result;
}

/** Every member behind those that it reads; else as in the model. */
function inOrder(members) {
  const readers = findReaders(members), waits = members.map(() => 0), first = members.map(member => opsOf(member)[0]);
  readers.forEach(list => list.forEach(i => ++waits[i]));
  const ready = members.map((_, i) => i).filter(i => !waits[i]).sort((a, b) => first[b] - first[a]), result = [];
  while (ready.length) {
    const i = ready.pop();
    result.push(members[i]);
    for (const reader of readers[i]) if (!--waits[reader]) {
      let at = ready.length;
      while (at && first[ready[at - 1]] < first[reader]) --at;
      ready.splice(at, 0, reader);
    }
  }
  return result;
}

/** Members that are one child in a chain take its place; wide groups get a level of runs. */
function tidy(group) {
  group.children = inOrder(splitCalls(group.children)).map(child => {
    while (child.children && child.children.length === 1 && child.children[0].children) {
      const only = child.children[0];
      child = { ...only, name: child.name + "/" + only.name };
    }
    if (!child.children) return child;
    tidy(child);
    return child.children.length === 1 && !child.children[0].children ? child.children[0] : child;
  });
  while (group.children.length > WIDEST) {
    const runs = [], size = Math.max(Math.ceil(group.children.length / WIDEST), 20);
    for (let at = 0; at < group.children.length; at += size) {
      const children = group.children.slice(at, at + size);
      runs.push(children.length === 1 ? children[0] : { name: `${nameOf(children[0])} … ${nameOf(children.at(-1))}`, children });
    }
    group.children = runs;
  }
}
const nameOf = member => member.children ? member.name.split(" … ")[0] : pathOf(ops[member.op].node).at(-1) ?? spellOp(ops[member.op].op);

function makeTree() {
  const root = { name: "", children: [], byName: new Map() };
  for (const op of ops) {
    let group = root;
    for (const part of pathOf(op.node)) {
      let next = group.byName.get(part);
      if (!next) {
        next = { name: part, children: [], byName: new Map() };
        group.byName.set(part, next);
        group.children.push(next);
      }
      group = next;
    }
    group.children.push({ op: op.index });
  }
  const strip = group => { delete group.byName; group.children.forEach(child => child.children && strip(child)); };
  strip(root);
  tidy(root);
  let next = 0;
  const number = (group, up) => { group.id = "g" + next++; group.up = up; group.children.forEach(child => child.children ? number(child, group) : child.up = group); };
  number(root, null);
  addUp(root);
  return root;
}

/** Bytes of values that are alive while each op runs: from the op that makes one to the last that reads it. */
function findMemory() {
  const change = new Float64Array(ops.length + 1);
  const outputs = new Set(data.model_outputs.map(port => port.row));
  for (const op of ops) {
    const last = outputs.has(op.index) ? ops.length - 1 : op.readers.reduce((most, i) => Math.max(most, i), op.index);
    change[op.index] += op.result_bytes;
    change[last + 1] -= op.result_bytes;
  }
  let alive = 0;
  return ops.map((op, i) => alive += change[i]);
}
