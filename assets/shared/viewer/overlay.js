// Overlays: orientation letters, captions, crosshair, scale bar, colour bar. Each function draws on a 2-D context
// in CSS pixels. pane: {x, y, width, height}. ink: {text, halo}.

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

// letters: [left, right, top, bottom]; those at top and bottom avoid a vertical line at x = avoid.
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
  lines.forEach((line, i) =>
    write(ctx, line, x, pane.y + 8 + 15 * i, ink, { align, baseline: "top", weight: i ? 400 : 600 }),
  );
}

// Two hairlines with a gap at the point itself.
function drawCrosshair(ctx, pane, [x, y], ink) {
  const gap = 8;
  ctx.strokeStyle = ink === DARK_INK ? "rgb(0 90 150 / 80%)" : "rgb(86 180 233 / 80%)";
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

// The swipe's divider with its handle.
function drawDivider(ctx, pane, x) {
  ctx.fillStyle = "rgb(0 0 0 / 60%)";
  ctx.fillRect(x - 2, pane.y, 4, pane.height);
  ctx.fillStyle = "#fff";
  ctx.fillRect(x - 0.75, pane.y, 1.5, pane.height);
  ctx.fillRect(x - 3, pane.y + pane.height * 0.75 - 14, 6, 28);
}

// The line of a profile; 0 marks where it starts.
function drawLine(ctx, [from, to], ink) {
  for (const [colour, width] of [
    [ink.halo, 4],
    [SYNTHETIC, 2],
  ]) {
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.beginPath();
    ctx.moveTo(...from);
    ctx.lineTo(...to);
    ctx.stroke();
  }
  write(ctx, "0", from[0], from[1] - 6, ink, { align: "center", size: 11 });
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
  for (const [value, at] of [
    [high, 0],
    [(low + high) / 2, 0.5],
    [low, 1],
  ]) {
    write(ctx, formatValue(value, high - low), tick, y + at * bar.height, ink, style);
  }
  write(ctx, unit, tick, y - 14, ink, style);
}

// A number with digits to match its range, and a true minus sign.
function formatValue(value, range = Math.abs(value)) {
  const digits = range >= 20 || range === 0 ? 0 : Math.min(4, Math.ceil(1.3 - Math.log10(range)));
  return value
    .toFixed(digits)
    .replace(/^-(?=0*\.?0*$)/, "")
    .replace("-", "\u2212");
}

// Text in lines no wider than `width`, in the context's font.
function wrap(ctx, text, width) {
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = lines.at(-1) ? `${lines.at(-1)} ${word}` : word;
    if (ctx.measureText(longer).width <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
