// Elements that all pages use, and the controls of the volume viewer.

const PRESETS = [
  { title: "Bone", width: 2000, level: 500 },
  { title: "Brain", width: 80, level: 40 },
  { title: "Soft tissue", width: 400, level: 40 },
  { title: "Full" }, // from the lowest to the highest value
];
const HELP = [
  ["Click or drag, arrow keys", "move the crosshair"],
  ["Wheel, Page Up, Page Down", "slices (with Shift: ten)"],
  ["Right drag, W + drag, two fingers", "window: sideways width, up and down level"],
  ["Ctrl + wheel, pinch, + and \u2212", "zoom"],
  ["Middle drag, Shift + drag", "pan"],
  ["Double click, 0", "reset zoom, pan and window"],
  ["1 2 3 4", "bone, brain, soft tissue, full window"],
  ["A C S", "axial, coronal, sagittal"],
  ["[ and ]", "previous, next layer"],
  ["P", "line profile: drag a line"],
  ["F", "radiological or neurological sides"],
  ["X", "crosshair on and off"],
  ["H", "this list"],
];

// An element with attributes, listeners (onclick: ...) and children.
function tag(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

// Have the browser save the content of an address as a file.
function save(href, name) {
  const link = tag("a", { href, download: name });
  link.click();
  if (href.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(href), 10000);
}

// Call `act` once, when an element first becomes visible.
function whenSeen(element, act) {
  const watching = new IntersectionObserver(([seen]) => {
    if (seen.isIntersecting) {
      watching.disconnect();
      act();
    }
  });
  watching.observe(element);
}

// Radio buttons side by side: {element, fill(options), fillGroups(groups), set(value)}; options: [[value, text], ...];
// groups: [[heading, options], ...].
function segmented(id, legend, options, choose) {
  const name = `${id}-${legend.toLowerCase()}`;
  const holder = tag("span", { class: "gl-groups" });
  const element = tag("fieldset", { class: "gl-field" }, tag("legend", {}, legend), holder);
  const option = ([value, text]) => {
    const input = tag("input", { type: "radio", name, value, onchange: () => choose(value) });
    return tag("label", {}, input, tag("span", {}, text));
  };
  const group = ([heading, pairs]) => {
    const segments = tag("span", { class: "gl-segments" }, ...pairs.map(option));
    if (!heading) return segments;
    return tag("span", { role: "group", "aria-label": heading }, tag("i", { "aria-hidden": "true" }, heading), segments);
  };
  const fillGroups = (groups) => holder.replaceChildren(...groups.map(group));
  const fill = (pairs) => fillGroups([["", pairs]]);
  const set = (value) => holder.querySelectorAll("input").forEach((input) => (input.checked = input.value === value));
  fill(options);
  return { element, fill, fillGroups, set };
}

// Fill `root` with the viewer's controls and canvases; returns them by name. `viewer`: see volumeViewer.
function buildControls(root, viewer) {
  const { state, change } = viewer;
  const button = (text, title, onclick, attributes = {}) =>
    tag("button", { type: "button", title, onclick: () => viewer.volume && onclick(), ...attributes }, text);
  const toggle = (text, title, onclick) => button(text, title, onclick, { "aria-pressed": "false" });

  const planes = Object.entries(PLANES).map(([name, { title }]) => [name, title]);
  const layer = segmented(root.id, "Layer", [], (value) => change({ layer: value }));
  const plane = segmented(root.id, "Plane", planes, (value) => change({ plane: value }));
  const layouts = [
    ["main", "1 + 2"],
    ["planes", "3 planes"],
    ["layers", "All layers"],
  ];
  const layout = segmented(root.id, "Layout", layouts, (value) => change({ layout: value }));

  const ways = [
    ["off", "Off"],
    ["swipe", "Swipe"],
    ["blend", "Blend"],
  ];
  const compare = segmented(root.id, "Compare", ways, (value) => change({ compare: value }));
  const other = tag("select", { "aria-label": "Compare with", onchange: () => change({ other: other.value }) });
  const blend = { type: "range", min: 0, max: 1, step: 0.01, "aria-label": "Share of the other layer" };
  const mix = tag("input", { ...blend, oninput: () => change({ mix: Number(mix.value) }) });
  compare.element.append(other, mix);

  const typed = () => viewer.typeWindow(Number(width.value), Number(level.value));
  const width = tag("input", { type: "number", step: "any", "aria-label": "Window width", onchange: typed });
  const level = tag("input", { type: "number", step: "any", "aria-label": "Window level", onchange: typed });
  const presets = PRESETS.map(({ title, width: w, level: l }, i) => {
    const text = w ? `CT width ${w}, level ${l} HU` : "All CT values";
    return button(title, `${text} (key ${i + 1})`, () => viewer.preset(i));
  });
  const windowPresets = tag("span", { class: "gl-buttons" }, ...presets);
  const windows = tag(
    "fieldset",
    { class: "gl-field" },
    tag("legend", {}, "Window"),
    windowPresets,
    tag("label", {}, "W", width),
    tag("label", {}, "L", level),
  );

  const flip = () => change({ radiological: !state.radiological });
  const cross = () => change({ crosshair: !state.crosshair });
  const toggles = {
    crosshair: toggle("Crosshair", "Show the crosshair (X)", cross),
    profiling: toggle("Profile", "Values along a line (P): drag the line in a picture", viewer.toggleProfile),
    neurological: toggle("Neurological", "Patient's left on the left of the screen (F)", flip),
  };
  const picture = "Save this image with a caption that states its provenance";
  const buttons = [
    ...Object.values(toggles),
    button("Reset", "Zoom, pan and windows (double click or 0)", viewer.reset),
    button("Save PNG", picture, viewer.savePicture),
    button("Keys", "Mouse, touch and keys (H)", viewer.toggleHelp, { "aria-expanded": "false" }),
  ];

  const seek = () => viewer.seek(Number(slice.value));
  const slice = tag("input", { type: "range", min: 0, step: 1, class: "gl-slice", oninput: seek });
  const status = tag("div", { id: `${root.id}-status`, role: "status", "aria-live": "polite", class: "gl-spoken" });
  const canvas = tag("canvas", {
    tabindex: 0,
    role: "application",
    class: "gl-canvas",
    "aria-roledescription": "volume viewer",
    "aria-label":
      "Three linked planes through the head. Arrow keys move the crosshair, " +
      "Page Up and Page Down change the slice, H lists all keys.",
    "aria-describedby": status.id,
  });
  const readout = tag("div", { class: "gl-readout" });
  const along = "Values of every layer along the line, against mm";
  const profile = tag("canvas", { role: "img", class: "gl-profile", "aria-label": along, hidden: true });
  const keys = HELP.map(([what, does]) => tag("div", {}, tag("dt", {}, what), tag("dd", {}, does)));
  const help = tag("dl", { class: "gl-help", hidden: true }, ...keys);
  const groups = [layer, compare, plane, layout].map((one) => one.element);
  root.classList.add("gl-viewer");
  root.replaceChildren(
    tag("div", { class: "gl-bar" }, ...groups, windows, tag("span", { class: "gl-buttons" }, ...buttons)),
    help,
    canvas,
    slice,
    readout,
    profile,
    status,
  );
  const helpButton = buttons.at(-1);
  return {
    presets: windowPresets,
    layer,
    layout,
    plane,
    compare,
    other,
    mix,
    width,
    level,
    toggles,
    slice,
    status,
    canvas,
    readout,
    profile,
    help,
    helpButton,
  };
}
