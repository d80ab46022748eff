"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./scripts.js");
const { sceneAt } = require("./samples.js");

const { ROW, CALL, ...input } = load("ROW", "CALL", "isEmpty", "stackLanes", "laneHeight", "targetOf");
const WORKER = 1;

/** What is under a place of the canvas, which stands at (7, 11) of the page. */
const targetAt = (scene, x, y) => {
  const canvas = { getBoundingClientRect: () => ({ left: 7, top: 11 }) };
  const { lane, index, depth, inside } = input.targetOf({ scene, canvas }, { clientX: x + 7, clientY: y + 11 });
  return { lane, index, depth, inside };
};

test("under the pointer is a lane and a box of it", () => {
  const scene = sceneAt(978), x = (time) => scene.left + time / 100 * scene.plot, y = scene.top + ROW + 5;
  assert.deepEqual(targetAt(scene, x(20), y), { lane: WORKER, index: 0, depth: -1, inside: true });
  assert.deepEqual(targetAt(scene, x(50), y), { lane: WORKER, index: 1, depth: -1, inside: true });
  scene.view = { start: 40, end: 60 };
  assert.equal(targetAt(scene, x(1), y).index, 1);
});

test("beside the boxes is the lane alone, above and below the lanes nothing", () => {
  const scene = sceneAt(978);
  const name = targetAt(scene, 20, scene.top + ROW + 5);
  assert.deepEqual(name, { lane: WORKER, index: -1, depth: -1, inside: false });
  assert.ok(!input.isEmpty(name));
  for (const y of [scene.top - 1, scene.height + 1]) assert.ok(input.isEmpty(targetAt(scene, scene.left + 5, y)));
});

test("under a lane are its calls, row by row", () => {
  const scene = sceneAt(978), x = (time) => scene.left + time / 100 * scene.plot;
  scene.lanes[WORKER].callsOpen = true;
  scene.tops = input.stackLanes(scene.seen, (lane) => input.laneHeight(scene, lane));
  const y = scene.top + 2 * ROW;
  assert.deepEqual(targetAt(scene, x(45), y + 3), { lane: WORKER, index: 1, depth: 0, inside: true });
  assert.deepEqual(targetAt(scene, x(10), y + CALL + 3), { lane: WORKER, index: 0, depth: 1, inside: true });
  assert.ok(input.isEmpty(targetAt(scene, x(70), y + 3)));
});
