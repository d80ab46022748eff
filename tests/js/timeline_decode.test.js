"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const zlib = require("node:zlib");
const { load } = require("./scripts.js");
const { payload } = require("./samples.js");

const RUNNING = 1, WAITING = 2;
const decode = load("decoded", "named", "sceneOf", "undelta", "unpack", "unpackCalls", "unpackRow");

test("what was packed is unpacked, whatever letters it holds", async () => {
  const data = { headline: "10 µs </script> ✓", lanes: [[1, 2], []] };
  const packed = zlib.deflateSync(JSON.stringify(data)).toString("base64");
  assert.deepEqual(await decode.unpack(packed), data);
  await assert.rejects(decode.unpack(packed.slice(0, 20)));
});

test("rows are unpacked, gaps left out", () => {
  const row = decode.unpackRow([5, 0, 10, RUNNING, 20, WAITING]);
  assert.deepEqual([[...row.start], [...row.end], [...row.kind]], [[5, 15], [15, 35], [RUNNING, WAITING]]);
});

test("differences add up", () => {
  assert.deepEqual(decode.undelta([5, 0, 3]), [5, 5, 8]);
});

test("the calls of a lane are unpacked row by row", () => {
  const calls = decode.unpackCalls([{ lane: 7, deeper: 3, rows: [[5, 0, 10, 1], [6, 0, 2, 2, 1, 0, 4, 1]] }]);
  assert.deepEqual([...calls.keys()], [7]);
  assert.equal(calls.get(7).deeper, 3);
  assert.deepEqual(calls.get(7).rows.map((row) => [[...row.start], [...row.end], [...row.kind]]),
    [[[5], [15], [1]], [[6, 9], [8, 13], [2, 1]]]);
});

test("a row has its fields' names", () => {
  assert.deepEqual(decode.named(["a", 2, 3], "Mark"), { label: "a", start: 2, end: 3 });
});

test("of several kinds of rows it is the one with so many fields", () => {
  assert.deepEqual(decode.named([-2, [16]], "BoxKind", "MixedKind"), { code: -2, shares: [16] });
  assert.equal(decode.named(["parse", "line 2"], "CallKind", "CallsKind").calls, undefined);
});

test("a row of another length is refused", () => {
  assert.throws(() => decode.named(["a", 2], "Mark"), /Mark/);
  assert.throws(() => decode.decoded({ ...payload(), cost: ["free"] }), /Cost/);
});

test("all of a payload is named", () => {
  const data = decode.decoded(payload());
  assert.equal(data.band[0].label, "waiting 60 ms");
  assert.equal(data.lanes[1].name, "worker");
  assert.deepEqual(data.kinds[3].shares, [0.5, 0, 0, 0, 0, 0, 0.5]);
  assert.equal(data.kinds[1].shares, null);
  assert.deepEqual(data.calls.kinds.map((kind) => kind.calls), [0, 0, 12]);
  assert.deepEqual(data.words.flows[1], { arrives: "woken by {x}", leaves: "woke {x}" });
});

test("a scene has its lanes' flags, times that add up, and the whole in view", () => {
  const scene = decode.sceneOf(decode.decoded(payload()));
  assert.deepEqual(scene.lanes.map(({ folds, isFold, machinery, open, failed }) => [folds, isFold, machinery, open, failed]),
    [[true, false, false, true, false], [false, false, false, true, true], [true, true, true, false, false]]);
  assert.deepEqual([scene.flows.sourceAt, scene.flows.targetAt], [[20, 60], [30, 70]]);
  assert.deepEqual(scene.prints.get(1), [10, 40]);
  assert.deepEqual(scene.view, { start: 0, end: 100 });
  assert.equal(scene.lanes[1].place, "line 3");
});
