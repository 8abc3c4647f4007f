// A Turing test that a visitor takes: one image, two answers, six steps of confidence. Python's side:
// ganlab/ui/pages/turing/practice.py.

const PRACTICE_PATH = "gradio_api/ganlab/practice";

function turingTest(root, props, watch, trigger) {
  const SIDE = 392; // CSS px of an image
  const state = { confidence: "3", asked: null, busy: false };
  const alert = tag("p", { class: "gl-alert", role: "alert", hidden: true });
  const status = tag("p", { class: "gl-note", role: "status", "aria-live": "polite" });
  const image = tag("canvas", { class: "gl-trial", role: "img", "aria-label": "Real or synthetic?", tabindex: 0 });
  const sure = segmented("turing", "How sure", ["1", "2", "3", "4", "5", "6"].map((k) => [k, k]), (value) => (state.confidence = value));
  sure.set(state.confidence);
  const answers = [["Real", false, "r"], ["Synthetic", true, "s"]].map(([text, synthetic, key]) =>
    tag("button", { type: "button", title: `Key ${key}`, class: "gl-play", onclick: () => say(synthetic) }, text));
  const said = tag("p", { class: "gl-trial-said" });
  const asking = tag("div", { class: "gl-trial-asking" }, image, said,
    tag("div", { class: "gl-bar" }, sure.element, tag("span", { class: "gl-note" }, "1 a guess, 6 certain")),
    tag("div", { class: "gl-bar" }, tag("span", { class: "gl-buttons" }, ...answers)));
  const result = tag("div", { class: "gl-trial-result", hidden: true });
  root.replaceChildren(alert, status, asking, result);
  root.addEventListener("keydown", (event) => {
    const pressed = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || asking.hidden) return;
    if (pressed === "r" || pressed === "s") say(pressed === "s");
    else if (pressed >= "1" && pressed <= "6") { state.confidence = pressed; sure.set(pressed); } else return;
    event.preventDefault();
  });

  const tell = (words) => { alert.textContent = words; alert.hidden = !words; };
  async function ask(more) {
    if (state.busy || !props.value?.token) return;
    state.busy = true;
    let answer = null;
    try {
      answer = await askServer(PRACTICE_PATH, { token: props.value.token, ...more });
    } catch {
      tell("The server does not answer. Try again; an answer counts once.");
    }
    state.busy = false;
    if (answer) show(answer.facts, answer.arrays);
  }
  const say = (synthetic) => state.asked !== null && ask({ position: state.asked, synthetic, confidence: Number(state.confidence) });
  function show(found, { image: pixels }) {
    tell(found.error ?? "");
    if (found.error) return;
    const { position, total, right } = found;
    said.textContent = position ? `That one was ${found.was ? "synthetic" : "real"}: ${found.was === found.said ? "right" : "wrong"}.` : "";
    status.textContent = position < total ? `Image ${position + 1} of ${total}${position ? `, ${right} of ${position} right` : ""}` : `${right} of ${total} right`;
    asking.hidden = Boolean(found.result);
    result.hidden = !found.result;
    state.asked = found.result ? null : position;
    if (found.result) { result.innerHTML = found.result; return; }
    drawPixels(pixels);
    root.dataset.position = position;
  }
  // Grey pixels, smoothly enlarged.
  function drawPixels({ data, shape: [height, width] }) {
    const small = tag("canvas", { width, height }), picture = new ImageData(width, height);
    data.forEach((grey, i) => picture.data.set([grey, grey, grey, 255], 4 * i));
    small.getContext("2d").putImageData(picture, 0, 0);
    const scale = window.devicePixelRatio || 1;
    image.width = image.height = Math.round(Math.min(SIDE, root.clientWidth) * scale);
    image.style.width = `${image.width / scale}px`;
    const pen = image.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(small, 0, 0, image.width, image.height);
  }
  watch("value", () => { state.asked = null; ask({}).then(() => props.value?.again && image.focus()); });
  whenSeen(root, () => (props.value?.token ? ask({}) : trigger("input")));
}
