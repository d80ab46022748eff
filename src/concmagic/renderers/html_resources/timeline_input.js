// The pointer, the wheel and the keys.

/** What is under the pointer: -1 for no lane, no box, no row of calls; `inside` the stretch of time, not beside it.
 * @typedef {{x: number, y: number, lane: number, index: number, depth: number, inside: boolean}} Target */

/** @param {Picture} picture @param {MouseEvent} event @returns {Target} */
function targetOf({ scene, canvas }, event) {
  const edge = canvas.getBoundingClientRect();
  const x = event.clientX - edge.left, y = event.clientY - edge.top;
  const { row, within } = y < scene.top ? { row: -1, within: 0 } : laneAt(scene.tops, y - scene.top + scene.scroll);
  const lane = row >= 0 ? scene.seen[row] : -1;
  const inside = x >= scene.left && x <= scene.left + scene.plot;
  const reach = 4 / scene.plot * (scene.view.end - scene.view.start);
  const depth = lane >= 0 && within >= ROW ? Math.floor((within - ROW) / CALL) : -1;
  const boxes = lane < 0 || !inside ? undefined : depth < 0 ? scene.rows[lane] : callRows(scene, lane)[depth];
  const index = boxes ? boxAt(boxes, toTime(scene.view, scene.left, scene.plot, x), reach) : -1;
  return { x, y, lane, index, depth, inside };
}

/** Nothing is there to be told or chosen. @param {Target} target */
const isEmpty = ({ lane, index, depth, inside }) => lane < 0 || ((inside || depth >= 0) && index < 0);

/** A lane's name: fold and calls; a box: details; what is empty: nothing is selected any more.
 * @param {Picture} picture @param {Target} target */
function click(picture, target) {
  const { lane, index, depth, inside } = target;
  const { lanes, selected } = picture.scene;
  if (isEmpty(target)) return select(picture, null);
  if (depth >= 0) return select(picture, { lane, index: -1, call: { depth, index } });
  if (!inside && lanes[lane].folds) toggle(picture, lane);
  const again = !inside && selected && selected.lane === lane && lanes[lane].callsOpen;
  select(picture, again ? null : { lane, index });
  if (again) lanes[lane].callsOpen = false;
}

/** @param {Picture} picture */
function hideTip({ tip }) {
  tip.hidden = true;
}

/** @param {Picture} picture @param {MouseEvent} event */
function showTip(picture, event) {
  const { scene, canvas, scroller, tip, frame } = picture;
  const target = targetOf(picture, event), { lane, index, depth, x, y, inside } = target;
  canvas.style.cursor = lane >= 0 && (index >= 0 || (!inside && depth < 0)) ? "pointer" : "";
  if (isEmpty(target)) return hideTip(picture);
  const one = scene.lanes[lane];
  const [title, ...said] = depth >= 0 ? callWords(scene, lane, depth, index)
    : [one.name, ...(index >= 0 ? boxWords(scene, lane, index) : [one.text, one.detail, one.place].filter(Boolean))];
  tip.replaceChildren(make("b", {}, title), ...said.flatMap((text, i) => (i ? [make("br"), text] : [text])));
  tip.hidden = false;
  const left = canvas.offsetLeft + scroller.offsetLeft;
  tip.style.left = `${Math.max(Math.min(left + x + 14, frame.clientWidth - tip.offsetWidth - 8), 4)}px`;
  tip.style.top = `${scroller.offsetTop + y + 18}px`;
}

/** One pointer drags, two pinch. @param {Picture} picture */
function listenToPointer(picture) {
  const { canvas, scene } = picture;
  /** @type {Map<number, {x: number, y: number}>} */ const pointers = new Map();
  let moved = false, pinch = 0;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = false;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pinch = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return showTip(picture, event);
    const dx = event.clientX - before.x;
    if (pointers.size === 1 && (moved || Math.abs(dx) > 3)) {
      if (!moved) look(picture, scene.view);
      moved = true;
      canvas.classList.add("dragging");
      before.x = event.clientX;
      move(picture, -dx / scene.plot);
    } else if (pointers.size === 2) {
      before.x = event.clientX;
      before.y = event.clientY;
      const [one, two] = [...pointers.values()];
      const apart = Math.hypot(one.x - two.x, one.y - two.y);
      moved = true;
      if (pinch) zoom(picture, pinch / apart, timeAt(picture, (one.x + two.x) / 2), "gesture");
      pinch = apart;
    }
  });
  const release = (/** @type {PointerEvent} */ event) => {
    const known = pointers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (!known || moved || event.type !== "pointerup") return;
    click(picture, targetOf(picture, event));
    hideTip(picture);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => hideTip(picture));
}

/** The time at a place of the page. @param {Picture} picture @param {number} clientX */
function timeAt({ scene, canvas }, clientX) {
  return toTime(scene.view, scene.left, scene.plot, clientX - canvas.getBoundingClientRect().left);
}

/** @param {Picture} picture */
function listenToWheel(picture) {
  const { canvas, scroller } = picture;
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
    event.preventDefault();
    event.stopPropagation();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) return move(picture, event.deltaX / 800);
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoom(picture, Math.exp(Math.max(Math.min(event.deltaY * lines, 120), -120) / 300), timeAt(picture, event.clientX), "gesture");
  }, { passive: false });
  scroller.addEventListener("scroll", () => repaint(picture), { passive: true });
  canvas.addEventListener("contextrestored", () => repaint(picture));
}

/** No key pressed in the picture reaches the notebook. @param {Picture} picture */
function listenToKeys(picture) {
  const { host, canvas } = picture;
  const keys = keysOf(picture);
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.type !== "keydown" || !plain || event.composedPath()[0] !== canvas) return;
    if (Object.hasOwn(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  };
  for (const type of /** @type {const} */ (["keydown", "keypress", "keyup"])) host.addEventListener(type, onKey, true);
  host.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab listens before us, at the document
}

/** What each key does. @param {Picture} picture @returns {Record<string, () => void>} */
function keysOf(picture) {
  const nearer = () => zoom(picture, NEARER), farther = () => zoom(picture, FARTHER), undo = () => back(picture);
  return {
    "+": nearer, "=": nearer, "-": farther, "_": farther, Home: () => fit(picture), Backspace: undo, u: undo,
    ArrowLeft: () => move(picture, -0.12), ArrowRight: () => move(picture, 0.12),
    ArrowUp: () => stepLane(picture, -1), ArrowDown: () => stepLane(picture, 1),
    p: () => showPath(picture, picture.scene.data.band.map((_, i) => i)), Escape: () => leave(picture), "?": () => showKeys(picture), Enter: () => enter(picture),
  };
}

/** Give the keys back to the notebook. @param {Picture} picture */
function leave({ host, canvas }) {
  canvas.blur();
  /** @type {HTMLElement | null | undefined} */ const around = host.parentElement?.closest("[tabindex]");
  around?.focus({ preventScroll: true });
}

/** Fold or unfold the chosen lane. @param {Picture} picture */
function enter(picture) {
  const { selected, lanes } = picture.scene;
  if (selected && lanes[selected.lane].folds) toggle(picture, selected.lane);
}
