"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./scripts.js");
const { context, sceneAt, written } = require("./samples.js");

const { ROW, CALL, CALL_BOX, CALLS_END, ...calls } = load("ROW", "CALL", "CALL_BOX", "CALLS_END", "callRows", "laneHeight", "paintCalls");
const GROUP = 0, WORKER = 1;

test("a lane is as high as its open calls", () => {
  const scene = sceneAt(978);
  assert.equal(calls.laneHeight(scene, WORKER), ROW);
  scene.lanes[WORKER].callsOpen = true;
  assert.equal(calls.laneHeight(scene, WORKER), ROW + 2 * CALL + CALLS_END);
  assert.deepEqual(calls.callRows(scene, GROUP), []);
});

test("calls stand row by row under their lane, each with its name", () => {
  const scene = sceneAt(978), ctx = context();
  calls.paintCalls(ctx, scene, WORKER, 200);
  const x = (time) => scene.left + time / 100 * scene.plot;
  const frames = ctx.of("strokeRect").map(([left, top, width, height]) => [left - 0.5, top - 0.5, width + 1, height + 1]);
  assert.deepEqual(frames, [
    [x(0), 200, x(40) - x(0), CALL_BOX], [x(40), 200, x(50) - x(40), CALL_BOX], [x(5), 200 + CALL, x(15) - x(5), CALL_BOX],
  ]);
  assert.deepEqual(written(ctx), ["calls", "no calls from here", "load", "12 × pa…", "12 × pa…"]);
});

test("several calls are grey, without an outline where they are narrow", () => {
  const scene = sceneAt(978), ctx = context();
  scene.view = { start: 0, end: 100 };
  scene.plot = 150;
  calls.paintCalls(ctx, scene, WORKER, 0);
  const boxes = ctx.drawn.filter(({ name, values }) => name === "fillRect" && values[3] === CALL_BOX);
  assert.deepEqual(boxes.map(({ fill, alpha }) => [fill, alpha]), [["panel", 1], ["muted", 0.45], ["muted", 0.45]]);
});

test("from where on there are no calls is drawn only where it is in view", () => {
  const lines = (view, until = 80) => {
    const scene = sceneAt(978), ctx = context();
    scene.data.calls.until = until;
    scene.view = view;
    calls.paintCalls(ctx, scene, WORKER, 0);
    return ctx.of("fillRect").filter(([, , width, height]) => width === 1 && height !== CALL_BOX).map(([x]) => Math.round(x - scene.left));
  };
  const { plot } = sceneAt(978);
  assert.deepEqual(lines({ start: 0, end: 100 }), [Math.round(0.8 * plot)]);
  assert.deepEqual(lines({ start: 0, end: 80 }), []);
  assert.deepEqual(lines({ start: 90, end: 100 }), [0]);
  assert.deepEqual(lines({ start: 0, end: 100 }, -1), []);
});

test("a chosen call has a frame", () => {
  const scene = sceneAt(978), ctx = context();
  scene.selected = { lane: WORKER, index: -1, call: { depth: 1, index: 0 } };
  calls.paintCalls(ctx, scene, WORKER, 0);
  assert.equal(ctx.drawn.filter(({ name, stroke }) => name === "strokeRect" && stroke === "accent").length, 1);
});
