"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./scripts.js");
const { sceneAt } = require("./samples.js");

const words = load("boxWords", "callWords", "detailWords");
const GROUP = 0, WORKER = 1, FOLD = 2;
const texts = (lines) => lines.map(({ text }) => text);

test("a box tells its state, its length, since when, and its line of the cell", () => {
  assert.deepEqual(words.boxWords(sceneAt(900), WORKER, 0), ["running, line 3", "for 40 ms, from 0 ns", "line 3: work()"]);
});

test("a place elsewhere is told without a line, and only once", () => {
  const scene = sceneAt(900);
  assert.deepEqual(words.boxWords(scene, WORKER, 1), ["sleep, at a place", "for 60 ms, from 40 ms", "other.py:4"]);
  scene.kinds[2].full = "sleep, other.py:4";
  assert.deepEqual(words.boxWords(scene, WORKER, 1), ["sleep, other.py:4", "for 60 ms, from 40 ms"]);
});

test("merged states are told as shares; of a fold it is no wonder", () => {
  const scene = sceneAt(900);
  assert.deepEqual(words.boxWords(scene, FOLD, 0), ["50 % running · 50 % waiting", "for 100 ms, from 0 ns"]);
  scene.lanes[FOLD].isFold = false;
  assert.equal(words.boxWords(scene, FOLD, 0)[0], "too fine");
});

test("a call tells its name, its length and its place", () => {
  assert.deepEqual(words.callWords(sceneAt(900), WORKER, 0, 0), ["load", "for 40 ms, from 0 ns", "line 6"]);
});

test("merged calls tell how many and how long in all, the last row what is deeper", () => {
  assert.deepEqual(words.callWords(sceneAt(900), WORKER, 1, 0), ["12 × parse", "3 ms in all", "for 10 ms, from 5 ms", "text.py:8", "5 deeper"]);
});

test("the panel tells of a lane its sums, its end and its place", () => {
  assert.deepEqual(words.detailWords(sceneAt(900), { lane: WORKER, index: -1 }), [
    { text: "worker", look: "title" },
    { text: "in all: running 40 ms · waiting 60 ms", look: "muted" },
    { text: "raised ValueError · line 3", look: "" },
  ]);
  assert.deepEqual(texts(words.detailWords(sceneAt(900), { lane: GROUP, index: -1 })), ["group", "returned"]);
  assert.deepEqual(texts(words.detailWords(sceneAt(900), { lane: FOLD, index: -1 })), ["+ 4 helpers", "p50 1 ms · p95 2 ms · max 3 ms"]);
});

test("the panel tells of a box, and who woke whom as this lane sees it", () => {
  const scene = sceneAt(900);
  scene.arrows = [0, 1];
  assert.deepEqual(texts(words.detailWords(scene, { lane: WORKER, index: 0 })).slice(1, 4),
    ["running, line 3 · for 40 ms, from 0 ns · line 3: work()", "← woken by group (30 ms)", "→ started + 4 helpers (60 ms)"]);
});

test("a name with a pattern's signs is written as it is", () => {
  const scene = sceneAt(900);
  scene.lanes[GROUP].name = "$& $1";
  scene.arrows = [0];
  assert.equal(words.detailWords(scene, { lane: WORKER, index: -1 })[1].text, "← woken by $& $1 (30 ms)");
});

test("the panel tells of a call on which lane it is", () => {
  assert.deepEqual(words.detailWords(sceneAt(900), { lane: WORKER, index: -1, call: { depth: 0, index: 0 } }), [
    { text: "load", look: "title" }, { text: "for 40 ms, from 0 ns · line 6", look: "" }, { text: "worker", look: "muted" },
  ]);
});
