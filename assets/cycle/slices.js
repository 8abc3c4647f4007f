// Sync the marker of the slice chart with the viewer's current slice.
document.addEventListener("slice", ({ target, detail }) => {
  const chart = element.querySelector("svg[data-step]");
  if (!chart || !target.closest("#cycle-viewer")) return;
  const [line, words] = chart.querySelectorAll(".gl-here");
  line.setAttribute("transform", `translate(${detail.index * Number(chart.dataset.step)} 0)`);
  words.textContent = detail.words;
});
