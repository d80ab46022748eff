// From what Python packed to what is drawn: names for fields, boxes from lengths, times from differences.

/** @typedef {{start: Float64Array, end: Float64Array, kind: Uint16Array}} Row  boxes of one lane */
/** @typedef {BoxKind & {shares: number[] | null}} Kind  shares (of 1, by code) of what was merged */
/** @typedef {CallsKind} CallBox  `calls` is 0 for one call */
/** @typedef {{kind: number[], source: number[], target: number[], sourceAt: number[], targetAt: number[]}} Arrows */
/** @typedef {ReturnType<typeof decoded>} Data */
/** @typedef {{lane: number, index: number, call?: {depth: number, index: number}}} Chosen  index -1: the lane itself */
/** @typedef {ReturnType<typeof sceneOf>} Scene */

/** JSON out of base64 of its zlib stream. @param {string} packed @returns {Promise<Payload>} */
async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

/** A packed row by the names of its fields; of several kinds of rows it is the one with so many fields.
 * @template {keyof Rows} K @param {Packed<K>} row @param {...K} kinds @returns {Rows[K]} */
function named(row, ...kinds) {
  const names = kinds.map((kind) => FIELDS[kind].split(" ")).find(({ length }) => length === row.length);
  if (!names) throw new TypeError(`no ${kinds} of ${row.length} fields`);
  const fields = Object.fromEntries(names.map((name, i) => [name, row[i]]));
  return /** @type {any} */ (fields); // by FIELDS, which is made from the same schema as the types
}

/** @template {keyof Rows} K @param {Packed<K>[]} rows @param {...K} kinds */
const allNamed = (rows, ...kinds) => rows.map((row) => named(row, ...kinds));

/** The payload with all its fields named. @param {Payload} data */
function decoded(data) {
  const { words, calls } = data;
  return {
    ...data,
    chips: allNamed(data.chips, "Chip"),
    band: allNamed(data.band, "BandPart"),
    legend: allNamed(data.legend, "LegendEntry"),
    cost: named(data.cost, "Cost"),
    lanes: allNamed(data.lanes, "Lane"),
    kinds: data.kinds.map(kindOf),
    calls: {
      ...calls,
      kinds: calls.kinds.map((kind) => /** @type {CallBox} */ ({ calls: 0, spent: "", ...named(kind, "CallKind", "CallsKind") })),
      lanes: allNamed(calls.lanes, "LaneCalls"),
    },
    flows: named(data.flows, "Flows"),
    needs: allNamed(data.needs, "Need"),
    findings: allNamed(data.findings, "Finding"),
    marks: allNamed(data.marks, "Mark"),
    prints: allNamed(data.prints, "Prints"),
    loupe: allNamed(data.loupe, "Stretch"),
    curves: allNamed(data.curves, "Curve"),
    words: { ...words, calls: named(words.calls, "CallWords"), flows: allNamed(words.flows, "FlowWords") },
  };
}

/** @param {Packed<"BoxKind"> | Packed<"MixedKind">} row @returns {Kind} */
function kindOf(row) {
  const kind = named(row, "BoxKind", "MixedKind");
  const shares = "shares" in kind ? kind.shares.map((part) => part / SIXTEENTHS) : null;
  return { full: "", short: "", place: "", line: 0, ...kind, shares };
}

/** Unpack one lane's boxes from [length, kind, length, kind, …]; kind 0 is a gap.
 * @param {number[]} packed @returns {Row} */
function unpackRow(packed) {
  const start = [], end = [], kind = [];
  let at = 0;
  for (let i = 0; i < packed.length; i += 2) {
    const next = at + packed[i];
    if (packed[i + 1]) { start.push(at); end.push(next); kind.push(packed[i + 1]); }
    at = next;
  }
  return { start: Float64Array.from(start), end: Float64Array.from(end), kind: Uint16Array.from(kind) };
}

/** Running sums: differences back to values. @param {number[]} steps @returns {number[]} */
function undelta(steps) {
  let at = 0;
  return steps.map((step) => (at += step));
}

/** The calls of each lane that has any. @param {LaneCalls[]} lanes */
function unpackCalls(lanes) {
  return new Map(lanes.map(({ lane, deeper, rows }) => [lane, { deeper, rows: rows.map(unpackRow) }]));
}

/** A lane as it is drawn. @param {Lane} lane @param {string[]} places */
function laneOf(lane, places) {
  const isFold = (lane.flags & FOLD) > 0;
  return {
    ...lane, isFold, folds: (lane.flags & (GROUP | FOLD)) > 0, machinery: (lane.flags & MACHINERY) > 0,
    failed: lane.ending === ENDED_BADLY, place: places[lane.place], open: !isFold, callsOpen: false,
  };
}

/** What is painted: the data, where everything stands, and what is chosen. @param {Data} data */
function sceneOf(data) {
  const { kind, source, ago, target, steps } = data.flows;
  const targetAt = undelta(steps), [theme] = data.themes;
  return {
    data, kinds: data.kinds, rows: data.rows.map(unpackRow), calls: unpackCalls(data.calls.lanes), view: { start: 0, end: Math.max(data.wall, 1) },
    lanes: data.lanes.map((lane) => laneOf(lane, data.places)),
    flows: { kind, source, target, targetAt, sourceAt: targetAt.map((at, i) => at - ago[i]) },
    curveTimes: data.curves.map((curve) => undelta(curve.steps)), prints: new Map(data.prints.map(({ lane, steps }) => [lane, undelta(steps)])),
    selected: /** @type {Chosen | null} */ (null), highlight: -1, arrows: /** @type {number[]} */ ([]), seen: /** @type {number[]} */ ([]),
    tops: [0],
    scroll: 0, dpr: 1, width: 0, height: 0, left: 0, ends: 0, plot: 1, top: 0, axisTop: 0, curvesTop: 0, path: /** @type {number[]} */ ([]),
    theme, patterns: /** @type {CanvasPattern[]} */ ([]),
  };
}
