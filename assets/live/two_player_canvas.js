// Two players with one parameter each: the field, the path of every method, both numbers over time, eigenvalues.
// Python's side: ganlab/ui/pages/live/two_players.py.

const METHOD_COLOURS = {
  light: {
    simultaneous: "#D55E00",
    alternating: "#5c6570",
    extragradient: "#009E73",
    optimistic: "#0072B2",
    consensus: "#b0548c",
    "negative momentum": "#9a6b00",
  },
  dark: {
    simultaneous: "#e8843a",
    alternating: "#a2abb5",
    extragradient: "#2bbd95",
    optimistic: "#56b4e9",
    consensus: "#d98bbd",
    "negative momentum": "#e0c05a",
  },
};
const PLAY_MS = 5000; // for the whole path

function twoPlayerGame(root, props, watch, server) {
  const state = {
    x: 0.6,
    y: 0.6,
    answer: null,
    off: new Set(),
    alone: null,
    shown: 0,
    playing: true,
    busy: false,
    stale: true,
    drag: false,
  };
  const label =
    "Field of the game and the paths of all methods from one start. Drag the start, or move it with the arrow keys.";
  const plane = tag("canvas", { class: "gl-toy-canvas", role: "img", "aria-label": label, tabindex: "0" });
  const first = tag("canvas", {
    class: "gl-toy-chart",
    role: "img",
    "aria-label": "The first player's number over time",
  });
  const second = tag("canvas", {
    class: "gl-toy-chart",
    role: "img",
    "aria-label": "The second player's number over time",
  });
  const circle = tag("canvas", {
    class: "gl-toy-chart",
    role: "img",
    "aria-label": "Eigenvalues of one step in the complex plane",
  });
  const table = tag("div", { class: "gl-methods", role: "group", "aria-label": "Methods" });
  const play = tag(
    "button",
    {
      type: "button",
      onclick: () => {
        state.shown = 0;
        state.playing = true;
      },
    },
    "Play again",
  );
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  root.replaceChildren(
    tag("div", { class: "gl-bar" }, tag("span", { class: "gl-buttons" }, play)),
    alert,
    tag(
      "div",
      { class: "gl-toy-stage" },
      tag("div", { class: "gl-toy-picture" }, plane),
      tag("div", { class: "gl-toy-charts" }, table, first, second, circle),
    ),
    status,
  );

  const colour = (name) => getComputedStyle(root).getPropertyValue(`--gl-${name}`).trim();
  const paints = () => METHOD_COLOURS[document.body.classList.contains("dark") ? "dark" : "light"];
  const visible = (name) => (state.alone ? state.alone === name : !state.off.has(name));
  const outcome = (m) => (m > 1.00005 ? "spirals out" : m < 0.99995 ? "converges" : "circles");

  async function tick(now) {
    if (!root.isConnected) return;
    requestAnimationFrame(tick);
    if (root.offsetParent === null) return;
    if (state.stale && !state.busy) {
      state.stale = false;
      state.busy = true;
      try {
        const answer = await server.compute({ ...props.value, x: state.x, y: state.y });
        alert.hidden = !answer.error;
        if (answer.error) alert.textContent = answer.error;
        else {
          state.answer = answer;
          if (!state.drag) {
            state.shown = 0;
            state.playing = true;
          }
          rows();
          draw();
        }
      } catch {
        alert.textContent = "The server does not respond; move the start to retry.";
        alert.hidden = false;
      }
      state.busy = false;
    }
    if (!state.answer || !state.playing) return;
    const last = Object.values(state.answer.methods)[0].path[0].length - 1;
    state.shown = Math.min(last, state.shown + Math.max(1, ((now - (state.at ?? now)) / PLAY_MS) * last));
    state.at = now;
    if (state.shown === last) state.playing = false;
    draw();
  }

  function rows() {
    const names = Object.keys(state.answer.methods);
    const row = (name) =>
      tag(
        "button",
        {
          type: "button",
          "aria-pressed": String(!state.off.has(name)),
          title: "Show or hide its path",
          onclick: () => {
            state.off.has(name) ? state.off.delete(name) : state.off.add(name);
            rows();
            draw();
          },
          onmouseenter: () => {
            state.alone = name;
            draw();
          },
          onmouseleave: () => {
            state.alone = null;
            draw();
          },
        },
        tag("i", { style: `background:${paints()[name]}` }),
        name,
        tag(
          "span",
          {},
          `|\u03bb| = ${state.answer.methods[name].modulus.toFixed(4)}, ${outcome(state.answer.methods[name].modulus)}`,
        ),
      );
    table.replaceChildren(...names.map(row));
    status.textContent = names.map((name) => `${name} ${outcome(state.answer.methods[name].modulus)}`).join("; ") + ".";
  }

  function draw() {
    const answer = state.answer;
    if (!answer || !plane.clientWidth) return;
    const [ink, muted, line, page] = ["ink", "muted", "line", "page"].map(colour);
    const side = plane.clientWidth,
      [g] = fitCanvas(plane, side);
    const P = (x, y) => [((x / answer.reach + 1) * side) / 2, ((1 - y / answer.reach) * side) / 2];
    g.fillStyle = page;
    g.fillRect(0, 0, side, side);
    g.strokeStyle = line;
    g.strokeRect(0.5, 0.5, side - 1, side - 1);
    g.beginPath();
    for (const [a, b] of [
      [P(-answer.reach, 0), P(answer.reach, 0)],
      [P(0, -answer.reach), P(0, answer.reach)],
    ]) {
      g.moveTo(...a);
      g.lineTo(...b);
    }
    g.stroke();
    const places = Array.from({ length: answer.places.length / 2 }, (_, i) =>
      P(answer.places[2 * i], answer.places[2 * i + 1]),
    );
    drawArrows(g, places, answer.field, side / Math.sqrt(places.length), muted);
    words(g, answer.axes[0], side - 8, side / 2 - 6, ink, "right");
    words(g, answer.axes[1], side / 2 + 6, 16, ink);
    for (const at of [-1, 1]) {
      words(g, String(at).replace("-", "\u2212"), P(at, 0)[0], side / 2 + 13, muted, "center");
      words(g, String(at).replace("-", "\u2212"), side / 2 - 5, P(0, at)[1] + 4, muted, "right");
    }
    for (const [name, { path }] of Object.entries(answer.methods)) {
      if (!visible(name)) continue;
      g.strokeStyle = g.fillStyle = paints()[name];
      g.lineWidth = state.alone ? 2 : 1.4;
      g.beginPath();
      let end = null;
      for (let i = 0; i <= state.shown; i++) {
        const [x, y] = [path[0][i], path[1][i]];
        if (x === null || y === null || Math.abs(x) > 20 || Math.abs(y) > 20) break;
        end = P(x, y);
        i ? g.lineTo(...end) : g.moveTo(...end);
      }
      g.stroke();
      if (end) {
        g.beginPath();
        g.arc(...end, 4, 0, 7);
        g.fill();
      }
    }
    g.strokeStyle = ink;
    g.lineWidth = 2;
    g.beginPath();
    g.arc(...P(state.x, state.y), 7, 0, 7);
    g.stroke();
    over(first, 0);
    over(second, 1);
    complex();
  }

  function over(target, which) {
    const [g, w, h] = fitCanvas(target, 110),
      [x0, x1, y0, y1] = [38, w - 6, 18, h - 15];
    const reach = state.answer.reach,
      last = Object.values(state.answer.methods)[0].path[0].length - 1;
    words(g, `${state.answer.axes[which]} over time`, 2, 11, colour("ink"));
    words(g, String(reach), x0 - 4, y0 + 8, colour("muted"), "right");
    words(g, `\u2212${reach}`, x0 - 4, y1, colour("muted"), "right");
    words(g, "0", x0, h - 3, colour("muted"));
    words(g, `${last} steps`, x1, h - 3, colour("muted"), "right");
    g.strokeStyle = colour("line");
    g.strokeRect(x0 + 0.5, y0 + 0.5, x1 - x0 - 1, y1 - y0);
    g.save();
    g.beginPath();
    g.rect(x0, y0, x1 - x0, y1 - y0);
    g.clip();
    for (const [name, { path }] of Object.entries(state.answer.methods)) {
      if (!visible(name)) continue;
      g.strokeStyle = paints()[name];
      g.lineWidth = 1.2;
      g.beginPath();
      for (let i = 0; i <= state.shown && path[which][i] !== null; i++)
        g.lineTo(x0 + ((x1 - x0) * i) / last, y1 - ((y1 - y0) * (path[which][i] / reach + 1)) / 2);
      g.stroke();
    }
    g.restore();
  }

  // Eigenvalues near the unit circle; the picture is centred on 1, where small steps are.
  function complex() {
    const [g, w, h] = fitCanvas(circle, 190),
      scale = h / 2.5,
      cx = w / 2,
      cy = h / 2 + 6;
    words(g, "Eigenvalues of a step, unit circle", 2, 11, colour("ink"));
    g.strokeStyle = colour("line");
    g.lineWidth = 1;
    g.beginPath();
    g.moveTo(cx - 1.3 * scale, cy);
    g.lineTo(cx + 1.3 * scale, cy);
    g.moveTo(cx, cy - 1.1 * scale);
    g.lineTo(cx, cy + 1.1 * scale);
    g.stroke();
    g.strokeStyle = colour("muted");
    g.beginPath();
    g.arc(cx, cy, scale, 0, 7);
    g.stroke();
    words(g, "Re", cx + 1.3 * scale + 4, cy + 4, colour("muted"));
    words(g, "Im", cx + 4, cy - 1.05 * scale, colour("muted"));
    for (const [name, { eigenvalues }] of Object.entries(state.answer.methods)) {
      if (!visible(name)) continue;
      g.fillStyle = paints()[name];
      for (const [re, im] of eigenvalues) {
        g.beginPath();
        g.arc(cx + re * scale, cy - im * scale, 3.5, 0, 7);
        g.fill();
      }
    }
  }

  const limit = (v) => Math.max(-1.6, Math.min(1.6, Number(v.toFixed(3))));
  function move(event) {
    const box = plane.getBoundingClientRect(),
      reach = state.answer.reach;
    Object.assign(state, {
      x: limit((((event.clientX - box.left) / box.width) * 2 - 1) * reach),
      y: limit((1 - ((event.clientY - box.top) / box.width) * 2) * reach),
      stale: true,
    });
  }
  plane.addEventListener("pointerdown", (event) => {
    if (!state.answer) return;
    plane.setPointerCapture(event.pointerId);
    state.drag = true;
    state.shown = Infinity;
    move(event);
  });
  plane.addEventListener("pointermove", (event) => state.drag && event.buttons && move(event));
  plane.addEventListener("pointerup", () => {
    state.drag = false;
    state.stale = true;
  });
  plane.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    Object.assign(state, { x: limit(state.x + 0.05 * step[0]), y: limit(state.y + 0.05 * step[1]), stale: true });
  });
  watch("value", () => (state.stale = true));
  new ResizeObserver(draw).observe(plane);
  new MutationObserver(() => {
    if (state.answer) rows();
    draw();
  }).observe(document.body, { attributeFilter: ["class"] });
  requestAnimationFrame(tick);
}
