// The organiser's page: create a study, invite readers, watch progress, lock, unblind, report, export.
// The server's side: ganlab/ui/pages/turing/organise.py.

(function () {
  const page = document.getElementById("page");
  const known = JSON.parse(sessionStorage.getItem("ganlab-organiser") ?? "{}"); // study and secret, kept until the tab is closed
  const alert = tag("p", { class: "alert", role: "alert" });
  const tell = (words) => {
    alert.textContent = words ?? "";
  };
  const button = (text, act, more = {}) => tag("button", { type: "button", onclick: act, ...more }, text);
  const field = (text, input) => tag("label", {}, tag("span", {}, text), input);
  const text = (id, value = "", type = "text") =>
    tag("input", { type, id, value, autocomplete: "off", spellcheck: "false" });
  const number = (id, value, min, max, step = 1) => tag("input", { type: "number", id, value, min, max, step });
  const NOT_IN_FORM = ["expires", "keep_until"]; // the server's defaults apply
  const WIDE = ["title", "design", "instructions", "groups"]; // settings that fill a row of the form

  async function ask(request, quiet = false) {
    if (!quiet) tell("");
    page.setAttribute("aria-busy", "true");
    try {
      const headers = request.host ? { "X-Ganlab-Host": request.host } : {};
      const response = await fetch("organise", {
        method: "POST",
        headers,
        body: JSON.stringify({ study: known.study, secret: known.secret, ...request }),
      });
      const reply =
        response.status === 413
          ? {
              error: "The request is too large; use fewer or smaller images, or create the study on the server.",
            }
          : response.status < 500 || response.status === 503
            ? await response.json()
            : { error: "The server reported an error; see its terminal." };
      if (reply.error && !quiet) {
        tell(reply.error);
        return null;
      }
      return reply;
    } catch {
      if (!quiet) tell("The server does not respond; nothing was changed. Try again.");
      return null;
    } finally {
      page.removeAttribute("aria-busy");
    }
  }
  const show = (...parts) => page.replaceChildren(...parts, alert);

  async function begin() {
    const study = text("study", known.study ?? ""),
      secret = text("secret", known.secret ?? "", "password");
    const enter = async (event) => {
      event.preventDefault();
      Object.assign(known, { study: study.value.trim().toUpperCase(), secret: secret.value.trim() });
      await watch();
    };
    const options = (await ask({ do: "options" })) ?? { web: false };
    show(
      tag("h1", {}, "Organise a study"),
      tag(
        "form",
        { onsubmit: enter },
        field("Study", study),
        field("Secret", secret),
        tag("div", { class: "bar" }, tag("button", { class: "go" }, "Open")),
      ),
      tag(
        "details",
        { open: !known.study },
        tag("summary", {}, "Create a study"),
        options.web
          ? creation(options)
          : tag(
              "p",
              { class: "note" },
              "Run python -m ganlab study create on the server. Studies can be created here only if the host has set GANLAB_HOST_SECRET.",
            ),
      ),
    );
  }
  // The input of a protocol's setting, as the server declares it, and how to read its value.
  function settingInput({ name, kind, choices, low, high, step, longest, default: usual }) {
    if (Object.keys(choices).length) {
      const input = tag(
        "select",
        { id: name },
        ...Object.entries(choices).map(([value, words]) => tag("option", { value }, words)),
      );
      return { input, value: () => input.value };
    }
    if (kind === "bool") {
      const input = tag("input", { type: "checkbox", id: name });
      return { input, value: () => input.checked };
    }
    if (kind === "int" || kind === "float") {
      const input = number(name, usual, low, high, step ?? (kind === "int" ? 1 : "any"));
      return { input, value: () => Number(input.value) };
    }
    if (kind === "tuple") {
      const input = text(name);
      return {
        input,
        value: () =>
          input.value
            .split(",")
            .map((each) => each.trim())
            .filter(Boolean),
      };
    }
    const input = longest > 200 ? tag("textarea", { id: name }, usual) : text(name, usual);
    if (longest) input.maxLength = longest;
    return { input, value: () => input.value };
  }
  function labelled(setting, input) {
    if (setting.kind === "bool") return tag("label", { class: "check" }, input, setting.help);
    const words =
      setting.kind === "tuple" ? `${setting.title}: levels of experience, separated by commas` : setting.title;
    const label = field(setting.unit ? `${words}, ${setting.unit}` : words, input);
    if (setting.kind !== "tuple") label.append(tag("span", { class: "note" }, setting.help));
    return label;
  }

  function creation({ models, settings, images }) {
    const shown = settings.filter(({ name }) => !NOT_IN_FORM.includes(name));
    const inputs = Object.fromEntries(shown.map((setting) => [setting.name, settingInput(setting)]));
    const row = (which) => shown.filter(which).map((setting) => labelled(setting, inputs[setting.name].input));
    const host = text("host", "", "password");
    const count = number("count", 60, images.low, images.high, 2);
    const size = number("size", "", 16, 2048);
    const model = tag(
      "select",
      { id: "model" },
      tag("option", { value: "" }, "my own images"),
      ...models.map((name) => tag("option", { value: name }, name)),
    );
    if (models.includes("dcgan-nodules")) model.value = "dcgan-nodules";
    const files = {
      real: tag("input", { type: "file", multiple: true, id: "real" }),
      synthetic: tag("input", { type: "file", multiple: true, id: "synthetic" }),
    };
    const own = tag(
      "div",
      { class: "grid" },
      field("Real images", files.real),
      field("Synthetic images", files.synthetic),
      field("Resample all to N x N pixels (empty: keep the size)", size),
    );
    const generated = field("Number of images, half of them real", count);
    const choose = () => {
      own.hidden = Boolean(model.value);
      generated.hidden = !model.value;
    };
    const create = async (event) => {
      event.preventDefault();
      const protocol = Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value()]));
      const source = model.value
        ? { model: model.value, count: Number(count.value) }
        : {
            real: await read(files.real),
            synthetic: await read(files.synthetic),
            size: size.value ? Number(size.value) : null,
          };
      const reply = await ask({ do: "create", host: host.value, protocol, ...source });
      if (reply) {
        Object.assign(known, { study: reply.study, secret: reply.secret });
        await watch(true);
      }
    };
    const isNumber = ({ name, kind }) => !WIDE.includes(name) && kind !== "bool";
    const form = tag(
      "form",
      { onsubmit: create },
      field("Host's secret", host),
      ...row(({ name }) => WIDE.includes(name)),
      tag("div", { class: "grid" }, ...row(isNumber)),
      ...row(({ kind }) => kind === "bool"),
      field("Images", model),
      generated,
      own,
      tag("p", { id: "planned", class: "words", "aria-live": "polite" }),
      tag("div", { class: "bar" }, tag("button", { class: "go", id: "create" }, "Create and seal")),
    );
    model.addEventListener("change", choose);
    choose();
    let waiting;
    const plan = async () => {
      const many = model.value
        ? Number(count.value)
        : Math.min(files.real.files.length, files.synthetic.files.length) * 2;
      if (!many) return;
      const reply = await ask(
        { do: "plan", readers: inputs.readers.value(), count: many, margin: inputs.margin.value() },
        true,
      );
      if (reply) form.querySelector("#planned").textContent = reply.words ?? reply.error;
    };
    const planSoon = () => {
      clearTimeout(waiting);
      waiting = setTimeout(plan, 300);
    };
    for (const input of [inputs.readers.input, inputs.margin.input, count, model, files.real, files.synthetic])
      input.addEventListener("change", planSoon);
    planSoon();
    return form;
  }
  const read = (input) =>
    Promise.all(
      [...input.files].map(
        (file) =>
          new Promise((resolve, reject) => {
            const reader = new FileReader();
            reader.onload = () =>
              resolve({ name: file.name, data: reader.result.slice(reader.result.indexOf(",") + 1) });
            reader.onerror = reject;
            reader.readAsDataURL(file);
          }),
      ),
    );

  async function watch(fresh = false) {
    const reply = await ask({ do: "progress" });
    if (!reply) return;
    sessionStorage.setItem("ganlab-organiser", JSON.stringify(known));
    draw(reply, fresh);
  }
  function draw(reply, fresh) {
    const link = (code) => `${location.href.replace(/organise.*$/, "")}rate#${code}`;
    const copy = (code) =>
      button(
        "Copy link",
        async (event) => {
          await navigator.clipboard.writeText(link(code));
          event.target.textContent = "Copied";
        },
        { class: "small" },
      );
    const line = (reader) =>
      tag(
        "tr",
        {},
        tag("td", {}, reader.reader),
        tag("td", { class: "code" }, tag("a", { href: link(reader.invitation) }, reader.invitation)),
        tag("td", {}, copy(reader.invitation)),
        tag("td", {}, reader.state),
        tag("td", {}, `${reader.answers} of ${reader.of}`),
        tag("td", {}, reader.experience),
      );
    const heads = ["Reader", "Invitation", "", "State", "Answers", "Experience"];
    const steps = {
      open: [
        button("Lock: accept no more answers", () => change("lock", "Permanently stop accepting answers?"), {
          id: "lock",
        }),
      ],
      locked: [
        button("Unblind", () => change("unblind", "Reveal the truth of this study?"), { id: "unblind", class: "go" }),
      ],
      unblinded: [
        button("Report", report, { id: "report", class: "go" }),
        button("Export all", exported, { id: "export" }),
      ],
    }[reply.status];
    const receipt = tag("input", { type: "file", id: "receipt", accept: ".json" });
    receipt.addEventListener("change", async () => {
      try {
        const restored = await ask({ do: "receipt", receipt: JSON.parse(await receipt.files[0].text()) });
        if (restored) {
          draw(restored, false);
          tell(`${restored.back} answers were restored.`);
        }
      } catch {
        tell("This file is not a receipt.");
      }
    });
    const m = reply.machine;
    show(
      tag("h1", {}, reply.title),
      tag(
        "p",
        { class: "note" },
        `Study ${reply.study}, ${reply.design}${reply.race ? ", a race" : ""}, created ${reply.created.slice(0, 16).replace("T", " ")} UTC. Invitations until ${reply.expires}; answers are kept until ${reply.keep_until}.`,
      ),
      ...(fresh
        ? [
            tag(
              "p",
              {},
              "Write this down; it is shown only once. The study's secret: ",
              tag("strong", { class: "code", id: "fresh" }, known.secret),
            ),
          ]
        : []),
      tag(
        "p",
        {},
        "This study is ",
        tag("strong", { id: "status" }, reply.status),
        `. Requests refused so far: ${reply.refused}.`,
      ),
      tag(
        "p",
        { class: "note" },
        "Seal, to be published before the first answer: ",
        tag("span", { class: "code", id: "seal" }, reply.seal),
      ),
      tag(
        "p",
        { class: "note" },
        `A classifier that sees no anatomy distinguishes real from synthetic with an AUC of ${m.area.toFixed(2)} (${m.low.toFixed(2)} to ${m.high.toFixed(2)}); report it with the readers' areas. ${reply.warning}`,
      ),
      tag(
        "div",
        { class: "bar" },
        ...steps,
        button("Refresh", () => watch(), { id: "refresh" }),
        button("Another study", () => {
          sessionStorage.removeItem("ganlab-organiser");
          delete known.study;
          delete known.secret;
          begin();
        }),
      ),
      tag(
        "div",
        { class: "scroll" },
        tag(
          "table",
          {},
          tag("thead", {}, tag("tr", {}, ...heads.map((head) => tag("th", {}, head)))),
          tag("tbody", {}, ...reply.readers.map(line)),
        ),
      ),
      tag("details", {}, tag("summary", { class: "note" }, "Restore answers from a reader's receipt"), receipt),
      tag("div", { id: "result" }),
    );
  }
  async function change(what, question) {
    if (confirm(question) && (await ask({ do: what }))) await watch();
  }
  async function report() {
    const reply = await ask({ do: "report" });
    if (reply) save(URL.createObjectURL(new Blob([reply.html], { type: "text/html" })), `report-${known.study}.html`);
  }
  async function exported() {
    const reply = await ask({ do: "export" });
    if (!reply) return;
    const bytes = Uint8Array.from(atob(reply.zip), (c) => c.charCodeAt(0));
    save(URL.createObjectURL(new Blob([bytes], { type: "application/zip" })), reply.name);
  }
  if (known.secret) watch().then(() => known.study && !page.querySelector("#status") && begin());
  else begin();
})();
