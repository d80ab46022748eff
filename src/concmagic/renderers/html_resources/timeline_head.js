// Painting what stands above the lanes: the curves, the axis and the marks.

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene @param {Curve} curve @param {number} i */
function paintCurve(ctx, scene, curve, i) {
  const { label, values, top, note } = curve;
  const { theme, left, plot, view } = scene;
  const base = scene.curvesTop + i * 28 + CURVES[0];
  const times = scene.curveTimes[i];
  const at = (/** @type {number} */ time) => toX(view, left, plot, Math.min(Math.max(time, view.start), view.end));
  ctx.beginPath();
  ctx.moveTo(left, base);
  for (let k = Math.max(firstAbove(times, view.start) - 1, 0); k < times.length && times[k] <= view.end; k++) {
    const y = base - values[k] / top * CURVES[i];
    ctx.lineTo(at(times[k]), y);
    ctx.lineTo(at(k + 1 < times.length ? times[k + 1] : scene.data.wall), y);
  }
  ctx.lineTo(left + plot, base);
  const look = theme.states[i ? RUNNING : OUTSIDE];
  ctx.fillStyle = look.fill;
  ctx.strokeStyle = look.stroke;
  ctx.fill();
  if (!i) ctx.stroke();
  write(ctx, scene, label, left - 10, base - 8, { colour: theme.muted, align: "right", room: left - 12 });
  if (scene.ends > 80) write(ctx, scene, note, left + plot + 12, base - 8, { colour: theme.muted, room: scene.ends - 14 });
}

/** @param {CanvasRenderingContext2D} ctx @param {Scene} scene */
function paintAxis(ctx, scene) {
  const { data, theme, left, plot, view, axisTop, height } = scene;
  const unit = data.unit;
  const step = tickStep((view.end - view.start) * unit, Math.max(Math.floor(plot / 96), 1));
  ctx.strokeStyle = theme.grid;
  for (let k = Math.ceil(view.start * unit / step - 1e-9); k * step <= view.end * unit * (1 + 1e-9); k++) {
    const x = Math.round(toX(view, left, plot, k * step / unit)) + 0.5;
    line(ctx, x, axisTop + 4, x, height);
    if (scene.width - x > 50) write(ctx, scene, tickLabel(k * step, step, view.end * unit), x + 5, axisTop + 12, { size: 12, colour: theme.muted });
  }
  const free = [0, 0];
  for (const { label, start, end: until } of data.marks) {
    if (until < view.start || start > view.end) continue;
    const x = toX(view, left, plot, Math.max(start, view.start));
    const end = toX(view, left, plot, Math.min(until, view.end));
    const level = free.findIndex((at) => x >= at);
    const y = axisTop - 17 * (Math.min(data.marks.length, 2) - Math.max(level, 0));
    ctx.strokeStyle = theme.muted;
    ctx.setLineDash([2, 3]);
    line(ctx, x, y, x, height);
    if (end - x > 1 && level >= 0) line(ctx, end, y + 14, end, height);
    ctx.setLineDash([]);
    if (level < 0) continue;
    if (end - x > 1) { ctx.fillStyle = theme.text; ctx.fillRect(x, y + 14, end - x, 2); }
    write(ctx, scene, label, x + 4, y + 6, { size: 12, bold: true, room: 150 });
    free[level] = Math.max(end, x + Math.min(ctx.measureText(label).width, 150) + 4) + 8;
  }
}
