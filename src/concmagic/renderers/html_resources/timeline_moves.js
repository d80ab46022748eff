// Moving about: which stretch of time is shown, and what is chosen.

const NEARER = 0.7, FARTHER = 1 / 0.7;

/** Show a stretch. A "step" can be undone, a "gesture" of many events is undone as one.
 * @param {Picture} picture @param {View} view @param {"step" | "gesture" | "free"} how */
function look(picture, view, how = "step") {
  const { scene, undo } = picture;
  const now = performance.now();
  const goesOn = how === "gesture" && now - picture.gestureAt < 400;
  if (how !== "free" && !goesOn) { undo.push(scene.view); if (undo.length > 50) undo.shift(); }
  picture.gestureAt = how === "gesture" ? now : -1000;
  scene.view = view;
  hideTip(picture);
  repaint(picture);
}

/** @param {Picture} picture @param {number} factor @param {number} [at] @param {"step" | "gesture"} [how] */
function zoom(picture, factor, at, how) {
  const { view, data } = picture.scene;
  look(picture, zoomed(view, factor, at ?? (view.start + view.end) / 2, Math.max(data.wall, 1)), how);
}

/** Move by a share of what is shown. @param {Picture} picture @param {number} share */
function move(picture, share) {
  const { view, data } = picture.scene;
  look(picture, panned(view, share * (view.end - view.start), Math.max(data.wall, 1)), "free");
}

/** @param {Picture} picture */
function fit(picture) {
  look(picture, { start: 0, end: Math.max(picture.scene.data.wall, 1) });
}

/** @param {Picture} picture */
function back(picture) {
  const view = picture.undo.pop();
  if (view) look(picture, view, "free");
}

/** @param {Picture} picture @param {number} start @param {number} end */
function zoomTo(picture, start, end) {
  const room = Math.max((end - start) * 0.08, 1);
  const from = Math.max(start - room, 0), to = Math.min(end + room, picture.scene.data.wall);
  if (to - from >= 2) look(picture, { start: from, end: to });
}

/** @param {Picture} picture @param {Finding} finding */
function openFinding(picture, { start, end, lanes }) {
  if (end > start) zoomTo(picture, start, end);
  if (lanes.length) reveal(picture, lanes[0]);
}

/** @param {Picture} picture @param {Chosen | null} chosen */
function select(picture, chosen) {
  const { scene, details } = picture;
  const { lanes } = scene;
  scene.selected = chosen;
  scene.arrows = [];
  if (chosen) {
    const { lane, index } = chosen, row = scene.rows[lane];
    lanes[lane].callsOpen = scene.calls.has(lane);
    for (let up = lanes[lane].parent; up >= 0; up = lanes[up].parent) lanes[up].open = true;
    const [start, end] = index < 0 ? [0, -1] : [row.start[index], row.end[index]];
    scene.arrows = flowsOf(scene.flows, lane, start, end);
  }
  details.replaceChildren(...(chosen ? detailsOf(scene, chosen) : []));
  repaint(picture);
}

/** Choose a lane and bring it into view. @param {Picture} picture @param {number} lane */
function reveal(picture, lane) {
  const { scene, scroller } = picture;
  select(picture, { lane, index: -1 });
  paintNow(picture); // lanes above it may have opened: only now it is known where it stands
  const row = scene.seen.indexOf(lane);
  const y = scene.tops[row], end = scene.top + scene.tops[row + 1];
  if (y < scroller.scrollTop) scroller.scrollTop = y;
  else if (end > scroller.scrollTop + scene.height) scroller.scrollTop = Math.min(end - scene.height + 6, y);
}

/** @param {Picture} picture @param {number} lane */
function toggle(picture, lane) {
  const one = picture.scene.lanes[lane];
  one.open = !one.open;
  repaint(picture);
}

/** @param {Picture} picture @param {number} by */
function stepLane(picture, by) {
  const { seen, selected, lanes } = picture.scene;
  if (!seen.length) return;
  const at = selected ? seen.indexOf(selected.lane) + by : 0;
  for (const lane of lanes) lane.callsOpen = false;
  reveal(picture, seen[Math.min(Math.max(at, 0), seen.length - 1)]);
}
