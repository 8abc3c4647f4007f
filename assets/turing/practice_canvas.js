// A Turing test that a visitor takes alone: one image, two answers, six steps of confidence.
// Python's side: ganlab/ui/pages/turing/practice.py.

const PRACTICE_PATH = "gradio_api/ganlab/practice";
const IMAGE_SIDE = 392; // CSS px
const CONFIDENCE = ["1", "2", "3", "4", "5", "6"];

// Grey pixels {data, shape: [height, width]}, smoothly enlarged to `side` CSS px.
function drawGreys(canvas, { data, shape: [height, width] }, side) {
  const small = tag("canvas", { width, height }),
    picture = new ImageData(width, height);
  data.forEach((grey, i) => picture.data.set([grey, grey, grey, 255], 4 * i));
  small.getContext("2d").putImageData(picture, 0, 0);
  const scale = window.devicePixelRatio || 1;
  canvas.width = canvas.height = Math.round(side * scale);
  canvas.style.width = `${canvas.width / scale}px`;
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(small, 0, 0, canvas.width, canvas.height);
}

function turingTest(root, props, watch, trigger) {
  const state = { confidence: "3", position: null, busy: false };
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  const image = tag("canvas", { class: "gl-trial", role: "img", "aria-label": "Real or synthetic?", tabindex: 0 });
  const options = CONFIDENCE.map((k) => [k, k]);
  const confidence = segmented("turing", "Confidence", options, (value) => (state.confidence = value));
  confidence.set(state.confidence);
  const button = (text, synthetic, key) =>
    tag("button", { type: "button", title: `Key ${key}`, class: "gl-play", onclick: () => say(synthetic) }, text);
  const answers = tag("span", { class: "gl-buttons" }, button("Real", false, "r"), button("Synthetic", true, "s"));
  const verdict = tag("p", { class: "gl-trial-said" });
  const scale = tag("span", { class: "gl-note" }, "1 a guess, 6 certain");
  const asking = tag(
    "div",
    { class: "gl-trial-asking" },
    image,
    verdict,
    tag("div", { class: "gl-bar" }, confidence.element, scale),
    tag("div", { class: "gl-bar" }, answers),
  );
  const result = tag("div", { class: "gl-trial-result", hidden: true });
  root.replaceChildren(alert, status, asking, result);
  root.addEventListener("keydown", (event) => {
    const pressed = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || asking.hidden) return;
    if (pressed === "r" || pressed === "s") say(pressed === "s");
    else if (CONFIDENCE.includes(pressed)) {
      state.confidence = pressed;
      confidence.set(pressed);
    } else return;
    event.preventDefault();
  });

  function tell(text) {
    alert.textContent = text;
    alert.hidden = !text;
  }
  async function ask(question) {
    if (state.busy || !props.value?.token) return;
    state.busy = true;
    let answer = null;
    try {
      answer = await askServer(PRACTICE_PATH, { token: props.value.token, ...question });
    } catch {
      tell("The server does not respond. Try again; each answer counts once.");
    }
    state.busy = false;
    if (answer) show(answer.facts, answer.arrays);
  }
  function say(synthetic) {
    if (state.position === null) return;
    ask({ position: state.position, synthetic, confidence: Number(state.confidence) });
  }
  function show({ error, position, total, right, was, said, result: html }, arrays) {
    tell(error ?? "");
    if (error) return;
    const outcome = `That image was ${was ? "synthetic" : "real"}: ${was === said ? "right" : "wrong"}.`;
    const score = position ? `, ${right} of ${position} right` : "";
    verdict.textContent = position ? outcome : "";
    status.textContent = position < total ? `Image ${position + 1} of ${total}${score}` : `${right} of ${total} right`;
    asking.hidden = Boolean(html);
    result.hidden = !html;
    state.position = html ? null : position;
    if (html) {
      result.innerHTML = html;
      return;
    }
    drawGreys(image, arrays.image, Math.min(IMAGE_SIDE, root.clientWidth));
    root.dataset.position = position;
  }
  async function begin() {
    state.position = null;
    await ask({});
    if (props.value?.again) image.focus();
  }
  watch("value", begin);
  whenSeen(root, () => (props.value?.token ? ask({}) : trigger("input")));
}
