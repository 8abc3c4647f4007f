// Images as tiles on a canvas. An image's pixels are uint16, 0 to 65535 for the kind's lowest to highest value.

const TILE_GAP = 2; // CSS px
const LOOK_SIZE = 4096; // entries of a look-up table from values to pixels

// LOOK_SIZE grey pixels for values from low to high, black at `dark` and white at `bright`.
function greyLook(low, high, dark, bright) {
  return Uint32Array.from({ length: LOOK_SIZE }, (_, i) => {
    const share = (low + ((i + 0.5) / LOOK_SIZE) * (high - low) - dark) / (bright - dark);
    const v = Math.round(255 * Math.min(1, Math.max(0, share)));
    return (0xff000000 | (v << 16) | (v << 8) | v) >>> 0;
  });
}

// LOOK_SIZE pixels of a diverging map, for values from -1 to 1.
const signedLook = (dark) =>
  Uint32Array.from({ length: LOOK_SIZE }, (_, i) => palettes[dark ? "divergingDark" : "divergingLight"][i >> 2]);

// A picture of `shape` = [count, height, width] images in rows of `columns`; marks(k) gives [letter, colour] or nothing.
function drawTiles(
  canvas,
  images,
  columns,
  look,
  { marks = () => null, width = canvas.parentElement.clientWidth } = {},
) {
  const [count, h, w] = images.shape,
    rows = Math.ceil(count / columns);
  const ratio = window.devicePixelRatio || 1,
    tile = Math.floor((width - (columns - 1) * TILE_GAP) / columns);
  const tall = Math.round((tile * h) / w);
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round((rows * (tall + TILE_GAP) - TILE_GAP) * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${rows * (tall + TILE_GAP) - TILE_GAP}px`;
  const g = canvas.getContext("2d");
  g.scale(ratio, ratio);
  g.imageSmoothingQuality = "high";
  const small = (drawTiles.canvas ??= document.createElement("canvas"));
  small.width = w;
  small.height = h;
  const pixels = new ImageData(w, h),
    out = new Uint32Array(pixels.data.buffer);
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < h * w; i++) out[i] = look[images.data[k * h * w + i] >> 4];
    small.getContext("2d").putImageData(pixels, 0, 0);
    const x = (k % columns) * (tile + TILE_GAP),
      y = Math.floor(k / columns) * (tall + TILE_GAP);
    g.drawImage(small, x, y, tile, tall);
    const mark = marks(k);
    if (!mark) continue;
    const [letter, colour] = mark;
    g.strokeStyle = colour;
    g.lineWidth = 2;
    g.strokeRect(x + 1, y + 1, tile - 2, tall - 2);
    if (!letter) continue;
    g.font = "600 12px system-ui, sans-serif";
    g.fillStyle = colour;
    g.fillRect(x, y, 16, 16);
    g.fillStyle = "#000";
    g.fillText(letter, x + 4, y + 12.5);
  }
  return { tile, tall };
}

// Sides of the patient [left, right, top, bottom of the picture], where they are known, and a bar of some whole mm.
function annotate(canvas, { sides, mm, size }, { tile, tall }) {
  const g = canvas.getContext("2d"),
    edge = 6;
  g.font = "600 12px system-ui, sans-serif";
  const write = (words, x, y, align, base) => {
    Object.assign(g, {
      textAlign: align,
      textBaseline: base,
      lineWidth: 3,
      strokeStyle: "#000",
      fillStyle: "#fff",
      lineJoin: "round",
    });
    g.strokeText(words, x, y);
    g.fillText(words, x, y);
  };
  if (sides.length) {
    write(sides[0], edge, tall / 2, "left", "middle");
    write(sides[1], tile - edge, tall / 2, "right", "middle");
    write(sides[2], tile / 2, edge, "center", "top");
    write(sides[3], tile / 2, tall - edge, "center", "bottom");
  }
  if (!mm) return;
  const bar = [50, 20, 10, 5].find((length) => length < (size * mm) / 3) ?? 2,
    long = (bar / (size * mm)) * tile;
  g.fillStyle = "#000";
  g.fillRect(edge - 1, tall - edge - 4, long + 2, 5);
  g.fillStyle = "#fff";
  g.fillRect(edge, tall - edge - 3, long, 3);
  write(`${bar} mm`, edge, tall - edge - 7, "left", "bottom");
}
