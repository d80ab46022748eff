"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./scripts.js");
const { context, sceneAt, written } = require("./samples.js");

const head = load("CURVES", "paintAxis", "paintCurve");

test("a curve is made of steps that end at the cell's end, as high as its values", () => {
  const scene = sceneAt(978), ctx = context();
  head.paintCurve(ctx, scene, scene.data.curves[0], 0);
  const { left, plot } = scene, base = scene.curvesTop + head.CURVES[0], high = head.CURVES[0];
  assert.deepEqual(ctx.of("moveTo"), [[left, base]]);
  assert.deepEqual(ctx.of("lineTo"),
    [[left, base - high / 2], [left + plot / 2, base - high / 2], [left + plot / 2, base - high], [left + plot, base - high], [left + plot, base]]);
  assert.deepEqual(written(ctx), ["in flight", "peak 2"]);
});

test("a curve begins with the step before what is in view", () => {
  const scene = sceneAt(978), ctx = context();
  scene.view = { start: 60, end: 80 };
  head.paintCurve(ctx, scene, scene.data.curves[0], 0);
  assert.deepEqual(ctx.of("lineTo").map(([x]) => x), [scene.left, scene.left + scene.plot, scene.left + scene.plot]);
});

test("ticks are at round times of what is in view", () => {
  const ctx = context();
  head.paintAxis(ctx, sceneAt(978, { marks: [] }));
  assert.deepEqual(written(ctx), ["0 ms", "20 ms", "40 ms", "60 ms", "80 ms", "100 ms"]);
});

test("a mark has a line at its begin and its end, and one out of view has none", () => {
  const scene = sceneAt(978), ctx = context();
  head.paintAxis(ctx, scene);
  const x = (time) => scene.left + time / 100 * scene.plot;
  assert.ok(written(ctx).includes("half"));
  for (const time of [50, 60]) assert.ok(ctx.of("moveTo").some(([at]) => Math.abs(at - x(time)) < 1e-9), `${time}`);
  scene.view = { start: 0, end: 40 };
  const other = context();
  head.paintAxis(other, scene);
  assert.ok(!written(other).includes("half"));
});
