"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./scripts.js");
const { context, sceneAt, written } = require("./samples.js");

const head = load("BAND", "CURVES", "paintAxis", "paintBand", "paintCurve");

test("the parts of the band fill the width of the lanes, in order", () => {
  const scene = sceneAt(978), ctx = context();
  head.paintBand(ctx, scene);
  const [one, two] = ctx.of("roundRect");
  assert.deepEqual([one[0], one[2], two[0], two[2]],
    [scene.left + 0.5, 0.6 * scene.plot - 1, scene.left + 0.6 * scene.plot + 0.5, 0.4 * scene.plot - 1]);
  assert.deepEqual(written(ctx), ["where it went", "waiting 60 ms", "running 40 ms"]);
});

test("a part too narrow for its words has its length inside, and its words beside the band", () => {
  const scene = sceneAt(978, { band: [[90e6, "waiting", 3], [10e6, "running in a line", 0]] }), ctx = context();
  head.paintBand(ctx, scene);
  assert.deepEqual(written(ctx), ["where it went", "waiting", "10 ms", "running in a line"]);
});

test("of several beside the band the two longest are told, and how many more there are", () => {
  const band = [[97e6, "waiting", 3], [1e6, "one", 0], [1.5e6, "two", 0], [0.5e6, "three", 0]];
  const ctx = context();
  head.paintBand(ctx, sceneAt(978, { band }));
  assert.deepEqual(written(ctx).slice(-2), ["two", "one + 1"]);
});

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
