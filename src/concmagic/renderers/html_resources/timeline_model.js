// The pure part of the timeline: time and pixels, culling, merging, hit tests. No document here.
// Python has derived everything; this only scales and selects. Tested with node --test.

/** @typedef {{start: number, end: number}} View  the visible stretch of time, in units */
/** @typedef {{x: number, width: number, kind: number, index: number, shares: number[] | null}} Box */

const FINEST = 1.5; // pixels: what is narrower is merged into shares

/** The first index whose value is above `limit`, in ascending values.
 * @param {ArrayLike<number>} values @param {number} limit */
function firstAbove(values, limit) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit) high = middle; else low = middle + 1;
  }
  return low;
}

/** Time to pixel. @param {View} view @param {number} left @param {number} width @param {number} time */
function toX(view, left, width, time) {
  return left + (time - view.start) / (view.end - view.start) * width;
}

/** Pixel to time. @param {View} view @param {number} left @param {number} width @param {number} x */
function toTime(view, left, width, x) {
  return view.start + (x - left) / width * (view.end - view.start);
}

/** Zoom about a time that stays where it is. Never beyond the cell, never below 20 units.
 * @param {View} view @param {number} factor @param {number} at @param {number} wall @returns {View} */
function zoomed(view, factor, at, wall) {
  const span = Math.min(Math.max((view.end - view.start) * factor, Math.min(20, wall)), wall);
  const share = (at - view.start) / (view.end - view.start);
  return held(at - share * span, span, wall);
}

/** Move by a time. @param {View} view @param {number} by @param {number} wall @returns {View} */
function panned(view, by, wall) {
  return held(view.start + by, view.end - view.start, wall);
}

/** @param {number} start @param {number} span @param {number} wall @returns {View} */
function held(start, span, wall) {
  const from = Math.min(Math.max(start, 0), wall - span);
  return { start: from, end: from + span };
}

/** The boxes to draw: those in view, runs of too narrow ones merged per few pixels into shares.
 * @param {Row} row @param {Kind[]} kinds @param {View} view @param {number} left @param {number} width
 * @returns {Box[]} */
function boxesIn(row, kinds, view, left, width) {
  const boxes = [];
  const scale = width / (view.end - view.start);
  const last = firstAbove(row.start, view.end);
  /** @type {{x: number, end: number, bin: number, sums: number[], one: number} | null} */
  let run = null;
  const flush = () => {
    if (!run) return;
    const total = Math.max(run.end - run.x, 0.01);
    boxes.push(run.one >= 0
      ? { x: run.x, width: total, kind: row.kind[run.one], index: run.one, shares: kinds[row.kind[run.one]].shares }
      : { x: run.x, width: total, kind: 0, index: -1, shares: run.sums.map((sum) => sum / total) });
    run = null;
  };
  for (let i = firstAbove(row.end, view.start); i < last && row.start[i] < view.end; i++) {
    const x = left + (Math.max(row.start[i], view.start) - view.start) * scale;
    const end = left + (Math.min(row.end[i], view.end) - view.start) * scale;
    if (end - x >= FINEST) {
      flush();
      boxes.push({ x, width: end - x, kind: row.kind[i], index: i, shares: kinds[row.kind[i]].shares });
      continue;
    }
    const bin = Math.floor(x / (2 * FINEST));
    if (run && (run.bin !== bin || x - run.end > 0.5)) flush();
    if (!run) run = { x, end, bin, sums: new Array(STATES).fill(0), one: i };
    else run.one = -1;
    addShares(run.sums, kinds[row.kind[i]], end - x);
    run.end = end;
  }
  flush();
  return boxes;
}

/** @param {number[]} sums @param {Kind} kind @param {number} length */
function addShares(sums, { code, shares }, length) {
  if (shares) shares.forEach((share, i) => { sums[i] += share * length; });
  else if (code !== NOTHING) sums[code] += length;
}

/** The box of a lane at a time, or the nearest one within `reach`; -1 for none.
 * @param {Row} row @param {number} time @param {number} reach */
function boxAt(row, time, reach) {
  const i = firstAbove(row.end, time);
  if (i < row.start.length && row.start[i] <= time) return i;
  if (i < row.start.length && row.start[i] - time <= reach) return i;
  return i > 0 && time - row.end[i - 1] <= reach ? i - 1 : -1;
}

/** The lanes to draw: a lane is seen when all above it are open.
 * @param {{parent: number, open: boolean}[]} lanes @returns {number[]} */
function seenLanes(lanes) {
  /** @type {number[]} */ const seen = [];
  /** @type {boolean[]} */ const shown = [];
  for (let i = 0; i < lanes.length; i++) {
    const parent = lanes[i].parent;
    shown[i] = parent < 0 || (shown[parent] && lanes[parent].open);
    if (shown[i]) seen.push(i);
  }
  return seen;
}

/** The upper edges of the lanes seen, one below the other, and the lower edge of the last.
 * @param {number[]} seen @param {(lane: number) => number} heightOf @returns {number[]} */
function stackLanes(seen, heightOf) {
  const tops = [0];
  for (const lane of seen) tops.push(tops[tops.length - 1] + heightOf(lane));
  return tops;
}

/** What stands at a height: the place in `seen`, and how far below its upper edge; -1 for nothing.
 * @param {number[]} tops @param {number} y */
function laneAt(tops, y) {
  const row = y < 0 ? -1 : firstAbove(tops, y) - 1;
  return row >= 0 && row < tops.length - 1 ? { row, within: y - tops[row] } : { row: -1, within: 0 };
}

/** The calls of one depth to draw: those in view, neighbours too narrow to be told apart as one.
 * @param {Row} row @param {View} view @param {number} left @param {number} width
 * @returns {{x: number, width: number, index: number}[]}  index -1: several */
function callsIn(row, view, left, width) {
  const boxes = [];
  const scale = width / (view.end - view.start);
  for (let i = firstAbove(row.end, view.start); i < row.start.length && row.start[i] < view.end; i++) {
    const x = left + (Math.max(row.start[i], view.start) - view.start) * scale;
    const end = left + (Math.min(row.end[i], view.end) - view.start) * scale;
    const before = boxes[boxes.length - 1];
    const joins = before && end - x < FINEST && before.width < 2 * FINEST && x - before.x - before.width < 0.5;
    if (joins) {
      before.width = end - before.x;
      before.index = -1;
    } else {
      boxes.push({ x, width: end - x, index: i });
    }
  }
  return boxes;
}

/** What a box of calls is called: a name, "12 × name" or "12 shorter calls".
 * @param {CallBox} kind @param {CallWords} words */
function callName({ name, calls }, words) {
  if (!calls) return name;
  return (name ? words.several : words.shorter).replace("{n}", () => calls.toLocaleString("en")).replace("{name}", () => name);
}

/** The flows that begin or end in a stretch of one lane.
 * @param {Arrows} flows
 * @param {number} lane @param {number} start @param {number} end @returns {number[]} */
function flowsOf(flows, lane, start, end) {
  const found = [];
  for (let i = 0; i < flows.source.length && found.length < 200; i++) {
    const arrives = flows.target[i] === lane && flows.targetAt[i] >= start && flows.targetAt[i] <= end;
    const leaves = flows.source[i] === lane && flows.sourceAt[i] >= start && flows.sourceAt[i] <= end;
    if (arrives || leaves) found.push(i);
  }
  return found;
}

/** A length of time as a reader writes it; the same words as in Python. @param {number} ns @returns {string} */
function duration(ns) {
  if (ns < 0) return "-" + duration(-ns);
  if (ns < 999.5) return `${ns.toFixed(0)} ns`;
  if (ns < 999500) return `${digits(ns / 1e3)} µs`;
  if (ns < 999500000) return `${digits(ns / 1e6)} ms`;
  if (ns < 59.95e9) return `${digits(ns / 1e9)} s`;
  const seconds = Math.round(ns / 1e9);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/** @param {number} value */
function digits(value) {
  if (value >= 99.95) return value.toFixed(0);
  return value.toFixed(value >= 9.995 ? 1 : 2).replace(/\.?0+$/, "");
}

/** The smallest of 1, 2, 5 × 10ⁿ that gives at most so many ticks. @param {number} span @param {number} most */
function tickStep(span, most) {
  const rough = span / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9)) || 10) * power;
}

/** A tick's time, in the unit that fits the axis' end, as exact as the step needs.
 * @param {number} time @param {number} step @param {number} end  all in ns */
function tickLabel(time, step, end) {
  /** @type {[number, string]} */ const [size, unit] = end >= 1e9 ? [1e9, "s"] : end >= 1e6 ? [1e6, "ms"] : end >= 1e3 ? [1e3, "µs"] : [1, "ns"];
  const decimals = Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9));
  return time ? `${(time / size).toFixed(decimals)} ${unit}` : `0 ${unit}`;
}
