// A Turing test that a visitor takes: one image, two answers, six steps of confidence. Python's side:
// ganlab/ui/pages/turing/practice.py.

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
    try {
      const body = JSON.stringify({ token: props.value.token, ...more });
      const response = await fetch("gradio_api/ganlab/trial", { method: "POST", body });
      if (!response.ok) throw new Error(response.statusText);
      await show(await response.json());
    } catch {
      tell("The server does not answer; the answer was not taken. Try again.");
    } finally {
      state.busy = false;
    }
  }
  const say = (synthetic) => state.asked !== null && ask({ position: state.asked, synthetic, confidence: Number(state.confidence) });
  async function show(found) {
    tell(found.error ?? "");
    if (found.error) return;
    const { position, total, right } = found;
    said.textContent = position ? `That one was ${found.was ? "synthetic" : "real"}: ${found.was === found.said ? "right" : "wrong"}.` : "";
    status.textContent = position < total ? `Image ${position + 1} of ${total}${position ? `, ${right} of ${position} right` : ""}` : `${right} of ${total} right`;
    asking.hidden = Boolean(found.result);
    result.hidden = !found.result;
    state.asked = found.result ? null : position;
    if (found.result) { result.innerHTML = found.result; return; }
    const picture = new Image();
    picture.src = found.image;
    await picture.decode();
    const scale = window.devicePixelRatio || 1;
    image.width = image.height = Math.round(Math.min(SIDE, root.clientWidth) * scale);
    image.style.width = `${image.width / scale}px`;
    const pen = image.getContext("2d");
    pen.imageSmoothingQuality = "high";
    pen.drawImage(picture, 0, 0, image.width, image.height);
    root.dataset.position = position;
  }
  watch("value", () => { state.asked = null; ask({}).then(() => props.value?.again && image.focus()); });
  whenSeen(root, () => (props.value?.token ? ask({}) : trigger("input")));
}
