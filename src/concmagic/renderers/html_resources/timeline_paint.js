// Painting one scene on a canvas. Reads the scene, changes nothing in it.

const ROW = 29, TALL = 23, CURVES = [24, 18];
/** Size and boldness of what is written on a box, by its height; on a lower one nothing is. @type {Record<number, [number, boolean]>} */
const WRITING = { 23: [13, true], 19: [12, true], 15: [11.5, false] };

/** @typedef {{size?: number, bold?: boolean, colour?: string, align?: CanvasTextAlign, room?: number, fit?: typeof fitted}} Writing */

/** Where things stand for a width: names left, outcomes right, the lanes between.
 * @param {Scene} scene @param {number} width */
function measureScene(scene, width) {
  scene.width = width;
  scene.left = Math.min(Math.max(width * 0.175, 84), 170);
  scene.ends = width > 860 ? 208 : width > 700 ? 184 : width > 560 ? 152 : width > 430 ? 104 : 26;
  scene.plot = Math.max(width - scene.left - scene.ends, 60);
  scene.curvesTop = 4;
  scene.axisTop = scene.curvesTop + scene.data.curves.length * 28 + Math.min(scene.data.marks.length, 2) * 17 + 2;
  scene.top = scene.axisTop + 24;
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene */
function paint(ctx, scene) {
  const { theme } = scene;
  ctx.setTransform(scene.dpr, 0, 0, scene.dpr, 0, 0);
  ctx.fillStyle = theme.background;
  ctx.fillRect(0, 0, scene.width, scene.height);
  ctx.textBaseline = "middle";
  ctx.lineWidth = 1;
  scene.data.curves.forEach((curve, i) => paintCurve(ctx, scene, curve, i));
  paintAxis(ctx, scene);
  ctx.save();
  ctx.beginPath();
  ctx.rect(0, scene.top, scene.width, scene.height - scene.top);
  ctx.clip();
  const first = Math.max(firstAbove(scene.tops, scene.scroll) - 1, 0);
  const last = Math.min(scene.seen.length, firstAbove(scene.tops, scene.scroll + scene.height - scene.top));
  for (let row = first; row < last; row++) paintLane(ctx, scene, row);
  paintPath(ctx, scene);
  paintNeeds(ctx, scene);
  paintArrows(ctx, scene);
  ctx.restore();
}

/** The upper edge of a lane. @param {Scene} scene @param {number} row */
function rowTop(scene, row) {
  return scene.top + scene.tops[row] - scene.scroll;
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {string} text @param {number} x @param {number} y
 * @param {Writing} look */
function write(ctx, scene, text, x, y, look = {}) {
  ctx.font = `${look.bold ? "650 " : ""}${look.size || 13}px ${scene.data.font}`;
  ctx.fillStyle = look.colour || scene.theme.text;
  ctx.textAlign = look.align || "left";
  ctx.fillText(look.room === undefined ? text : (look.fit || fitted)(ctx, text, look.room), x, y);
}

/** @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} room */
function fitted(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  let low = 0, high = Math.min(text.length, 80);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ctx.measureText(text.slice(0, middle) + "…").width <= room) low = middle; else high = middle - 1;
  }
  return low ? text.slice(0, low).replace(/[ .]+$/, "") + "…" : "";
}

/** A name shortened in its middle: what tells it from its siblings is at the end.
 * @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} room */
function fittedName(ctx, text, room) {
  if (ctx.measureText(text).width <= room) return text;
  let low = 0, high = Math.min(text.length, 60);
  const shown = (/** @type {number} */ kept) =>
    text.slice(0, Math.ceil(kept * 0.6)).trimEnd() + "…" + text.slice(text.length - kept + Math.ceil(kept * 0.6)).trimStart();
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ctx.measureText(shown(middle)).width <= room) low = middle; else high = middle - 1;
  }
  return low ? shown(low) : "";
}

/** What a state is filled with: a colour or a hatching. @param {Scene} scene @param {number} code */
function fillOf(scene, code) {
  const look = scene.theme.states[code];
  if (!look.hatch) return look.fill;
  return (scene.patterns[code] ||= hatching(look, scene.dpr));
}

/** The hatchings as in the static picture: the tile's size, its path, how wide that is drawn.
 * @type {Record<string, [number, string, number]>} */
const HATCHES = {
  cross: [8, "M0 0L8 8M8 0L0 8", 1.3], diagonal: [8, "M-2 2L2 -2M0 8L8 0M6 10L10 6", 2],
  back: [8, "M-2 6L2 10M0 0L8 8M6 -2L10 2", 2], bars: [6, "M3 0V6", 1.6], dots: [5, "M2 2h1.5", 1.3],
};

/** @param {Look} look @param {number} dpr */
function hatching(look, dpr) {
  const [size, shape, width] = HATCHES[look.hatch];
  const tile = document.createElement("canvas");
  tile.width = tile.height = Math.round(size * dpr);
  const ctx = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  ctx.scale(tile.width / size, tile.width / size);
  ctx.fillStyle = look.fill;
  ctx.fillRect(0, 0, size, size);
  ctx.strokeStyle = look.hatch_colour;
  ctx.lineWidth = width;
  ctx.stroke(new Path2D(shape));
  const pattern = /** @type {CanvasPattern} */ (ctx.createPattern(tile, "repeat"));
  pattern.setTransform(new DOMMatrix().scale(size / tile.width));
  return pattern;
}

/** A filled, outlined rectangle in a state's look. @param {CanvasRenderingContext2D} ctx @param {Scene} scene
 * @param {number} code @param {number} x @param {number} y @param {number} width @param {number} height */
function box(ctx, scene, code, x, y, width, height) {
  ctx.fillStyle = fillOf(scene, code);
  ctx.strokeStyle = scene.theme.states[code].stroke;
  ctx.beginPath();
  if (width > 20) ctx.roundRect(x + 0.5, y + 0.5, width - 1, height - 1, 2.5);
  else ctx.rect(x, y, Math.max(width, 1.6), height);
  ctx.fill();
  if (width > 3) ctx.stroke();
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number} toX
 * @param {number} toY */
function line(ctx, x, y, toX, toY) {
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {number} row */
function paintLane(ctx, scene, row) {
  const { theme, left, plot } = scene;
  const number = scene.seen[row];
  const lane = scene.lanes[number];
  const y = rowTop(scene, row), middle = y + ROW / 2;
  if (scene.selected && scene.selected.lane === number) {
    ctx.fillStyle = theme.panel;
    ctx.fillRect(0, y, scene.width, ROW);
    ctx.fillStyle = theme.accent;
    ctx.fillRect(0, y, 3, ROW);
  }
  if (lane.callsOpen) paintCalls(ctx, scene, number, y + ROW);
  const x = 4 + lane.depth * Math.min(14, left / 12);
  const sign = lane.folds ? (lane.open ? "▾ " : "▸ ") : "";
  const quiet = lane.isFold || lane.machinery;
  write(ctx, scene, sign + lane.name, x, middle, {
    size: lane.isFold ? 12.5 : 13.5, bold: lane.folds && !lane.isFold, colour: quiet ? theme.muted : theme.text,
    room: left - 8 - x, fit: lane.isFold ? fitted : fittedName,
  });
  paintEnd(ctx, scene, lane, middle);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left - 1, y - 3, plot + 2, ROW + 3);
  ctx.clip();
  paintBoxes(ctx, scene, number, y);
  // Each print is a small triangle above the lane.
  for (const time of scene.prints.get(number) || []) {
    write(ctx, scene, "▾", toX(scene.view, left, plot, time), y, { size: 9, align: "center" });
  }
  ctx.restore();
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {Scene["lanes"][number]} lane
 * @param {number} middle */
function paintEnd(ctx, scene, lane, middle) {
  const { theme } = scene;
  const end = scene.left + scene.plot;
  const { failed } = lane;
  const sign = failed ? "✗" : lane.ending === ENDED_WELL && !lane.isFold ? "✓" : "";
  const at = lane.isFold && !failed ? end + 12 : end + 30;
  const room = scene.width - at - 2;
  write(ctx, scene, sign, end + 12, middle, { size: 14, bold: true, colour: failed ? theme.bad : theme.good });
  if (scene.ends < 80) return;
  const colour = failed ? theme.bad : theme.muted;
  const size = lane.isFold ? 11.5 : 12.5;
  ctx.font = `${size}px ${scene.data.font}`;
  const isTooLong = lane.isFold && ctx.measureText(lane.text).width > room;
  const text = isTooLong ? lane.text.replace(/.* · /, "") : lane.text; // of p50 · p95 · max, the last
  write(ctx, scene, text, at, middle, { size, bold: failed, colour, room, fit: fittedNumber });
}

/** A text as it is if there is room, else its number alone: half a number says something else.
 * @param {CanvasRenderingContext2D} ctx @param {string} text @param {number} room */
function fittedNumber(ctx, text, room) {
  const number = /\d[\d.,]*\s(?:min\s\d\d\ss|ns|µs|ms|s|%)/.exec(text);
  if (!number || ctx.measureText(text).width <= room) return fitted(ctx, text, room);
  return ctx.measureText(number[0]).width <= room ? number[0] : "";
}

/** Quiet states first, then the loud ones over them: a sliver of work is not painted over.
 * @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {number} number @param {number} y */
function paintBoxes(ctx, scene, number, y) {
  const { theme, kinds } = scene;
  const boxes = boxesIn(scene.rows[number], kinds, scene.view, scene.left, scene.plot);
  const loud = [];
  for (const one of boxes) {
    if (one.shares) paintShares(ctx, scene, one, y);
    else if (theme.states[kinds[one.kind].code].height < TALL) paintPlain(ctx, scene, number, one, y);
    else loud.push(one);
  }
  for (const one of loud) paintPlain(ctx, scene, number, one, y);
  ctx.globalAlpha = 1;
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {number} number @param {Box} one
 * @param {number} y */
function paintPlain(ctx, scene, number, one, y) {
  const { code, full, short } = scene.kinds[one.kind];
  const look = scene.theme.states[code];
  const { height } = look;
  ctx.globalAlpha = scene.highlight < 0 || scene.highlight === code ? 1 : 0.16;
  box(ctx, scene, code, one.x, y + (ROW - height) / 2, one.width, height);
  const chosen = scene.selected;
  if (chosen && chosen.lane === number && chosen.index === one.index && one.index >= 0) {
    // Two rings: one of them is seen on every fill.
    ctx.strokeStyle = scene.theme.background;
    ctx.lineWidth = 6;
    ctx.strokeRect(one.x + 0.5, y + 1.5, Math.max(one.width - 1, 2), ROW - 3);
    ctx.strokeStyle = scene.theme.accent;
    ctx.lineWidth = 3;
    ctx.strokeRect(one.x + 0.5, y + 1.5, Math.max(one.width - 1, 2), ROW - 3);
    ctx.lineWidth = 1;
  }
  if (one.width < 26 || !WRITING[height]) return;
  const [size, bold] = WRITING[height];
  ctx.font = `${bold ? "650 " : ""}${size}px ${scene.data.font}`;
  const label = [full, short, scene.data.words.states[code]].find((words) => ctx.measureText(words).width <= one.width - 12);
  if (!label) return;
  if (look.hatch === "dots") halo(ctx, look, label, one.x + 7, y + ROW / 2 + 0.5);
  write(ctx, scene, label, one.x + 7, y + ROW / 2 + 0.5, { size, bold, colour: look.ink });
}

/** Dots behind letters make them hard to read. @param {CanvasRenderingContext2D} ctx @param {Look} look
 * @param {string} text @param {number} x @param {number} y */
function halo(ctx, look, text, x, y) {
  ctx.textAlign = "left";
  ctx.strokeStyle = look.fill;
  ctx.lineWidth = 4;
  ctx.lineJoin = "round";
  ctx.strokeText(text, x, y);
  ctx.lineWidth = 1;
}

/** Shares as a stack, the loud states from the base line up. @param {CanvasRenderingContext2D} ctx
 * @param {Scene} scene @param {Box} one @param {number} y */
function paintShares(ctx, scene, one, y) {
  let at = y + (ROW + TALL) / 2;
  const from = Math.round(one.x * scene.dpr) / scene.dpr; // whole device pixels: no seams between neighbours
  const to = Math.round((one.x + one.width) * scene.dpr) / scene.dpr;
  (one.shares || []).forEach((share, code) => {
    if (share <= 0) return;
    const height = Math.max(share * TALL, 0.6);
    at -= height;
    ctx.globalAlpha = scene.highlight < 0 || scene.highlight === code ? 1 : 0.16;
    ctx.fillStyle = fillOf(scene, code);
    ctx.fillRect(from, at, Math.max(to - from, 1 / scene.dpr), height);
  });
}

/** The stretches of the critical path that are of the chosen parts of the band, as a line through the lanes: under what
 * it lay on, and down or up to where it went on. @param {CanvasRenderingContext2D} ctx @param {Scene} scene */
function paintPath(ctx, scene) {
  const { data, view, left, plot, theme } = scene;
  const stretches = scene.path.flatMap((part) => stretchesOf(data.band[part].steps)).sort((a, b) => a.start - b.start);
  ctx.save();
  ctx.beginPath();
  ctx.rect(left - 2, 0, plot + 4, scene.height);
  ctx.clip();
  ctx.strokeStyle = theme.accent;
  ctx.lineWidth = 3;
  /** @type {{end: number, x: number, y: number} | null} */ let before = null;
  for (const { lane, start, end } of stretches) {
    const row = scene.seen.indexOf(lane);
    if (row < 0 || end < view.start || start > view.end) { before = null; continue; }
    const x = toX(view, left, plot, start), until = toX(view, left, plot, end), y = rowTop(scene, row) + ROW - 2;
    if (before && start - before.end < 2 && before.y !== y) line(ctx, before.x, before.y, x, y);
    line(ctx, x, y, Math.max(until, x + 1), y);
    before = { end, x: until, y };
  }
  ctx.restore();
}

/** @param {number[]} steps  lane, from where and how long, again and again */
function stretchesOf(steps) {
  const found = [];
  for (let i = 0; i < steps.length; i += 3) found.push({ lane: steps[i], start: steps[i + 1], end: steps[i + 1] + steps[i + 2] });
  return found;
}

/** An arrow from a lane to another, at two times; from edge to edge of their boxes, or `deep` into them.
 * @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {number} source @param {number} target
 * @param {number} sourceAt @param {number} targetAt @param {number} deep */
function arrow(ctx, scene, source, target, sourceAt, targetAt, deep = 0) {
  const from = scene.seen.indexOf(source), to = scene.seen.indexOf(target);
  if (from < 0 || to < 0 || from === to) return;
  const down = to > from ? 1 : -1, reach = down * (TALL / 2 - deep), wide = deep ? 6 : 4, long = deep ? 9 : 7;
  const x = toX(scene.view, scene.left, scene.plot, sourceAt);
  const end = toX(scene.view, scene.left, scene.plot, targetAt);
  const tip = rowTop(scene, to) + ROW / 2 - reach;
  line(ctx, x, rowTop(scene, from) + ROW / 2 + reach, end, tip);
  ctx.beginPath();
  ctx.moveTo(end, tip);
  ctx.lineTo(end - wide, tip - down * long);
  ctx.lineTo(end + wide, tip - down * long);
  ctx.fill();
}

/** Who needs whom in a deadlock: always seen. @param {CanvasRenderingContext2D} ctx @param {Scene} scene */
function paintNeeds(ctx, scene) {
  ctx.strokeStyle = ctx.fillStyle = scene.theme.text;
  ctx.lineWidth = 2.5;
  for (const { source, target, at } of scene.data.needs) {
    if (at >= scene.view.start && at <= scene.view.end) arrow(ctx, scene, source, target, at, at, TALL / 2);
  }
  ctx.lineWidth = 1;
}

/** Who woke whom, for what is selected. @param {CanvasRenderingContext2D} ctx @param {Scene} scene */
function paintArrows(ctx, scene) {
  const { theme, flows } = scene;
  ctx.strokeStyle = ctx.fillStyle = theme.text;
  ctx.lineWidth = 1.6;
  for (const i of scene.arrows.slice(0, 40)) arrow(ctx, scene, flows.source[i], flows.target[i], flows.sourceAt[i], flows.targetAt[i]);
  ctx.lineWidth = 1;
}
