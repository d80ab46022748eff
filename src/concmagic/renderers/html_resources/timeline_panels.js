// What stands around the picture: headline, chips, findings, legend, and words about one box.

/** Headline, chips, findings. @param {any} data @param {(finding: any[]) => void} open */
function headOf(data, open) {
  const chips = data.chips.map((/** @type {string[]} */ chip) => make("div", { class: "chip", title: chip[3] || undefined },
    make("div", { class: "label" }, chip[0]), make("span", { class: "value" }, chip[1]), make("span", { class: "muted" }, chip[2])));
  const cost = make("div", { class: data.cost[1] ? "cost high" : "cost" }, data.cost[0]);
  const findings = data.findings.map((/** @type {any[]} */ finding) => make("button", {
    type: "button", class: `finding ${finding[0]}`, title: `${finding[3]} · ${data.words.zoomTo}`, click: () => open(finding),
  }, make("span", { class: "sign" }, finding[0] === "warning" ? "▲" : "●"),
    make("span", {}, make("span", { class: "message" }, finding[1]), make("span", { class: "hint" }, finding[2]))));
  const rest = findings.splice(3);
  const more = rest.length ? [make("details", { class: "more" }, make("summary", {}, `+ ${rest.length}`), ...rest)] : [];
  return [make("h2", {}, data.headline), make("div", { class: "chips" }, ...chips, cost), ...findings, ...more];
}

/** The legend is a control. @param {any} data @param {(code: number, button: any) => void} press */
function legendOf(data, press) {
  return make("div", { class: "legend", role: "group", "aria-label": data.words.highlight },
    ...data.legend.map(([code, label, length]) => make("button", {
      type: "button", "aria-pressed": "false", title: data.words.highlight,
      click: (/** @type {any} */ event) => press(code, event.currentTarget),
    }, make("canvas", { class: "swatch", "data-code": code, "aria-hidden": "true" }), make("b", {}, label), make("span", { class: "muted" }, length))),
    ...(data.prints.length ? [make("b", {}, "▾ " + data.words.printed)] : []));
}

function paintSwatch(/** @type {any} */ swatch, /** @type {any} */ scene) {
  const code = Number(swatch.dataset.code), dpr = window.devicePixelRatio || 1;
  swatch.width = 24 * dpr;
  swatch.height = 18 * dpr;
  const ctx = swatch.getContext("2d");
  ctx.scale(dpr, dpr);
  const thin = scene.theme.states[code].thin;
  box(ctx, { ...scene, dpr, patterns: [] }, code, 0, thin ? 3 : 0, 24, thin ? 12 : 18);
}

/** A box in words: state and reason, length, since when, place. @returns {string[]} */
function boxWords(/** @type {any} */ scene, /** @type {number} */ lane, /** @type {number} */ index) {
  const { data, rows, kinds } = scene;
  const row = rows[lane], kind = kinds[row.kind[index]];
  const times = timesOf(data, row, index);
  if (kind[0] === -2) {
    const parts = kind[1].map((/** @type {number} */ part, /** @type {number} */ code) =>
      part ? `${Math.round(part / 16 * 100)} % ${data.words.states[code]}` : "").filter(Boolean);
    return [scene.lanes[lane].isFold ? "" : data.words.merged, parts.join(" · "), times].filter(Boolean);
  }
  const source = kind[4] ? data.source[kind[4]] : "";
  const place = kind[1].endsWith(kind[3]) ? "" : kind[3]; // said once
  return [kind[1], times, source ? `${kind[3]}: ${source}` : place].filter(Boolean);
}

/** A box of calls in words: name, length, since when, place. @returns {string[]} */
function callWords(/** @type {any} */ scene, /** @type {number} */ lane, /** @type {number} */ depth, /** @type {number} */ index) {
  const { data, calls } = scene;
  const { rows, deeper } = calls.get(lane);
  const row = rows[depth], kind = data.calls.kinds[row.kind[index]];
  const more = depth === rows.length - 1 && deeper ? data.words.calls[3].replace("{n}", deeper.toLocaleString("en")) : "";
  const inAll = kind.length > 3 ? data.words.calls[2].replace("{x}", kind[3]) : "";
  return [callName(kind, data.words.calls), inAll, timesOf(data, row, index), kind[1], more].filter(Boolean);
}

/** How long a box is, and since when. @param {any} data @param {Row} row @param {number} index */
function timesOf(data, row, index) {
  const length = duration((row.end[index] - row.start[index]) * data.unit);
  return `${data.words.length.replace("{x}", length)}, ${data.words.since.replace("{x}", duration(row.start[index] * data.unit))}`;
}

/** The panel under the picture. @returns {any[]} */
function detailsOf(/** @type {any} */ scene, /** @type {any} */ chosen) {
  const { data, lanes, flows } = scene;
  const lane = lanes[chosen.lane];
  const rows = [make("div", { class: "title" }, lane.name)];
  if (chosen.call) {
    const [name, ...said] = callWords(scene, chosen.lane, chosen.call.depth, chosen.call.index);
    return [make("div", { class: "title" }, name), make("div", {}, said.join(" · ")), make("div", { class: "muted" }, lane.name)];
  }
  if (chosen.index >= 0) rows.push(make("div", {}, boxWords(scene, chosen.lane, chosen.index).join(" · ")));
  for (const i of scene.arrows.slice(0, 6)) {
    const arrives = flows.target[i] === chosen.lane;
    const other = lanes[arrives ? flows.source[i] : flows.target[i]].name;
    const said = data.words.flows[flows.kind[i]][arrives ? 0 : 1].replace("{x}", () => other);
    const at = duration((arrives ? flows.targetAt[i] : flows.sourceAt[i]) * data.unit);
    rows.push(make("div", {}, `${arrives ? "←" : "→"} ${said} (${at})`));
  }
  const sums = lane.sums.map((/** @type {number} */ ns, /** @type {number} */ code) => (ns ? `${data.words.states[code]} ${duration(ns * data.unit)}` : "")).filter(Boolean);
  if (sums.length) rows.push(make("div", { class: "muted" }, `${data.words.alive}: ${sums.join(" · ")}`));
  const rest = [lane.isFold ? lane.text : lane.detail || (lane.outcome === 1 ? data.words.returned : ""), lane.place].filter(Boolean).join(" · ");
  if (rest) rows.push(make("div", { class: lane.outcome === 2 ? "" : "muted" }, rest));
  return rows;
}
