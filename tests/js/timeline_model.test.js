"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const test = require("node:test");
const { root, load } = require("./scripts.js");

const model = load("boxesIn", "boxAt", "callName", "callsIn", "duration", "firstAbove", "flowsOf", "laneAt", "panned", "seenLanes",
  "stackLanes", "tickLabel", "tickStep", "toTime", "toX", "unpackRow", "zoomed");
const shared = JSON.parse(fs.readFileSync(path.join(root, "tests/data/timeline_model.json"), "utf8"));

const RUNNING = 1, WAITING = 2, MIXED = 3;
const kinds = [{ code: -1 }, { code: 0, full: "running" }, { code: 6, full: "sleep" }, { code: -2, shares: [0.5, 0, 0, 0, 0, 0, 0.5] }];

test("durations are written as in Python", () => {
  for (const [length, words] of shared.durations) assert.equal(model.duration(length), words);
});

test("ticks are written as in Python", () => {
  for (const [start, end, most, labels] of shared.ticks) {
    const step = model.tickStep(end - start, most);
    const written = [];
    for (let k = Math.ceil(start / step); k * step <= end * (1 + 1e-9); k++) written.push(model.tickLabel(k * step, step, end));
    assert.deepEqual(written, labels);
  }
  for (const [time, step, end, label] of shared.labels) assert.equal(model.tickLabel(time, step, end), label);
});

test("the binary search finds the first value above a limit", () => {
  const values = [1, 3, 3, 7];
  assert.deepEqual([0, 1, 3, 6, 7].map((limit) => model.firstAbove(values, limit)), [0, 1, 3, 3, 4]);
  assert.equal(model.firstAbove([], 1), 0);
});

test("pixels and times are each other's inverse", () => {
  const view = { start: 120, end: 760 };
  for (const x of [100, 333, 700]) assert.ok(Math.abs(model.toX(view, 100, 600, model.toTime(view, 100, 600, x)) - x) < 1e-9);
});

test("zooming keeps the time under the pointer, and stays within the cell", () => {
  const view = model.zoomed({ start: 0, end: 1000 }, 0.5, 250, 1000);
  assert.deepEqual(view, { start: 125, end: 625 });
  assert.deepEqual(model.zoomed(view, 100, 250, 1000), { start: 0, end: 1000 });
  const closest = model.zoomed(view, 1e-9, 300, 1000);
  assert.ok(Math.abs(closest.end - closest.start - 20) < 1e-9);
});

test("panning stops at both ends of the cell", () => {
  assert.deepEqual(model.panned({ start: 100, end: 300 }, -500, 1000), { start: 0, end: 200 });
  assert.deepEqual(model.panned({ start: 100, end: 300 }, 5000, 1000), { start: 800, end: 1000 });
});

test("only boxes in view are drawn", () => {
  const packed = [];
  for (let i = 0; i < 1000; i++) packed.push(10, i % 2 ? RUNNING : WAITING);
  const boxes = model.boxesIn(model.unpackRow(packed), kinds, { start: 5000, end: 5100 }, 0, 500);
  assert.equal(boxes.length, 10);
  assert.ok(boxes.every((box) => box.x >= 0 && box.x + box.width <= 500 + 1e-9));
});

test("what is narrower than a pixel becomes shares that keep the sums", () => {
  const packed = [];
  for (let i = 0; i < 4000; i++) packed.push(1, RUNNING, 3, WAITING);
  const boxes = model.boxesIn(model.unpackRow(packed), kinds, { start: 0, end: 16000 }, 0, 400);
  assert.ok(boxes.length < 200);
  const running = boxes.reduce((sum, box) => sum + (box.shares ? box.shares[0] * box.width : 0), 0);
  assert.ok(Math.abs(running - 100) < 1e-6);
});

test("a lone sliver keeps its identity", () => {
  const row = model.unpackRow([500, WAITING, 0.1, RUNNING, 500, WAITING]);
  const boxes = model.boxesIn(row, kinds, { start: 0, end: 1000.1 }, 0, 500);
  assert.deepEqual(boxes.map((box) => box.index), [0, 1, 2]);
});

test("shares within shares are weighed by length", () => {
  const row = model.unpackRow([1, MIXED, 1, RUNNING, 998, WAITING]);
  const [first] = model.boxesIn(row, kinds, { start: 0, end: 1000 }, 0, 600);
  assert.ok(Math.abs(first.shares[0] - 0.75) < 1e-9 && Math.abs(first.shares[6] - 0.25) < 1e-9);
});

test("a hit finds the box at a time, or one within reach", () => {
  const row = model.unpackRow([10, 0, 10, RUNNING, 10, 0, 10, WAITING]);
  assert.deepEqual([5, 9, 12, 21, 25, 31, 41].map((time) => model.boxAt(row, time, 2)), [-1, 0, 0, 0, -1, 1, 1]);
  assert.equal(model.boxAt(model.unpackRow([]), 5, 2), -1);
});

test("a lane is seen when all above it are open", () => {
  const lanes = [
    { parent: -1, open: true }, { parent: 0, open: true }, { parent: 0, open: false },
    { parent: 2, open: true }, { parent: 3, open: true }, { parent: -1, open: true },
  ];
  assert.deepEqual(model.seenLanes(lanes), [0, 1, 2, 5]);
  lanes[2].open = true;
  assert.deepEqual(model.seenLanes(lanes), [0, 1, 2, 3, 4, 5]);
  lanes[0].open = false;
  assert.deepEqual(model.seenLanes(lanes), [0, 5]);
});

test("the flows of a stretch are those that begin or end in it", () => {
  const flows = { source: [0, 1, 2], target: [1, 0, 1], sourceAt: [5, 20, 30], targetAt: [6, 21, 90] };
  assert.deepEqual(model.flowsOf(flows, 1, 0, 25), [0, 1]);
  assert.deepEqual(model.flowsOf(flows, 1, 80, 100), [2]);
});

test("lanes stand one below the other, whatever their height", () => {
  const tops = model.stackLanes([4, 2, 9], (lane) => (lane === 2 ? 80 : 29));
  assert.deepEqual(tops, [0, 29, 109, 138]);
  const at = (y) => { const { row, within } = model.laneAt(tops, y); return [row, within]; };
  assert.deepEqual([0, 28, 29, 100, 109, 137, 138, -1].map(at),
    [[0, 0], [0, 28], [1, 0], [1, 71], [2, 0], [2, 28], [-1, 0], [-1, 0]]);
  assert.equal(model.laneAt([0], 0).row, -1);
});

test("only calls in view are drawn, and only what is there is looked at", () => {
  const packed = [];
  for (let i = 0; i < 100000; i++) packed.push(10, 1);
  const row = model.unpackRow(packed);
  let reads = 0;
  const counting = (array) => new Proxy(array, { get: (target, key) => { if (/^\d+$/.test(String(key))) reads++; return target[key]; } });
  const watched = { start: counting(row.start), end: counting(row.end), kind: row.kind };
  const boxes = model.callsIn(watched, { start: 500000, end: 500100 }, 0, 500);
  assert.deepEqual(boxes.map((box) => box.index), [50000, 50001, 50002, 50003, 50004, 50005, 50006, 50007, 50008, 50009]);
  assert.ok(reads < 200, `${reads} reads`);
});

test("calls too narrow to be told apart become one box, long ones stay", () => {
  const packed = [1000, 1];
  for (let i = 0; i < 1000; i++) packed.push(1, 2);
  packed.push(1000, 1);
  const boxes = model.callsIn(model.unpackRow(packed), { start: 0, end: 3000 }, 0, 300);
  assert.deepEqual([boxes[0].index, boxes[boxes.length - 1].index], [0, 1001]);
  assert.ok(boxes.length < 60);
  assert.ok(boxes.slice(1, -1).some((box) => box.index === -1));
  assert.ok(Math.abs(boxes.reduce((sum, box) => sum + box.width, 0) - 300) < 1e-6);
});

test("a box of calls has a name, or how many it stands for", () => {
  const words = { several: "{n} × {name}", shorter: "{n} shorter calls" };
  assert.equal(model.callName({ name: "parse", calls: 0 }, words), "parse");
  assert.equal(model.callName({ name: "par$&se", calls: 1200 }, words), "1,200 × par$&se");
  assert.equal(model.callName({ name: "", calls: 12 }, words), "12 shorter calls");
});
