// Values along a line, as a figure.

// Round tick values inside [low, high], about `count` of them.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

// Values along a line, one box per unit: series of the same unit share axes.
// series: [{label, unit, colour, values}], values evenly spaced over `length` mm, null outside the image.
function drawProfile(ctx, width, height, length, series, theme) {
  const units = [...new Set(series.map((one) => one.unit))];
  const ink = { text: theme.ink };
  const muted = { text: theme.muted };
  const margin = { left: 58, right: 12, top: 20, bottom: 34, between: 26 };
  const free = height - margin.top - margin.bottom - margin.between * (units.length - 1);
  const weights = units.map((_, i) => (i === 0 && units.length > 1 ? 0.62 : 0.38 + 0.62 * (units.length === 1)));
  const x = (mm) => margin.left + (mm / length) * (width - margin.left - margin.right);
  let top = margin.top;
  units.forEach((unit, box) => {
    const bottom = top + free * weights[box];
    const group = series.filter((one) => one.unit === unit);
    const all = group.flatMap((one) => one.values.filter((value) => value !== null));
    let [low, high] = all.length ? [Math.min(...all), Math.max(...all)] : [0, 1];
    const slack = (high - low || 1) * 0.06;
    [low, high] = [low - slack, high + slack];
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
    ctx.lineWidth = 1;
    for (const tick of ticks(low, high, box === 0 ? 5 : 2)) {
      ctx.strokeStyle = theme.line;
      ctx.beginPath();
      ctx.moveTo(margin.left, Math.round(y(tick)) + 0.5);
      ctx.lineTo(width - margin.right, Math.round(y(tick)) + 0.5);
      ctx.stroke();
      write(ctx, formatValue(tick, high - low), margin.left - 6, y(tick), muted, {
        align: "right",
        baseline: "middle",
        size: 11,
      });
    }
    let at = margin.left;
    for (const one of group) {
      ctx.fillStyle = one.colour;
      ctx.fillRect(at, top - 13, 14, 3);
      write(ctx, one.label, at + 19, top - 8, ink);
      at += ctx.measureText(one.label).width + 33;
    }
    write(ctx, unit || "arbitrary unit", at, top - 8, muted, { size: 11 });
    for (const one of group) {
      ctx.strokeStyle = one.colour;
      ctx.lineWidth = 1.75;
      ctx.beginPath();
      let drawing = false;
      one.values.forEach((value, i) => {
        if (value === null) {
          drawing = false;
          return;
        }
        const point = [x((i / (one.values.length - 1)) * length), y(value)];
        if (drawing) ctx.lineTo(...point);
        else ctx.moveTo(...point);
        drawing = true;
      });
      ctx.stroke();
    }
    top = bottom + margin.between;
  });
  for (const tick of ticks(0, length, Math.max(2, Math.round(width / 110)))) {
    write(ctx, formatValue(tick, length), x(tick), height - 20, muted, {
      align: "center",
      baseline: "middle",
      size: 11,
    });
  }
  write(ctx, "distance along the line, mm", x(length / 2), height - 6, ink, { align: "center", size: 11 });
}
