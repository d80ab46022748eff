// The picture in the page: elements, events, and one repaint per animation frame.

/** Replace the static picture of every copy of this output that is not replaced yet.
 * @param {string} id @param {string} packed @param {string} css */
async function concmagicUpgrade(id, packed, css) {
  try {
    const data = await unpack(packed);
    for (const host of document.querySelectorAll(`[id="${id}"]`)) {
      if (!host.shadowRoot) mount(/** @type {HTMLElement} */ (host), data, css);
    }
  } catch (error) { // the static picture stays
    console.error("concmagic:", error);
  }
}

/** An element with children; text only ever becomes text. @returns {any} */
function make(/** @type {string} */ tag, /** @type {any} */ attributes = {}, /** @type {any[]} */ ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

/** Light or dark, as the page is. */
function pageIsDark() {
  const { body } = document;
  if (body.dataset.jpThemeLight !== undefined) return body.dataset.jpThemeLight === "false";
  const kind = body.dataset.vscodeThemeKind || body.className;
  if (/vscode-(high-contrast-)?light/.test(kind)) return false;
  if (/vscode-(dark|high-contrast)/.test(kind)) return true;
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** @param {any} data */
function sceneOf(data) {
  const [kind, source, ago, target, steps] = data.flows;
  const targetAt = undelta(steps);
  return {
    data, kinds: data.kinds, rows: data.rows.map(unpackRow), calls: unpackCalls(data.calls.lanes), view: { start: 0, end: Math.max(data.wall, 1) },
    lanes: data.lanes.map((/** @type {any[]} */ one) => ({
      name: one[0], depth: one[1], folds: (one[2] & 3) > 0, isFold: (one[2] & 2) > 0, machinery: (one[2] & 4) > 0,
      outcome: one[3], text: one[4], parent: one[5], detail: one[6], place: data.places[one[7]], sums: one[8], open: !(one[2] & 2), callsOpen: false,
    })),
    flows: { kind, source, target, targetAt, sourceAt: targetAt.map((at, i) => at - ago[i]) },
    curveTimes: data.curves.map((/** @type {any[]} */ curve) => undelta(curve[1])), prints: new Map(data.prints.map((/** @type {number[]} */ [lane, ...steps]) => [lane, undelta(steps)])),
    /** @type {any} */ selected: null, highlight: -1, /** @type {number[]} */ arrows: [], /** @type {number[]} */ seen: [],
    tops: [0],
    scroll: 0, dpr: 1, width: 0, height: 0, left: 0, ends: 0, plot: 1, top: 0, axisTop: 0, curvesTop: 0, bandTop: 0,
    theme: data.themes[0], /** @type {any[]} */ patterns: [],
  };
}

/** @param {HTMLElement} host @param {any} data @param {string} css */
function mount(host, data, css) {
  const scene = sceneOf(data);
  const { words } = data;
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": `${data.headline} ${words.canvas}` });
  const spacer = make("div");
  const scroller = make("div", { class: "scroll" }, canvas, spacer);
  const tip = make("div", { class: "tip", role: "tooltip", hidden: "" });
  const details = make("div", { class: "details", "aria-live": "polite" });
  /** @type {View[]} */ const undo = [];
  let frame = 0, lastZoom = -1000, active = false;

  // ---- drawing
  const repaint = () => { if (!frame) frame = requestAnimationFrame(paintNow); };
  const paintNow = () => {
    frame = 0;
    const width = scroller.clientWidth;
    if (!width) return; // not shown: the observers call again
    const dpr = window.devicePixelRatio || 1;
    if (dpr !== scene.dpr) scene.patterns = [];
    scene.dpr = dpr;
    scene.seen = seenLanes(scene.lanes);
    scene.tops = stackLanes(scene.seen, (lane) => laneHeight(scene, lane));
    measureScene(scene, width);
    const full = scene.top + Math.max(scene.tops[scene.seen.length], ROW) + 6;
    scene.height = Math.min(full, 640);
    const [w, h] = [Math.round(width * dpr), Math.round(scene.height * dpr)];
    if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
    canvas.style.width = `${width}px`;
    canvas.style.height = `${scene.height}px`;
    spacer.style.height = `${full - scene.height}px`;
    scene.scroll = scroller.scrollTop;
    const ctx = canvas.getContext("2d");
    paint(ctx, scene);
    if (!scene.seen.length) write(ctx, scene, words.noLanes, scene.left, scene.top + 10, { colour: scene.theme.muted });
    canvas.dataset.view = `${Math.round(scene.view.start)} ${Math.round(scene.view.end)}`;
  };
  const recolour = () => {
    scene.theme = data.themes[pageIsDark() ? 1 : 0];
    scene.patterns = [];
    for (const name of ["background", "panel", "text", "muted", "grid", "accent", "good", "bad"]) {
      frameElement.style.setProperty(`--${name}`, scene.theme[name]);
    }
    frameElement.style.setProperty("--font", data.font);
    frameElement.style.colorScheme = scene.theme.name;
    for (const swatch of frameElement.querySelectorAll(".swatch")) paintSwatch(swatch, scene);
    repaint();
  };

  // ---- moving about
  /** Show a stretch. A "step" can be undone, a "gesture" of many events is undone as one. */
  const look = (/** @type {View} */ view, /** @type {"step" | "gesture" | "free"} */ how = "step") => {
    const goesOn = how === "gesture" && performance.now() - lastZoom < 400;
    if (how !== "free" && !goesOn) { undo.push(scene.view); if (undo.length > 50) undo.shift(); }
    lastZoom = how === "gesture" ? performance.now() : -1000;
    scene.view = view;
    hideTip();
    repaint();
  };
  const zoom = (/** @type {number} */ factor, /** @type {number} */ at = (scene.view.start + scene.view.end) / 2,
    /** @type {"step" | "gesture"} */ how = "step") => look(zoomed(scene.view, factor, at, Math.max(data.wall, 1)), how);
  const move = (/** @type {number} */ share) =>
    look(panned(scene.view, share * (scene.view.end - scene.view.start), Math.max(data.wall, 1)), "free");
  const fit = () => look({ start: 0, end: Math.max(data.wall, 1) });
  const back = () => { const view = undo.pop(); if (view) look(view, "free"); };
  const zoomTo = (/** @type {number} */ start, /** @type {number} */ end) => {
    const room = Math.max((end - start) * 0.08, 1);
    const from = Math.max(start - room, 0), to = Math.min(end + room, data.wall);
    if (to - from >= 2) look({ start: from, end: to });
  };
  const timeAt = (/** @type {number} */ x) => toTime(scene.view, scene.left, scene.plot, x);

  // ---- selecting
  const select = (/** @type {any} */ chosen) => {
    scene.selected = chosen;
    scene.arrows = [];
    if (chosen) {
      scene.lanes[chosen.lane].callsOpen = scene.calls.has(chosen.lane);
      for (let up = scene.lanes[chosen.lane].parent; up >= 0; up = scene.lanes[up].parent) scene.lanes[up].open = true;
      const row = scene.rows[chosen.lane];
      const [start, end] = chosen.index < 0 ? [0, -1] : [row.start[chosen.index], row.end[chosen.index]];
      scene.arrows = flowsOf(scene.flows, chosen.lane, start, end);
    }
    details.replaceChildren(...(chosen ? detailsOf(scene, chosen) : []));
    repaint();
  };
  const reveal = (/** @type {number} */ lane) => {
    select({ lane, index: -1 });
    paintNow(); // lanes above it may have opened: only now it is known where it stands
    const row = scene.seen.indexOf(lane);
    const y = scene.tops[row], end = scene.top + scene.tops[row + 1];
    if (y < scroller.scrollTop) scroller.scrollTop = y;
    else if (end > scroller.scrollTop + scene.height) scroller.scrollTop = Math.min(end - scene.height + 6, y);
  };
  const closeCalls = () => { for (const lane of scene.lanes) lane.callsOpen = false; };
  const toggle = (/** @type {number} */ lane) => { scene.lanes[lane].open = !scene.lanes[lane].open; repaint(); };
  const stepLane = (/** @type {number} */ by) => {
    if (!scene.seen.length) return;
    const at = scene.selected ? scene.seen.indexOf(scene.selected.lane) + by : 0;
    closeCalls();
    reveal(scene.seen[Math.min(Math.max(at, 0), scene.seen.length - 1)]);
  };
  /** A lane's name: fold and calls; a box: details; what is empty: nothing is selected any more. */
  const click = (/** @type {any} */ { lane, index, depth, inside }) => {
    if (lane < 0 || ((inside || depth >= 0) && index < 0)) return select(null);
    if (depth >= 0) return select({ lane, index: -1, call: { depth, index } });
    if (!inside && scene.lanes[lane].folds) toggle(lane);
    const again = !inside && scene.selected && scene.selected.lane === lane && scene.lanes[lane].callsOpen;
    select(again ? null : { lane, index });
    if (again) scene.lanes[lane].callsOpen = false;
  };
  const target = (/** @type {any} */ event) => {
    const edge = canvas.getBoundingClientRect();
    const x = event.clientX - edge.left, y = event.clientY - edge.top;
    const { row, within } = y < scene.top ? { row: -1, within: 0 } : laneAt(scene.tops, y - scene.top + scene.scroll);
    const lane = row >= 0 ? scene.seen[row] : -1;
    const inside = x >= scene.left && x <= scene.left + scene.plot;
    const reach = 4 / scene.plot * (scene.view.end - scene.view.start);
    const depth = lane >= 0 && within >= ROW ? Math.floor((within - ROW) / CALL) : -1;
    const boxes = lane < 0 || !inside ? undefined : depth < 0 ? scene.rows[lane] : scene.calls.get(lane).rows[depth];
    const index = boxes ? boxAt(boxes, timeAt(x), reach) : -1;
    return { x, y, lane, index, depth, inside };
  };

  // ---- the pointer
  const hideTip = () => { tip.hidden = true; };
  const showTip = (/** @type {any} */ event) => {
    const { lane, index, depth, x, y, inside } = target(event);
    canvas.style.cursor = lane >= 0 && (index >= 0 || (!inside && depth < 0)) ? "pointer" : "";
    if (lane < 0 || ((inside || depth >= 0) && index < 0)) return hideTip();
    const one = scene.lanes[lane];
    const [title, ...said] = depth >= 0 ? callWords(scene, lane, depth, index)
      : [one.name, ...(index >= 0 ? boxWords(scene, lane, index) : [one.text, one.detail, one.place].filter(Boolean))];
    tip.replaceChildren(make("b", {}, title), ...said.flatMap((text, i) => (i ? [make("br"), text] : [text])));
    tip.hidden = false;
    const left = canvas.offsetLeft + scroller.offsetLeft;
    tip.style.left = `${Math.max(Math.min(left + x + 14, frameElement.clientWidth - tip.offsetWidth - 8), 4)}px`;
    tip.style.top = `${scroller.offsetTop + y + 18}px`;
  };
  /** @type {Map<number, any>} */ const pointers = new Map();
  let moved = false, pinch = 0;
  canvas.addEventListener("pointerdown", (/** @type {any} */ event) => {
    if (event.button) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved = false;
    active = true;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pinch = 0;
  });
  canvas.addEventListener("pointermove", (/** @type {any} */ event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return showTip(event);
    const dx = event.clientX - before.x;
    if (pointers.size === 1 && (moved || Math.abs(dx) > 3)) {
      if (!moved) look(scene.view);
      moved = true;
      canvas.classList.add("dragging");
      before.x = event.clientX;
      move(-dx / scene.plot);
    } else if (pointers.size === 2) {
      before.x = event.clientX;
      before.y = event.clientY;
      const [one, two] = [...pointers.values()];
      const apart = Math.hypot(one.x - two.x, one.y - two.y);
      moved = true;
      if (pinch) zoom(pinch / apart, timeAt((one.x + two.x) / 2 - canvas.getBoundingClientRect().left), "gesture");
      pinch = apart;
    }
  });
  const release = (/** @type {any} */ event) => {
    const known = pointers.delete(event.pointerId);
    canvas.classList.remove("dragging");
    if (!known || moved || event.type !== "pointerup") return;
    click(target(event));
    hideTip();
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("blur", () => { active = false; });
  canvas.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
    if (!event.ctrlKey && !event.metaKey && !active) return; // the page scrolls
    event.preventDefault();
    event.stopPropagation();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return move((event.deltaX || event.deltaY) / 800);
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoom(Math.exp(Math.max(Math.min(event.deltaY * lines, 120), -120) / 300), timeAt(target(event).x), "gesture");
  }, { passive: false });
  scroller.addEventListener("scroll", repaint, { passive: true });

  // ---- the keyboard: no key pressed in here reaches the notebook
  const keysShown = make("div", { class: "notes", hidden: "" }, words.keys);
  const showKeys = () => { keysShown.hidden = !keysShown.hidden; };
  const leave = () => {
    canvas.blur();
    const around = /** @type {any} */ (host.parentElement && host.parentElement.closest("[tabindex]"));
    if (around) around.focus({ preventScroll: true });
  };
  const enter = () => { if (scene.selected && scene.lanes[scene.selected.lane].folds) toggle(scene.selected.lane); };
  /** @type {Record<string, () => void>} */
  const keys = {
    "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1 / 0.7), "_": () => zoom(1 / 0.7), Home: fit,
    ArrowLeft: () => move(-0.12), ArrowRight: () => move(0.12), ArrowUp: () => stepLane(-1), ArrowDown: () => stepLane(1),
    Backspace: back, u: back, Escape: leave, "?": showKeys, Enter: enter,
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    event.stopPropagation();
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (event.type !== "keydown" || !plain || event.composedPath()[0] !== canvas) return;
    if (Object.hasOwn(keys, event.key)) { event.preventDefault(); keys[event.key](); }
  };
  for (const type of ["keydown", "keypress", "keyup"]) host.addEventListener(type, /** @type {any} */ (onKey), true);
  host.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab listens before us, at the document

  // ---- putting it together
  const highlight = (/** @type {number} */ code, /** @type {any} */ button) => {
    scene.highlight = scene.highlight === code ? -1 : code;
    for (const one of button.parentElement.children) one.setAttribute("aria-pressed", String(one === button && scene.highlight === code));
    repaint();
  };
  const tool = (/** @type {string} */ text, /** @type {string} */ name, /** @type {() => void} */ act) =>
    make("button", { type: "button", "aria-label": name, title: name, click: act }, text);
  const [from, to, typical] = data.loupe;
  const loupe = typical ? tool(typical, words.zoomTo, () => look({ start: from, end: to })) : "";
  const tools = make("div", { class: "tools" }, make("span", { class: "hint" }, scene.calls.size ? words.hintCalls : words.hint), loupe,
    tool("−", "zoom out", () => zoom(1 / 0.7)), tool("+", "zoom in", () => zoom(0.7)),
    tool(words.fit, words.fit, fit), tool(words.undo, words.undo, back), tool("?", "keys", showKeys));
  const openFinding = (/** @type {any[]} */ finding) => {
    if (finding[5] > finding[4]) zoomTo(finding[4], finding[5]);
    if (finding[6].length) reveal(finding[6][0]);
  };
  const frameElement = make("div", { class: "cm" }, ...headOf(data, openFinding), tools, scroller, keysShown, details,
    legendOf(data, highlight), ...data.notes.map((/** @type {string} */ note) => make("div", { class: "notes" }, note)), tip);
  const shadow = host.attachShadow({ mode: "open" });
  shadow.append(make("style", {}, css), frameElement);
  recolour();
  new ResizeObserver(repaint).observe(scroller);
  new IntersectionObserver(repaint).observe(canvas); // scrolled away and back: a lost canvas is painted again
  canvas.addEventListener("contextrestored", repaint);
  new MutationObserver(recolour).observe(document.body, {
    attributes: true, attributeFilter: ["class", "data-jp-theme-light", "data-vscode-theme-kind"],
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
}
