"use strict";
const assert = require("node:assert/strict");
const test = require("node:test");
const { load } = require("./scripts.js");
const { context, sceneAt, written } = require("./samples.js");

const THIN = 15;
const { ROW, TALL, ...paint } = load("ROW", "TALL", "fitted", "fittedName", "fittedNumber", "paint", "paintArrows", "paintBoxes", "paintLane", "paintNeeds", "paintPath",
  "paintShares", "rowTop", "unpackRow", "write");
const GROUP = 0, WORKER = 1, FOLD = 2;

/** Rectangles that were filled as boxes, rounded ones without their half pixel: [x, y, width, height]. */
const boxesOn = (ctx) => ctx.drawn.flatMap(({ name, values: [x, y, width, height] }) =>
  name === "roundRect" ? [[x - 0.5, y - 0.5, width + 1, height + 1]] : name === "rect" ? [[x, y, width, height]] : []);

test("names, lanes and outcomes share the width", () => {
  for (const width of [300, 500, 600, 800, 1180]) {
    const { left, plot, ends } = sceneAt(width);
    assert.equal(left + plot + ends, width);
    assert.ok(left >= 84 && left <= 170 && plot >= 60);
  }
  assert.equal(sceneAt(60).plot, 60);
});

test("curves, marks and axis stand one below the other, and take no room where there are none", () => {
  const { curvesTop, axisTop, top } = sceneAt(978);
  assert.deepEqual([curvesTop, axisTop, top], [4, 4 + 28 + 17 + 2, 75]);
  const bare = sceneAt(978, { curves: [], marks: [] });
  assert.deepEqual([bare.curvesTop, bare.axisTop, bare.top], [4, 6, 30]);
});

test("the path is drawn under its stretches, and leads from one to the next; of the parts that were chosen only", () => {
  const scene = sceneAt(978), ctx = context();
  paint.paintPath(ctx, scene);
  assert.deepEqual(ctx.of("lineTo"), []);
  scene.path = [0, 1];
  paint.paintPath(ctx, scene);
  const { left, plot } = scene, y = paint.rowTop(scene, 1) + ROW - 2;
  assert.deepEqual(ctx.of("moveTo"), [[left, y], [left + 0.4 * plot, y]]);
  assert.deepEqual(ctx.of("lineTo"), [[left + 0.4 * plot, y], [left + plot, y]]);
  assert.deepEqual(ctx.drawn.filter(({ name }) => name === "stroke").map(({ stroke }) => stroke), ["accent", "accent"]);
});

test("at a lane's end a number is whole or not there", () => {
  const ctx = context(); // letters are 6 wide
  assert.equal(paint.fittedNumber(ctx, "join 318 ms", 66), "join 318 ms");
  assert.equal(paint.fittedNumber(ctx, "join 318 ms", 60), "318 ms");
  assert.equal(paint.fittedNumber(ctx, "81 % blocked", 40), "81 %");
  assert.equal(paint.fittedNumber(ctx, "ready 2 min 05 s", 70), "2 min 05 s");
  assert.equal(paint.fittedNumber(ctx, "join 318 ms", 30), "");
  assert.equal(paint.fittedNumber(ctx, "raised ValueError", 54), "raised V…");
});

test("a deadlock's arrows are always seen, from the middle of a lane to that of another", () => {
  const scene = sceneAt(978, { needs: [[1, 2, 50], [2, 1, 90]] }), ctx = context();
  scene.view = { start: 0, end: 80 };
  paint.paintNeeds(ctx, scene);
  const x = scene.left + 50 / 80 * scene.plot;
  assert.deepEqual([ctx.of("moveTo")[0], ctx.of("lineTo")[0]], [1, 2].map((row) => [x, paint.rowTop(scene, row) + ROW / 2]));
  assert.equal(ctx.of("stroke").length, 1); // the other one is out of view
});

test("between two lanes the path has a line, unless something is missing there", () => {
  const lines = [[0, 0, 40, 1, 40, 60], [0, 0, 40, 1, 50, 50]].map((steps) => {
    const scene = sceneAt(978, { band: [[1e8, "all", "all", 0, steps]] }), ctx = context();
    scene.path = [0];
    paint.paintPath(ctx, scene);
    return ctx.of("lineTo").length;
  });
  assert.deepEqual(lines, [3, 2]);
});

test("lanes stand under the axis, moved by what was scrolled", () => {
  const scene = sceneAt(978);
  assert.deepEqual([0, 1].map((row) => paint.rowTop(scene, row)), [scene.top, scene.top + ROW]);
  scene.scroll = 40;
  assert.equal(paint.rowTop(scene, 1), scene.top + ROW - 40);
});

test("a box reaches from its start to its end, low where nothing happens", () => {
  const scene = sceneAt(978), ctx = context();
  paint.paintBoxes(ctx, scene, WORKER, 100);
  const { left, plot } = scene;
  assert.deepEqual(boxesOn(ctx), [
    [left + 0.4 * plot, 100 + (ROW - THIN) / 2, 0.6 * plot, THIN],
    [left, 100 + (ROW - TALL) / 2, 0.4 * plot, TALL],
  ]); // loud ones last: they are not painted over
  assert.deepEqual(written(ctx), ["sleep, at a place", "running, line 3"]);
  assert.deepEqual(ctx.drawn.filter(({ name }) => name === "fill").map(({ fill }) => fill), ["waiting", "running"]);
});

test("a label is as long as its box has room for, else there is none", () => {
  const labels = [500, 200, 120, 60].map((width) => {
    const scene = sceneAt(978), ctx = context();
    scene.plot = width;
    paint.paintBoxes(ctx, scene, WORKER, 0);
    return written(ctx)[1];
  });
  assert.deepEqual(labels, ["running, line 3", "running", undefined, undefined]);
});

test("a sliver is still seen", () => {
  const scene = sceneAt(978), ctx = context();
  scene.rows[WORKER] = paint.unpackRow([50, 2, 0.01, 1, 49.99, 2]);
  paint.paintBoxes(ctx, scene, WORKER, 0);
  assert.equal(boxesOn(ctx)[2][2], 1.6);
});

test("shares are stacked from the base line up, on whole device pixels", () => {
  const scene = sceneAt(978), ctx = context();
  scene.dpr = 2;
  paint.paintShares(ctx, scene, { x: 10.3, width: 5, kind: 3, index: 0, shares: [0.5, 0, 0, 0, 0, 0, 0.5] }, 100);
  const base = 100 + (ROW + TALL) / 2;
  assert.deepEqual(ctx.of("fillRect"), [[10.5, base - TALL / 2, 5, TALL / 2], [10.5, base - TALL, 5, TALL / 2]]);
  assert.deepEqual(ctx.drawn.map(({ fill }) => fill), ["running", "waiting"]);
});

test("what is not highlighted is faint", () => {
  const scene = sceneAt(978), ctx = context();
  scene.highlight = 0;
  paint.paintBoxes(ctx, scene, WORKER, 0);
  assert.deepEqual(ctx.drawn.filter(({ name }) => name === "fill").map(({ alpha }) => alpha), [0.16, 1]);
});

test("what is chosen has two rings around its box, of which one is seen on every fill", () => {
  const scene = sceneAt(978), ctx = context();
  scene.selected = { lane: WORKER, index: 0 };
  paint.paintBoxes(ctx, scene, WORKER, 100);
  const around = [scene.left + 0.5, 101.5, 0.4 * scene.plot - 1, ROW - 3];
  assert.deepEqual(ctx.of("strokeRect"), [around, around]);
  assert.deepEqual(ctx.drawn.filter(({ name }) => name === "strokeRect").map(({ stroke }) => stroke), ["background", "accent"]);
});

test("an arrow goes from edge to edge of two lanes, its point at the target", () => {
  const scene = sceneAt(978), ctx = context();
  scene.arrows = [0];
  paint.paintArrows(ctx, scene);
  const x = (time) => scene.left + time / 100 * scene.plot;
  const tip = paint.rowTop(scene, WORKER) + (ROW - TALL) / 2;
  assert.deepEqual(ctx.of("moveTo")[0], [x(20), paint.rowTop(scene, GROUP) + (ROW + TALL) / 2]);
  assert.deepEqual(ctx.of("lineTo"), [[x(30), tip], [x(30) - 4, tip - 7], [x(30) + 4, tip - 7]]);
});

test("an arrow to a lane that is not seen is not drawn", () => {
  const scene = sceneAt(978), ctx = context();
  scene.seen = [GROUP];
  scene.arrows = [0];
  paint.paintArrows(ctx, scene);
  assert.deepEqual(ctx.of("lineTo"), []);
});

test("a lane has its sign, its name and how it ended; a fold the last of its figures where all are too long", () => {
  const texts = (row, width) => {
    const ctx = context();
    paint.paintLane(ctx, sceneAt(width), row);
    return written(ctx);
  };
  assert.deepEqual(texts(GROUP, 978).slice(0, 3), ["▾ group", "✓", "2 tasks"]);
  assert.deepEqual(texts(WORKER, 978).slice(0, 3), ["worker", "✗", "failed"]);
  assert.deepEqual(texts(FOLD, 978).slice(0, 3), ["▸ + 4 helpers", "", "p50 1 ms · p95 2 ms · max 3 ms"]);
  assert.equal(texts(FOLD, 640)[2], "max 3 ms");
  assert.deepEqual(texts(WORKER, 400).slice(0, 2), ["worker", "✗"]);
  assert.equal(texts(WORKER, 978).filter((text) => text === "▾").length, 2); // its prints
});

test("only the lanes in view are painted", () => {
  const scene = sceneAt(978), ctx = context();
  scene.height = scene.top + ROW;
  scene.scroll = ROW;
  paint.paint(ctx, scene);
  assert.ok(written(ctx).includes("worker"));
  assert.ok(!written(ctx).includes("▾ group"));
});

test("a text that is too long ends in dots, a name has them in its middle", () => {
  const ctx = context();
  assert.equal(paint.fitted(ctx, "short", 30), "short");
  assert.equal(paint.fitted(ctx, "a longer text", 60), "a longer…");
  assert.equal(paint.fitted(ctx, "a longer text", 5), "");
  assert.equal(paint.fittedName(ctx, "worker-of-the-pool-17", 66), "worker…l-17");
  assert.equal(paint.fittedName(ctx, "worker", 36), "worker");
});

test("text is written in the colour, weight and size that is asked for", () => {
  const ctx = context();
  paint.write(ctx, sceneAt(978), "words", 1, 2, { bold: true, size: 11, colour: "red", align: "right" });
  assert.deepEqual([ctx.font, ctx.fillStyle, ctx.textAlign], ["650 11px sans", "red", "right"]);
});
