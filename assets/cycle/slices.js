// The mark on the chart of a cycle's slices follows the slice that the page's viewer shows.
document.addEventListener("slice", ({ target, detail }) => {
  const chart = element.querySelector("svg[data-step]");
  if (!chart || !target.closest("#cycle-viewer")) return;
  const [line, words] = chart.querySelectorAll(".gl-here");
  line.setAttribute("transform", `translate(${detail.index * Number(chart.dataset.step)} 0)`);
  words.textContent = detail.words;
});
