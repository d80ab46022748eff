// Painting the calls under a lane: a small flame chart in quiet colours; colour means state, not function.

const CALL = 18, CALL_BOX = 16, CALLS_END = 7;

/** The rows of a lane's calls, none where it has none. @param {Scene} scene @param {number} lane */
function callRows(scene, lane) {
  return scene.calls.get(lane)?.rows || [];
}

/** How high a lane is, with its calls if they are open. @param {Scene} scene @param {number} lane */
function laneHeight(scene, lane) {
  return scene.lanes[lane].callsOpen ? ROW + callRows(scene, lane).length * CALL + CALLS_END : ROW;
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {number} lane @param {number} y */
function paintCalls(ctx, scene, lane, y) {
  const rows = callRows(scene, lane);
  /** @type {Writing} */ const look = { size: 11.5, colour: scene.theme.muted, align: "right", room: scene.left - 14 };
  write(ctx, scene, scene.data.words.callsOf, scene.left - 10, y + CALL_BOX / 2, look);
  ctx.save();
  ctx.beginPath();
  ctx.rect(scene.left - 1, y, scene.plot + 2, rows.length * CALL + CALLS_END);
  ctx.clip();
  paintNoCalls(ctx, scene, y, rows.length * CALL - 2);
  rows.forEach((row, depth) => {
    for (const one of callsIn(row, scene.view, scene.left, scene.plot)) paintCall(ctx, scene, lane, depth, one, y + depth * CALL);
  });
  ctx.restore();
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {number} lane @param {number} depth
 * @param {{x: number, width: number, index: number}} one @param {number} y */
function paintCall(ctx, scene, lane, depth, one, y) {
  const { theme, data } = scene;
  const kind = one.index < 0 ? null : data.calls.kinds[callRows(scene, lane)[depth].kind[one.index]];
  const several = !kind || kind.calls > 0;
  const narrow = one.width < (several ? 22 : 3); // no outline: a row of them is one grey band, not a comb
  ctx.globalAlpha = narrow && several ? 0.45 : 1;
  ctx.fillStyle = narrow ? theme.muted : several ? theme.grid : theme.panel;
  ctx.strokeStyle = several ? theme.background : theme.muted;
  ctx.fillRect(one.x, y, Math.max(one.width, 1), CALL_BOX);
  ctx.globalAlpha = 1;
  if (!narrow) ctx.strokeRect(one.x + 0.5, y + 0.5, one.width - 1, CALL_BOX - 1);
  paintChosenCall(ctx, scene, lane, depth, one, y);
  if (!kind || one.width < 22) return;
  const look = { size: 11.5, colour: theme.text, room: one.width - 9 };
  write(ctx, scene, callName(kind, data.words.calls), one.x + 5, y + CALL_BOX / 2 + 0.5, look);
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {number} lane @param {number} depth
 * @param {{x: number, width: number, index: number}} one @param {number} y */
function paintChosenCall(ctx, scene, lane, depth, one, y) {
  const chosen = scene.selected;
  if (!chosen || chosen.lane !== lane || !chosen.call || chosen.call.depth !== depth || chosen.call.index !== one.index) return;
  ctx.strokeStyle = scene.theme.accent;
  ctx.lineWidth = 2.5;
  ctx.strokeRect(one.x + 0.5, y + 0.5, Math.max(one.width - 1, 2), CALL_BOX - 1);
  ctx.lineWidth = 1;
}

/** From where on only states were recorded. @param {CanvasRenderingContext2D} ctx @param {Scene} scene
 * @param {number} y @param {number} height */
function paintNoCalls(ctx, scene, y, height) {
  const { data, theme, view, left, plot } = scene;
  if (data.calls.until < 0 || data.calls.until >= view.end) return;
  const x = Math.max(toX(view, left, plot, data.calls.until), left);
  ctx.fillStyle = theme.states[UNKNOWN].stroke;
  ctx.fillRect(x, y, 1, height);
  const room = left + plot - x - 12;
  if (room > 60) write(ctx, scene, data.words.noCalls, x + 7, y + CALL_BOX / 2, { size: 11.5, colour: theme.muted, room });
}
