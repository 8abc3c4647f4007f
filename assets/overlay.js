// What is written over a picture: letters, captions, crosshair, scale bar, colour bar, axes. Each function draws
// on a 2-D context in CSS pixels; a pane is {x, y, width, height}; ink is {text, halo}.

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif";
const LIGHT_INK = { text: "#f4f4f4", halo: "rgb(0 0 0 / 75%)" };
const DARK_INK = { text: "#1a1a1a", halo: "rgb(255 255 255 / 80%)" };

function write(ctx, text, x, y, ink, { align = "left", baseline = "alphabetic", size = 12, weight = 400 } = {}) {
  ctx.font = `${weight} ${size}px ${FONT}`;
  ctx.textAlign = align;
  ctx.textBaseline = baseline;
  if (ink.halo) {
    ctx.lineWidth = 3;
    ctx.lineJoin = "round";
    ctx.strokeStyle = ink.halo;
    ctx.strokeText(text, x, y);
  }
  ctx.fillStyle = ink.text;
  ctx.fillText(text, x, y);
}

// letters: [left, right, top, bottom]; the middle ones step aside for a vertical line at x = avoid.
function drawLetters(ctx, pane, letters, ink, avoid = NaN) {
  const { x, y, width, height } = pane;
  const middle = x + width / 2 - (Math.abs(avoid - x - width / 2) < 12 ? -14 : 0);
  const style = { size: width > 260 ? 14 : 12, weight: 600 };
  write(ctx, letters[0], x + 6, y + height / 2, ink, { ...style, baseline: "middle" });
  write(ctx, letters[1], x + width - 6, y + height / 2, ink, { ...style, align: "right", baseline: "middle" });
  write(ctx, letters[2], middle, y + 6, ink, { ...style, align: "center", baseline: "top" });
  write(ctx, letters[3], middle, y + height - 6, ink, { ...style, align: "center", baseline: "bottom" });
}

function drawCaption(ctx, pane, lines, ink, align = "left") {
  const x = align === "left" ? pane.x + 8 : pane.x + pane.width - 8;
  lines.forEach((line, i) => write(ctx, line, x, pane.y + 8 + 15 * i, ink, { align, baseline: "top", weight: i ? 400 : 600 }));
}

// Two hairlines that leave the point itself free.
function drawCrosshair(ctx, pane, [x, y], colour) {
  const gap = 8;
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const [x0, y0, x1, y1] of [
    [pane.x, y, x - gap, y],
    [x + gap, y, pane.x + pane.width, y],
    [x, pane.y, x, y - gap],
    [x, y + gap, x, pane.y + pane.height],
  ]) {
    ctx.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
    ctx.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  }
  ctx.stroke();
}

// A bar of a round length in mm, at most a third of the pane.
function drawScaleBar(ctx, pane, pixelsPerMm, ink) {
  const mm = [100, 50, 20, 10, 5, 2, 1].find((length) => length * pixelsPerMm <= pane.width / 3);
  if (!mm) return;
  const [x, y, length] = [pane.x + 10, pane.y + pane.height - 10, mm * pixelsPerMm];
  ctx.beginPath();
  ctx.moveTo(x, y - 4);
  ctx.lineTo(x, y);
  ctx.lineTo(x + length, y);
  ctx.lineTo(x + length, y - 4);
  ctx.lineWidth = 4;
  ctx.strokeStyle = ink.halo;
  ctx.stroke();
  ctx.lineWidth = 1.5;
  ctx.strokeStyle = ink.text;
  ctx.stroke();
  write(ctx, `${mm} mm`, x + length + 6, y + 2, ink, { size: 11 });
}

// The palette with its ends and middle in units, in the pane's lower left or right corner.
function drawColourBar(ctx, pane, palette, [low, high], unit, ink, side = "right") {
  const bar = { width: 9, height: Math.min(150, pane.height * 0.3) };
  const x = side === "right" ? pane.x + pane.width - 10 - bar.width : pane.x + 10;
  const y = pane.y + pane.height - 30 - bar.height;
  const steps = Math.round(bar.height);
  for (let i = 0; i < steps; i++) {
    ctx.fillStyle = cssColour(palette[Math.round(((steps - 1 - i) / (steps - 1)) * (palette.length - 1))]);
    ctx.fillRect(x, y + i, bar.width, 1.5);
  }
  ctx.lineWidth = 1;
  ctx.strokeStyle = ink.text;
  ctx.strokeRect(x - 0.5, y - 0.5, bar.width + 1, bar.height + 1);
  const [align, tick] = side === "right" ? ["right", x - 5] : ["left", x + bar.width + 5];
  const style = { align, baseline: "middle", size: 11 };
  for (const [value, at] of [[high, 0], [(low + high) / 2, 0.5], [low, 1]]) {
    write(ctx, formatValue(value, high - low), tick, y + at * bar.height, ink, style);
  }
  write(ctx, unit, tick, y - 14, ink, style);
}

// A number with as many digits as the range it belongs to deserves, and a true minus sign.
function formatValue(value, range = Math.abs(value)) {
  const digits = range >= 20 || range === 0 ? 0 : Math.min(4, Math.ceil(1.3 - Math.log10(range)));
  return value.toFixed(digits).replace(/^-(?=0*\.?0*$)/, "").replace("-", "\u2212");
}

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
      write(ctx, formatValue(tick, high - low), margin.left - 6, y(tick), muted, { align: "right", baseline: "middle", size: 11 });
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
    write(ctx, formatValue(tick, length), x(tick), height - 20, muted, { align: "center", baseline: "middle", size: 11 });
  }
  write(ctx, "distance along the line, mm", x(length / 2), height - 6, ink, { align: "center", size: 11 });
}
