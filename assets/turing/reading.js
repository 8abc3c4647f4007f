// The image viewer of the readers' page: window, zoom, pan and a marked position. It does not handle answers.

const WINDOW = { centre: 127.5, width: 255 }; // the full range of 8-bit grey values

// A viewer {canvas, view, draw(), place, hide(), reset()} for the image at a data URL; act(kind, x, y) is
// called on touches and clicks.
async function readable(address, side, label, act) {
  const picture = new Image();
  picture.src = address;
  await picture.decode();
  const { naturalWidth: w, naturalHeight: h } = picture;
  const source = tag("canvas", { width: w, height: h });
  const ink = source.getContext("2d", { willReadFrequently: true });
  ink.drawImage(picture, 0, 0);
  const pixels = ink.getImageData(0, 0, w, h);
  const greys = new Uint8ClampedArray(w * h);
  for (let k = 0; k < greys.length; k++) greys[k] = pixels.data[4 * k];

  const ratio = window.devicePixelRatio || 1;
  const scale = side / Math.max(w, h);
  const canvas = tag("canvas", {
    tabindex: 0,
    role: "img",
    "aria-label": label,
    width: Math.round(w * scale * ratio),
    height: Math.round(h * scale * ratio),
  });
  canvas.style.width = `${w * scale}px`;
  const pen = canvas.getContext("2d");
  const view = { ...WINDOW, zoom: 1, x: w / 2, y: h / 2 };
  const shown = { canvas, view, place: null, hidden: false, width: w, height: h };

  function levels() {
    const low = view.centre - view.width / 2;
    for (let k = 0; k < greys.length; k++) {
      const v = ((greys[k] - low) / view.width) * 255;
      pixels.data[4 * k] = pixels.data[4 * k + 1] = pixels.data[4 * k + 2] = v;
    }
    ink.putImageData(pixels, 0, 0);
  }
  shown.draw = () => {
    pen.fillStyle = shown.hidden ? "#666" : "#000";
    pen.fillRect(0, 0, canvas.width, canvas.height);
    if (shown.hidden) return;
    const k = scale * ratio * view.zoom;
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = "high";
    pen.setTransform(k, 0, 0, k, canvas.width / 2 - view.x * k, canvas.height / 2 - view.y * k);
    pen.drawImage(source, 0, 0);
    if (shown.place) {
      const [x, y] = shown.place,
        arm = 9 / k,
        gap = 3 / k;
      pen.beginPath();
      for (const [dx, dy] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ]) {
        pen.moveTo(x + dx * gap * ratio, y + dy * gap * ratio);
        pen.lineTo(x + dx * arm * ratio, y + dy * arm * ratio);
      }
      pen.strokeStyle = "#56b4e9";
      pen.lineWidth = (2 * ratio) / k;
      pen.stroke();
    }
    pen.setTransform(1, 0, 0, 1, 0, 0);
  };
  const refresh = () => {
    levels();
    shown.draw();
  };
  shown.hide = () => {
    shown.hidden = true;
    shown.draw();
  };
  shown.reset = () => {
    Object.assign(view, WINDOW, { zoom: 1, x: w / 2, y: h / 2 });
    refresh();
  };
  shown.zoom = (factor) => {
    view.zoom = Math.min(16, Math.max(1, view.zoom * factor));
    if (view.zoom === 1) {
      view.x = w / 2;
      view.y = h / 2;
    }
    shown.draw();
  };
  shown.level = (dc, dw) => {
    view.centre = Math.min(255, Math.max(0, view.centre + dc));
    view.width = Math.min(510, Math.max(2, view.width + dw));
    refresh();
  };
  shown.put = (x, y) => {
    shown.place = [Math.min(w, Math.max(0, x)), Math.min(h, Math.max(0, y))];
    shown.draw();
  };

  const across = () => canvas.getBoundingClientRect().width / w; // CSS pixels per image pixel in the current layout
  let drag = null;
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    act("touched");
    if (drag) {
      drag = null;
      return;
    } // a second finger does not change the window
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.clientX, y: event.clientY, moved: 0, pan: event.button === 1 || event.shiftKey };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag.x,
      dy = event.clientY - drag.y;
    drag.moved += Math.abs(dx) + Math.abs(dy);
    drag.x = event.clientX;
    drag.y = event.clientY;
    if (drag.moved < 4) return;
    if (drag.pan) {
      view.x -= dx / (across() * view.zoom);
      view.y -= dy / (across() * view.zoom);
      shown.draw();
    } else shown.level(dy * 0.6, dx * 1.2);
  });
  canvas.addEventListener("pointerup", (event) => {
    const clicked = drag && drag.moved < 4;
    drag = null;
    if (!clicked) return;
    const box = canvas.getBoundingClientRect(),
      k = across() * view.zoom;
    act(
      "clicked",
      (event.clientX - box.left - box.width / 2) / k + view.x,
      (event.clientY - box.top - box.height / 2) / k + view.y,
    );
  });
  canvas.addEventListener("pointercancel", () => {
    drag = null;
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      act("touched");
      shown.zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2);
    },
    { passive: false },
  );
  canvas.addEventListener("dblclick", shown.reset);
  refresh();
  return shown;
}
