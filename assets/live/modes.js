// Which modes of the data the generator covers, run by run, and an alarm when it loses one.

const STEADY = 4; // measurements in a row that a mode must be covered before its loss raises the alarm
// Fractions of a mode's expected number of samples: covered above the first, lost below the second.
const SHARES = { covered: 0.25, lost: 0.1 };

// The modes of one run after a measurement: {now: covered or not, steady: measurements in a row, ever: covered once}.
// shares: of the samples, one per mode; before: what this function returned for the measurement before, if any.
function coveredModes(shares, before) {
  const fair = 1 / shares.length;
  const limit = (m) => fair * (before?.now[m] ? SHARES.lost : SHARES.covered);
  const now = shares.map((share, m) => share >= limit(m));
  const steady = now.map((on, m) => (on ? (before?.steady[m] ?? 0) + 1 : 0));
  const ever = now.map((_, m) => steady[m] >= STEADY || Boolean(before?.ever[m]));
  return { now, steady, ever };
}

// How many modes were lost from one measurement to the next.
const lostModes = (before, after) => after.now.filter((on, m) => before.steady[m] >= STEADY && !on).length;

function alarmText({ step, lost, covered, total, whose }) {
  const modes = lost === 1 ? "a mode" : `${lost} modes`;
  return `Step ${step.toLocaleString("en")}${whose}: the generator lost ${modes}; it covers ${covered} of ${total}.`;
}
