// The picture in the page: its elements, one repaint per animation frame, and its life there.

/** A picture in the page. `pending` is the number of the animation frame that will paint it, 0 for none;
 * `gestureAt` is when the last event of a gesture came, in ms.
 * @typedef {{host: HTMLElement, scene: Scene, canvas: HTMLCanvasElement, spacer: HTMLElement, scroller: HTMLElement,
 *   tip: HTMLElement, details: HTMLElement, keys: HTMLElement, frame: HTMLElement, undo: View[], pending: number,
 *   gestureAt: number}} Picture */

const HIGHEST = 640;

/** Replace the static picture of every copy of this output that is not replaced yet.
 * @param {string} id @param {string} packed @param {string} css */
async function concmagicUpgrade(id, packed, css) {
  try {
    const data = decoded(await unpack(packed));
    for (const host of document.querySelectorAll(`[id="${id}"]`)) {
      if (!host.shadowRoot) mount(/** @type {HTMLElement} */ (host), data, css);
    }
  } catch (error) { // the static picture stays
    console.error("concmagic:", error);
  }
}

/** @param {HTMLElement} host @param {Data} data @param {string} css */
function mount(host, data, css) {
  const picture = pictureOf(host, data);
  listenToPointer(picture);
  listenToWheel(picture);
  listenToKeys(picture);
  const life = lifeline((ended) => follow(picture, ended));
  host.attachShadow({ mode: "open" }).append(make("style", {}, css), picture.frame, life);
}

/** All elements, not yet in the page. @param {HTMLElement} host @param {Data} data */
function pictureOf(host, data) {
  const { headline, words, notes } = data;
  const canvas = make("canvas", { tabindex: "0", role: "img", "aria-label": `${headline} ${words.canvas}` });
  const spacer = make("div");
  /** @type {Picture} */ const picture = {
    host, scene: sceneOf(data), canvas, spacer, scroller: block("scroll", canvas, spacer),
    tip: make("div", { class: "tip", role: "tooltip", hidden: "" }), details: make("div", { class: "details", "aria-live": "polite" }),
    keys: make("div", { class: "notes", hidden: "" }, words.keys), frame: block("cm"), undo: [], pending: 0, gestureAt: -1000,
  };
  const [title, chips, ...findings] = headOf(data, (finding) => openFinding(picture, finding));
  picture.frame.append(title, chips, ...bandOf(data, (part) => showPath(picture, [part])), ...findings, toolsOf(picture), picture.scroller, picture.keys,
    picture.details, legendOf(data, (code) => highlight(picture, code)), ...notes.map((note) => block("notes", note)), picture.tip);
  return picture;
}

/** @param {Picture} picture */
function toolsOf(picture) {
  const { calls, data: { words, loupe } } = picture.scene;
  const tool = (/** @type {string} */ text, /** @type {string} */ name, /** @type {() => void} */ act, /** @type {string | undefined} */ needs = undefined) =>
    make("button", { type: "button", "aria-label": name, title: name, click: act, "data-needs": needs }, text);
  return block("tools", inline("hint", calls.size ? words.hintCalls : words.hint),
    ...loupe.map(({ start, end, label }) => tool(label, words.zoomTo, () => look(picture, { start, end }))),
    tool("−", "zoom out", () => zoom(picture, FARTHER), "out"), tool("+", "zoom in", () => zoom(picture, NEARER)),
    tool(words.fit, words.fit, () => fit(picture), "out"), tool(words.undo, words.undo, () => back(picture), "undo"),
    tool("?", "keys", () => showKeys(picture)));
}

/** @param {Picture} picture */
function showKeys({ keys }) {
  keys.hidden = !keys.hidden;
}

/** Highlight a state, or none any more. @param {Picture} picture @param {number} code */
function highlight(picture, code) {
  const { scene, frame } = picture;
  scene.highlight = scene.highlight === code ? -1 : code;
  const buttons = frame.querySelectorAll(".legend button");
  scene.data.legend.forEach((entry, i) => buttons[i].setAttribute("aria-pressed", String(entry.code === scene.highlight)));
  repaint(picture);
}

/** Show where the critical path lay in these parts of the band, or nowhere any more.
 * @param {Picture} picture @param {number[]} parts */
function showPath(picture, parts) {
  const { scene, frame } = picture;
  scene.path = String(scene.path) === String(parts) ? [] : parts;
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (frame.querySelectorAll(".went button"))) {
    button.setAttribute("aria-pressed", String(scene.path.includes(Number(button.dataset.part))));
  }
  repaint(picture);
}

/** @param {Picture} picture */
function repaint(picture) {
  picture.pending ||= requestAnimationFrame(() => paintNow(picture));
}

/** @param {Picture} picture */
function paintNow(picture) {
  const { scene, canvas, scroller } = picture;
  picture.pending = 0;
  const width = scroller.clientWidth;
  if (!width) return; // not shown: the observers call again
  const dpr = window.devicePixelRatio || 1;
  if (dpr !== scene.dpr) scene.patterns = [];
  scene.dpr = dpr;
  scene.seen = seenLanes(scene.lanes);
  scene.tops = stackLanes(scene.seen, (lane) => laneHeight(scene, lane));
  measureScene(scene, width);
  size(picture, scene.top + Math.max(scene.tops[scene.seen.length], ROW) + 6);
  scene.scroll = scroller.scrollTop;
  const ctx = contextOf(canvas);
  paint(ctx, scene);
  if (!scene.seen.length) write(ctx, scene, scene.data.words.noLanes, scene.left, scene.top + 10, { colour: scene.theme.muted });
  switchTools(picture);
  canvas.dataset.view = `${Math.round(scene.view.start)} ${Math.round(scene.view.end)}`;
}

/** Buttons are off while there is nothing for them to do. @param {Picture} picture */
function switchTools({ frame, scene, undo }) {
  const can = { out: scene.view.end - scene.view.start < Math.max(scene.data.wall, 1), undo: undo.length > 0 };
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (frame.querySelectorAll(".tools button[data-needs]"))) {
    button.disabled = !can[/** @type {keyof typeof can} */ (button.dataset.needs)];
  }
}

/** Make the canvas as large as what is seen, and the rest to scroll over. @param {Picture} picture @param {number} full */
function size({ scene, canvas, spacer }, full) {
  const { width, dpr } = scene;
  scene.height = Math.min(full, HIGHEST);
  const [w, h] = [Math.round(width * dpr), Math.round(scene.height * dpr)];
  if (canvas.width !== w || canvas.height !== h) { canvas.width = w; canvas.height = h; }
  canvas.style.width = `${width}px`;
  canvas.style.height = `${scene.height}px`;
  spacer.style.height = `${full - scene.height}px`;
}

/** @param {Picture} picture */
function recolour(picture) {
  const { scene, frame } = picture;
  const [light, dark] = scene.data.themes, theme = pageIsDark(picture.host) ? dark : light;
  scene.theme = theme;
  scene.patterns = [];
  for (const name of /** @type {const} */ (["background", "panel", "text", "muted", "grid", "accent", "good", "bad"])) {
    frame.style.setProperty(`--${name}`, theme[name]);
  }
  frame.style.setProperty("--font", scene.data.font);
  frame.style.colorScheme = theme.name;
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (frame.querySelectorAll(".band .part"))) {
    const look = theme.states[Number(part.dataset.code)];
    part.style.background = backgroundOf(look);
    part.style.color = look.ink;
    part.style.borderColor = look.stroke;
  }
  for (const swatch of frame.querySelectorAll("canvas.swatch")) paintSwatch(/** @type {HTMLCanvasElement} */ (swatch), scene);
  repaint(picture);
}

/** An element that begins something whenever it comes into a document (a notebook takes cells out and puts them back),
 * and aborts it when it leaves. @param {(ended: AbortSignal) => void} begin */
function lifeline(begin) {
  let life = new AbortController();
  const element = document.createElement(lifelineName());
  element.addEventListener("joined", () => { life = new AbortController(); begin(life.signal); });
  element.addEventListener("left", () => life.abort());
  return element;
}

/** The name of its class, which is one for the page and can never be taken back: it must refer to no picture. */
function lifelineName() {
  const name = "concmagic-lifeline";
  if (!customElements.get(name)) {
    customElements.define(name, class extends HTMLElement {
      connectedCallback() { this.dispatchEvent(new Event("joined")); }
      disconnectedCallback() { this.dispatchEvent(new Event("left")); }
    });
  }
  return name;
}

/** Follow the page's theme and the room there is, until it has ended. @param {Picture} picture @param {AbortSignal} ended */
function follow(picture, ended) {
  const repaints = () => repaint(picture), recolours = () => recolour(picture);
  const room = new ResizeObserver(repaints), sight = new IntersectionObserver(repaints), theme = new MutationObserver(recolours);
  recolours();
  room.observe(picture.scroller);
  sight.observe(picture.canvas); // scrolled away and back: a lost canvas is painted again
  for (const one of [document.body, document.documentElement]) theme.observe(one, { attributes: true, attributeFilter: SAYS_THEME });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolours, { signal: ended });
  ended.addEventListener("abort", () => {
    for (const one of [room, sight, theme]) one.disconnect();
    cancelAnimationFrame(picture.pending);
    picture.pending = 0;
  }, { once: true });
}
