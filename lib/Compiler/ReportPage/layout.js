// Where boxes and edges of the graph go. Each open module is laid out by itself, innermost first: Dagre finds layers and order of what
// is in it; what comes in or goes out does so by ports at its upper and lower border. Edges then follow Dagre's points so that they
// cross layers of boxes straight down, where Dagre kept room for them, and turn only between layers: none runs through a box.
const BOX_HEIGHT = 42, LETTER = 6.7, TITLE = 24;
const widthOf = text => Math.min(240, Math.max(86, text.length * LETTER + 22));

const FIRST = "(first)", LAST = "(last)"; // not shown: ports are above and below everything else

/** Constrains ports to the first and the last layer. */
function addPorts(g, level, nodes) {
  const ports = [...nodes].filter(id => id.startsWith("in:") || id.startsWith("out:"));
  for (const id of ports) g.setNode(id, { width: 2, height: 2 });
  const bind = (kind, fixed, has, connect) => {
    if (!ports.some(id => id.startsWith(kind))) return;
    g.setNode(fixed, { width: 2, height: 2 });
    for (const id of ports) if (id.startsWith(kind)) connect(id, { weight: 20 });
    for (const item of level.items) if (!has.has(item.id)) connect(item.id, { minlen: 2, weight: 0 });
  };
  bind("in:", FIRST, new Set(level.edges.map(edge => edge.to)), (id, label) => g.setEdge(FIRST, id, label));
  bind("out:", LAST, new Set(level.edges.map(edge => edge.from)), (id, label) => g.setEdge(id, LAST, label));
}

/** `level`: {items: [{id, width, height, inner?}], edges: [{from, to, source, targets}]}. Adds left and top to items, paths and ports. */
function layOutLevel(level) {
  const g = new dagre.graphlib.Graph({ multigraph: true });
  g.setGraph({ rankdir: "TB", nodesep: 22, edgesep: 14, ranksep: 36 });
  for (const item of level.items) g.setNode(item.id, { width: item.width, height: item.height });
  addPorts(g, level, new Set(level.edges.flatMap(edge => [edge.from, edge.to])));
  for (const edge of level.edges) g.setEdge(edge.from, edge.to, {}, edge.source);
  dagre.layout(g);
  const layers = new Map(), key = y => Math.round(y * 4);
  for (const item of level.items) {
    const { x, y } = g.node(item.id);
    Object.assign(item, { x, y });
    layers.set(key(y), Math.max(layers.get(key(y)) ?? 0, item.height / 2));
  }
  const itemOf = new Map(level.items.map(item => [item.id, item]));
  const end = (id, source, kind, toward) => {
    const item = itemOf.get(id), node = g.node(id);
    if (!item) return { x: node.x, y: node.y, edge: 0, layer: 0 };
    const inner = item.inner?.ports.get(kind + source);
    return { x: inner === undefined ? near(item, toward) : item.x - item.width / 2 + inner, y: item.y, edge: item.height / 2, layer: layers.get(key(item.y)) };
  };
  level.paths = level.edges.map(edge => {
    const points = g.edge(edge.from, edge.to, edge.source).points.slice(1, -1);
    const from = end(edge.from, edge.source, "out:", (points[0] ?? g.node(edge.to)).x), to = end(edge.to, edge.source, "in:", (points.at(-1) ?? g.node(edge.from)).x);
    return { ...edge, arrow: itemOf.has(edge.to) && !itemOf.get(edge.to).inner, steps: route(from, to, points.map(point => ({ ...point, half: layers.get(key(point.y)) ?? 0 }))) };
  });
  frame(level, g);
}

const near = (box, x) => Math.max(box.x - box.width / 2 + 12, Math.min(box.x + box.width / 2 - 12, x));

/** Down between layers by curves that stay between them, straight through them: [x, y, whether by a curve]. */
function route(from, to, points) {
  const steps = [[from.x, from.y + from.edge, false]];
  const add = (x, y, curve) => { const last = steps.at(-1); if (x !== last[0] || y !== last[1]) steps.push([x, y, curve && x !== last[0]]); };
  add(from.x, from.y + from.layer, false);
  for (const point of points) {
    add(point.x, point.y - point.half, true);
    add(point.x, point.y + point.half, false);
  }
  add(to.x, to.y - to.layer, true);
  add(to.x, to.y - to.edge, false);
  return steps;
}

function spell(steps, dx, dy) {
  let path = "", x, y;
  for (const [toX, toY, curve] of steps.map(([a, b, c]) => [a + dx, b + dy, c])) {
    const middle = ((y + toY) / 2).toFixed(1), end = `${toX.toFixed(1)} ${toY.toFixed(1)}`;
    path += !path ? `M${end}` : curve ? `C${x.toFixed(1)} ${middle} ${toX.toFixed(1)} ${middle} ${end}` : `L${end}`;
    x = toX, y = toY;
  }
  return path;
}

/** Size of a module and where its ports are; then everything counts from its upper left corner. */
function frame(level, g) {
  const ports = g.nodes().filter(id => id.startsWith("in:") || id.startsWith("out:")).map(id => [id, g.node(id)]);
  const xs = [...level.items.flatMap(item => [item.x - item.width / 2, item.x + item.width / 2]), ...ports.map(([, node]) => node.x), ...level.paths.flatMap(path => path.steps.map(step => step[0]))];
  const tops = ports.filter(([id]) => id.startsWith("in:")).map(([, node]) => node.y), bottoms = ports.filter(([id]) => id.startsWith("out:")).map(([, node]) => node.y);
  const left = Math.min(...xs) - 14, top = tops.length ? tops[0] - TITLE + 4 : Math.min(...level.items.map(item => item.y - item.height / 2)) - TITLE;
  const bottom = bottoms.length ? bottoms[0] : Math.max(...level.items.map(item => item.y + item.height / 2)) + 14;
  // Only lines straight down pass the title.
  for (const path of level.paths) if (path.from.startsWith("in:")) path.steps.unshift([path.steps[0][0], top, false]);
  for (const item of level.items) { item.x -= left; item.y -= top; }
  for (const path of level.paths) for (const step of path.steps) { step[0] -= left; step[1] -= top; }
  level.ports = new Map(ports.map(([id, node]) => [id, node.x - left]));
  level.width = Math.max(...xs) + 14 - left;
  level.height = bottom - top;
}

/** All levels into one picture: boxes and hulls with their centres, edges with their paths. */
function compose(level, left, top, picture) {
  for (const path of level.paths) picture.edges.push({ from: path.source, to: [...path.targets], arrow: path.arrow, path: spell(path.steps, left, top) });
  for (const item of level.items) {
    const placed = { ...item, x: item.x + left, y: item.y + top };
    (item.inner ? picture.hulls : picture.boxes).push(placed);
    if (item.inner) compose(item.inner, placed.x - item.width / 2, placed.y - item.height / 2, picture);
  }
  return picture;
}
