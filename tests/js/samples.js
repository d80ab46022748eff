"use strict";
// A small payload in the order of the schema, its scene, and a canvas that notes what is drawn on it.
const { load } = require("./scripts.js");

const scripts = load("decoded", "laneHeight", "measureScene", "sceneOf", "seenLanes", "stackLanes");

const look = (fill, more = {}) => ({ fill, stroke: `${fill} stroke`, ink: `${fill} ink`, hatch: "", hatch_colour: "", height: 23, ...more });
const theme = {
  name: "light", background: "background", panel: "panel", text: "text", muted: "muted", grid: "grid", accent: "accent", good: "good", bad: "bad",
  states: [
    look("running"), look("blocking"), look("ready"), look("no core"), look("each other", { height: 19 }), look("stuck"), look("waiting", { height: 15 }),
    look("idle", { height: 7 }), ...["starting", "tracing", "unknown"].map((name) => look(name, { height: 15 })),
  ],
};
const words = {
  canvas: "canvas", keys: "keys", hint: "hint", hintCalls: "hint of calls", calls: ["{n} × {name}", "{n} shorter calls", "{x} in all", "{n} deeper"],
  callsOf: "calls", noCalls: "no calls from here", fit: "fit", undo: "undo", where: "where it went", noLanes: "no lanes", zoomTo: "show", path: "path",
  highlight: "highlight", merged: "too fine", length: "for {x}", since: "from {x}", alive: "in all", returned: "returned",
  flows: [["started by {x}", "started {x}"], ["woken by {x}", "woke {x}"]], printed: "printed",
  states: ["running", "blocking", "ready", "no core", "each other", "stuck", "waiting", "idle", "starting", "tracing", "not recorded"],
};

/** 100 units of 1 ms: a group with a worker that fails and a fold. @param {object} [changed] */
const payload = (changed = {}) => ({
  headline: "A headline", chips: [["concurrency", "2", "at most 2", ""]],
  band: [[60e6, "waiting 60 ms", "waiting · 60 ms · 60 %", 6, [1, 40, 60]], [40e6, "running 40 ms", "running · 40 ms · 40 %", 0, [1, 0, 40]]], legend: [[0, "running", "40 ms"]], cost: ["cost", false], notes: [],
  unit: 1e6, wall: 100,
  lanes: [
    ["group", 0, 1, 1, "2 tasks", -1, "", 0, []],
    ["worker", 1, 0, 2, "failed", 0, "raised ValueError", 1, [40, 0, 0, 0, 0, 0, 60]],
    ["+ 4 helpers", 1, 6, 0, "p50 1 ms · p95 2 ms · max 3 ms", 0, "", 0, []],
  ],
  places: ["", "line 3"], rows: [[100, 1], [40, 1, 60, 2], [100, 3]],
  calls: { kinds: [["", ""], ["load", "line 6"], ["parse", "text.py:8", 12, "3 ms"]], lanes: [[1, 5, [[40, 1, 10, 2], [5, 0, 10, 2]]]], until: 80 },
  kinds: [[-1, "", "", "", 0], [0, "running, line 3", "running", "line 3", 3], [6, "sleep, at a place", "sleep", "other.py:4", 0], [-2, [8, 0, 0, 0, 0, 0, 8]]],
  flows: [[1, 0], [0, 1], [10, 10], [1, 2], [30, 40]], needs: [], findings: [["warning", "message", "hint", "lint", 10, 20, [1]]],
  marks: [["half", 50, 60]], prints: [[1, [10, 30]]], loupe: [], curves: [["in flight", [0, 50], [1, 2], 2, "peak 2"]], source: { 3: "work()" },
  themes: [theme, theme], font: "sans", words, ...changed,
});

/** The scene of a payload at a width, all lanes seen. */
function sceneAt(width, changed = {}) {
  const { decoded, sceneOf, measureScene, seenLanes, stackLanes, laneHeight } = scripts;
  const scene = sceneOf(decoded(payload(changed)));
  scene.seen = seenLanes(scene.lanes);
  scene.tops = stackLanes(scene.seen, (lane) => laneHeight(scene, lane));
  measureScene(scene, width);
  scene.height = scene.top + scene.tops[scene.seen.length];
  return scene;
}

/** A canvas' context whose letters are all 6 wide. It notes each call with the colours of that moment; `of` gives the
 * values of all calls of a name. */
function context() {
  const drawn = [];
  const state = {
    drawn, measureText: (text) => ({ width: text.length * 6 }), of: (name) => drawn.filter((one) => one.name === name).map((one) => one.values),
  };
  return new Proxy(state, {
    get: (target, name) => (name in target ? target[name] : (...values) => {
      drawn.push({ name, values, fill: target.fillStyle, stroke: target.strokeStyle, alpha: target.globalAlpha });
    }),
  });
}

/** The texts written on a context. */
const written = (ctx) => ctx.of("fillText").map(([text]) => text);

module.exports = { payload, sceneAt, context, written };
