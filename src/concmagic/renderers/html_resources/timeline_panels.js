// What stands around the picture: headline, chips, findings, legend, details.

/** An attribute, or a listener by the name of its event. @typedef {string | number | undefined | ((event: Event) => void)} Attribute */

/** An element with children; text only ever becomes text.
 * @template {keyof HTMLElementTagNameMap} K @param {K} tag @param {Record<string, Attribute>} attributes
 * @param {...(Node | string)} children @returns {HTMLElementTagNameMap[K]} */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== ""));
  return element;
}

/** @param {string} name @param {...(Node | string)} children */
const block = (name, ...children) => make("div", { class: name }, ...children);
/** @param {string} name @param {...(Node | string)} children */
const inline = (name, ...children) => make("span", { class: name }, ...children);

/** Headline, chips, findings. @param {Data} data @param {(finding: Finding) => void} open */
function headOf(data, open) {
  const chips = data.chips.map(({ label, value, note, help }) => make("div", { class: "chip", title: help || undefined },
    block("label", label), inline("value", value), inline("muted", note)));
  const cost = block(data.cost.high ? "cost high" : "cost", data.cost.text);
  const findings = data.findings.map((finding) => make("button", {
    type: "button", class: `finding ${finding.severity}`, title: `${finding.lint} · ${data.words.zoomTo}`, click: () => open(finding),
  }, inline("sign", finding.severity === "warning" ? "▲" : "●"),
    make("span", {}, inline("message", finding.message), inline("hint", finding.hint))));
  const rest = findings.splice(3);
  const more = rest.length ? [make("details", { class: "more" }, make("summary", {}, `+ ${rest.length}`), ...rest)] : [];
  return [make("h2", {}, data.headline), block("chips", ...chips, cost), ...findings, ...more];
}

/** Where it went: a bar of all parts, and a list; each shows its stretches.
 * @param {Data} data @param {(part: number) => void} press */
function bandOf({ band, words }, press) {
  if (!band.length) return [];
  const part = (/** @type {string} */ name, /** @type {number} */ i, /** @type {Record<string, Attribute>} */ more, /** @type {(Node | string)[]} */ ...children) =>
    make("button", { type: "button", class: name, "data-part": i, "aria-pressed": "false", title: words.path, click: () => press(i), ...more }, ...children);
  return [make("div", { class: "went", role: "group", "aria-label": words.where },
    block("muted", words.where),
    block("band", ...band.map(({ length, label, code, told }, i) =>
      part("part", i, { style: `flex-grow: ${length}`, "data-code": code, title: told, tabindex: "-1", "aria-hidden": "true" }, inline("label", label)))),
    block("parts", ...band.map(({ code, told }, i) =>
      part("", i, {}, make("canvas", { class: "swatch", "data-code": code, "aria-hidden": "true" }), inline("", told)))))];
}

/** A look as a background in CSS. @param {Look} look */
function backgroundOf({ fill, hatch, hatch_colour: colour }) {
  const lines = (/** @type {number} */ angle, /** @type {number} */ width, /** @type {number} */ apart) =>
    `repeating-linear-gradient(${angle}deg, ${colour} 0 ${width}px, transparent 0 ${apart}px)`;
  const images = {
    "": [], diagonal: [lines(135, 2, 5.7)], back: [lines(45, 2, 5.7)], bars: [lines(90, 1.6, 6)], cross: [lines(45, 1.3, 5.7), lines(135, 1.3, 5.7)],
    dots: [`radial-gradient(${colour} 0.8px, transparent 0.9px) 0 0 / 5px 5px`],
  };
  return [...images[hatch], fill].join(", ");
}

/** The legend is a control. @param {Data} data @param {(code: number) => void} press */
function legendOf({ words, legend, prints }, press) {
  return make("div", { class: "legend", role: "group", "aria-label": words.highlight },
    ...legend.map(({ code, label, length }) => make("button", {
      type: "button", "aria-pressed": "false", title: words.highlight, click: () => press(code),
    }, make("canvas", { class: "swatch", "data-code": code, "aria-hidden": "true" }), make("b", {}, label), inline("muted", length))),
    ...(prints.length ? [make("b", {}, "▾ " + words.printed)] : []));
}

/** @param {HTMLCanvasElement} swatch @param {Scene} scene */
function paintSwatch(swatch, scene) {
  const code = Number(swatch.dataset.code), dpr = window.devicePixelRatio || 1;
  swatch.width = 24 * dpr;
  swatch.height = 18 * dpr;
  const ctx = contextOf(swatch);
  ctx.scale(dpr, dpr);
  const height = scene.theme.states[code].height * 0.78;
  box(ctx, { ...scene, dpr, patterns: [] }, code, 0, 9 - height / 2, 24, height);
}

/** @param {HTMLCanvasElement} canvas */
const contextOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/** The panel under the picture. @param {Scene} scene @param {Chosen} chosen */
const detailsOf = (scene, chosen) => detailWords(scene, chosen).map(({ text, look }) => block(look, text));
