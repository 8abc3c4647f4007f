// The large canvas of the live page: a panel per run, or the plane on which data are drawn.

const PANEL_GAP = 8; // px
const NARROW_PAGE = 520; // px, with at most two panels in a row

// Layout of the panels on a canvas: {columns, side, tall}. flat: of one-dimensional data, wider than tall.
function panelLayout(count, width, flat) {
  const inRow = width < NARROW_PAGE ? (count === 2 ? 1 : 2) : 4;
  const columns = Math.min(count, inRow);
  const side = (width - PANEL_GAP * (columns - 1)) / columns;
  return { columns, side, tall: flat ? Math.max(side * 0.62, 200) : side };
}

// Draws all runs of a frame. view: {constant, layers, covered: by game and run, pointer, colours, dark}.
// Returns the side of a panel.
function drawPanels(canvas, frame, view) {
  const panels = frame.games.flatMap((game, i) => Array.from({ length: game.runs }, (_, k) => [game, i, k]));
  const { columns, side, tall } = panelLayout(panels.length, canvas.clientWidth, frame.dim === 1);
  const [g] = fitCanvas(canvas, Math.ceil(panels.length / columns) * (tall + PANEL_GAP) - PANEL_GAP);
  panels.forEach(([game, i, k], place) => {
    const left = (place % columns) * (side + PANEL_GAP);
    const top = Math.floor(place / columns) * (tall + PANEL_GAP);
    const [x, y] = view.pointer ? [view.pointer[0] - left, view.pointer[1] - top] : [-1, -1];
    const pointer = x >= 0 && x < side && y >= 0 && y < tall ? [x, y] : null;
    const modes = view.covered[i]?.[k];
    g.save();
    g.translate(left, top);
    g.beginPath();
    g.rect(0, 0, side, tall);
    g.clip();
    drawRun(g, side, tall, {
      ...view.constant,
      arrays: game.arrays,
      k,
      dim: frame.dim,
      reach: frame.reach,
      layers: view.layers,
      modeState: modes,
      colours: view.colours,
      dark: view.dark,
      pointer,
    });
    const name = panels.length === 1 ? "" : game.runs > 1 ? `seed ${game.seed + k}` : game.title;
    const count = modes ? `${modes.now.filter(Boolean).length}/${modes.now.length} modes` : "";
    words(g, [name, count].filter(Boolean).join("  "), 7, 16, view.colours.ink);
    g.restore();
  });
  return side;
}

// Draws the points of a visitor's own data so far; returns the side of the plane.
function drawSketch(canvas, points, colours, reach) {
  const side = canvas.clientWidth;
  const [g] = fitCanvas(canvas, side);
  g.fillStyle = colours.page;
  g.fillRect(0, 0, side, side);
  g.strokeStyle = colours.accent;
  g.strokeRect(1, 1, side - 2, side - 2);
  g.fillStyle = colours.real;
  for (const [x, y] of points) {
    g.fillRect((x / reach + 1) * (side / 2) - 1.2, (1 - y / reach) * (side / 2) - 1.2, 2.4, 2.4);
  }
  words(g, `${points.length} points`, 7, 16, colours.ink);
  return side;
}

// Random points [x, y] around a position, without those outside the plane.
function scatterAbout(x, y, reach, count = 4, spread = 0.06) {
  const near = (v) => Number((v + spread * (Math.random() + Math.random() - 1)).toFixed(3));
  const points = Array.from({ length: count }, () => [near(x), near(y)]);
  return points.filter((point) => Math.max(...point.map(Math.abs)) < reach);
}
