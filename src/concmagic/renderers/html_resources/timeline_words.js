// Words about one box, one call, one lane: strings only, nothing of the page.

/** How long a box is, and since when. @param {Data} data @param {Row} row @param {number} index */
function timesOf({ unit, words }, row, index) {
  const length = duration((row.end[index] - row.start[index]) * unit);
  return `${words.length.replace("{x}", length)}, ${words.since.replace("{x}", duration(row.start[index] * unit))}`;
}

/** A box in words: state and reason, length, since when, place.
 * @param {Scene} scene @param {number} lane @param {number} index */
function boxWords({ data, rows, kinds, lanes }, lane, index) {
  const row = rows[lane];
  const { full, place, line, shares } = kinds[row.kind[index]];
  const times = timesOf(data, row, index);
  if (shares) {
    const parts = shares.map((share, code) => share && `${Math.round(share * 100)} % ${data.words.states[code]}`);
    return [lanes[lane].isFold ? "" : data.words.merged, parts.filter(Boolean).join(" · "), times].filter(Boolean);
  }
  const source = line ? data.source[line] : "";
  const where = full.endsWith(place) ? "" : place; // said once
  return [full, times, source ? `${place}: ${source}` : where].filter(Boolean);
}

/** A box of calls in words: name, length, since when, place.
 * @param {Scene} scene @param {number} lane @param {number} depth @param {number} index */
function callWords({ data, calls }, lane, depth, index) {
  const { rows, deeper } = calls.get(lane) || { rows: [], deeper: 0 };
  const words = data.words.calls, kind = data.calls.kinds[rows[depth].kind[index]];
  const more = depth === rows.length - 1 && deeper ? words.deeper.replace("{n}", deeper.toLocaleString("en")) : "";
  const inAll = kind.calls ? words.total.replace("{x}", kind.spent) : "";
  return [callName(kind, words), inAll, timesOf(data, rows[depth], index), kind.place, more].filter(Boolean);
}

/** What the panel says of what is chosen: lines, each with its class. @param {Scene} scene @param {Chosen} chosen
 * @returns {{text: string, look: string}[]} */
function detailWords(scene, { lane: number, index, call }) {
  const { data, lanes } = scene;
  const lane = lanes[number];
  if (call) {
    const [name, ...said] = callWords(scene, number, call.depth, call.index);
    return [{ text: name, look: "title" }, { text: said.join(" · "), look: "" }, { text: lane.name, look: "muted" }];
  }
  const sums = lane.sums.map((length, code) => length && `${data.words.states[code]} ${duration(length * data.unit)}`).filter(Boolean);
  const rest = [lane.isFold ? lane.text : lane.detail || (lane.ending === ENDED_WELL ? data.words.returned : ""), lane.place];
  return [
    { text: lane.name, look: "title" },
    { text: index >= 0 ? boxWords(scene, number, index).join(" · ") : "", look: "" },
    ...scene.arrows.slice(0, 6).map((arrow) => ({ text: arrowWords(scene, arrow, number), look: "" })),
    { text: sums.length ? `${data.words.alive}: ${sums.join(" · ")}` : "", look: "muted" },
    { text: rest.filter(Boolean).join(" · "), look: lane.failed ? "" : "muted" },
  ].filter(({ text }) => text);
}

/** An arrow as one of its lanes says it. @param {Scene} scene @param {number} arrow @param {number} lane */
function arrowWords({ data, lanes, flows }, arrow, lane) {
  const arrives = flows.target[arrow] === lane;
  const words = data.words.flows[flows.kind[arrow]];
  const other = lanes[arrives ? flows.source[arrow] : flows.target[arrow]].name;
  const at = duration((arrives ? flows.targetAt[arrow] : flows.sourceAt[arrow]) * data.unit);
  return `${arrives ? "←" : "→"} ${(arrives ? words.arrives : words.leaves).replace("{x}", () => other)} (${at})`;
}
