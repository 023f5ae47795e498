// The heat map: an EVSE a row, five minutes a column; the past as it was, the next hours as they are planned.

import { clock, flow } from "./words.js";

const BACK_S = 6 * 3600, AHEAD_S = 12 * 3600, SLOT_S = 300, ROW = 18, LEFT = 64, TOP = 18;
// From the ground away in one hue: told apart also by those who see no colours, and by the words below. Another hue, and
// a line through it, for what feeds back.
const SHADES = {
  light: { none: "#e8eef4", draws: ["#c3d9ea", "#93bedc", "#5d9ccb", "#2f78b3", "#0e4f86", "#08305a"], back: ["#f4d3a6", "#e2a052", "#b96a1b", "#7a3f06"] },
  dark: { none: "#27333e", draws: ["#1d4668", "#225f92", "#2f7dbb", "#569fd8", "#8cc3ef", "#c9e4fb"], back: ["#5c3a12", "#94601f", "#cd8b38", "#f6c98b"] },
};
const darkness = globalThis.matchMedia("(prefers-color-scheme: dark)");
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
let fields = null, pointed = null;

export function drawHeat(canvas, history, shown) {
  const busy = shown.evses.filter((evse) => evse.session || history.some((slot) => slot.evses[evse.id]));
  const rows = (busy.length ? busy : shown.evses).map((evse) => evse.id);
  const most = Math.max(6, ...shown.evses.map((e) => Math.max(0, ...e.plan_a.map(Math.abs), Math.abs(e.measured_a || 0))), ...history.flatMap((s) => Object.values(s.evses).map((e) => Math.abs(e[0]))));
  const from = Math.floor((shown.at - BACK_S) / SLOT_S) * SLOT_S;
  const columns = Math.ceil((BACK_S + AHEAD_S) / SLOT_S), ratio = globalThis.devicePixelRatio || 1;
  const width = Math.max(560, canvas.parentElement.clientWidth), height = TOP + ROW * rows.length + 4;
  canvas.width = width * ratio; canvas.height = height * ratio;
  canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
  const step = (width - LEFT) / columns, ctx = canvas.getContext("2d"), style = getComputedStyle(canvas);
  ctx.scale(ratio, ratio);
  ctx.font = `12px ${style.fontFamily}`;
  ctx.fillStyle = style.color;
  rows.forEach((id, row) => ctx.fillText(id, 2, TOP + ROW * row + 13, LEFT - 6));
  for (let s = Math.ceil(from / 10800) * 10800; s < from + columns * SLOT_S; s += 10800) ctx.fillText(clock(s), LEFT + ((s - from) / SLOT_S) * step - 14, 12);
  const shades = SHADES[darkness.matches ? "dark" : "light"], ground = getComputedStyle(canvas.closest("section")).backgroundColor;
  const found = collect(rows, history, shown, from, columns);
  found.forEach((cells, row) => cells.forEach((cell, column) => {
    if (!cell) return;
    const back = cell.a <= -0.5;
    ctx.fillStyle = back ? shade(shades.back, -cell.a, most) : cell.a < 0.5 ? shades.none : shade(shades.draws, cell.a, most);
    ctx.globalAlpha = cell.planned ? 0.65 : 1;
    const x = Math.round(LEFT + column * step); // whole pixels: neighbours neither overlap nor leave a gap
    const wide = Math.round(LEFT + (column + 1) * step) - x;
    ctx.fillRect(x, TOP + ROW * row + 1, wide, ROW - 2);
    if (!back) return;
    ctx.fillStyle = ground;
    ctx.fillRect(x, TOP + ROW * row + ROW / 2 - 1, wide, 2);
  }));
  ctx.globalAlpha = 1;
  ctx.strokeStyle = style.color;
  const x = LEFT + ((shown.at - from) / SLOT_S) * step;
  ctx.strokeRect(x, TOP, 0.5, ROW * rows.length);
  const now = Math.min(columns - 1, Math.floor((shown.at - from) / SLOT_S));
  fields = { rows, found, step, columns, now, again: () => drawHeat(canvas, history, shown) };
  if (!pointed || document.activeElement !== canvas) return;
  ctx.lineWidth = 2;
  ctx.strokeRect(LEFT + (pointed.at - from) / SLOT_S * step, TOP + ROW * rows.indexOf(pointed.id) + 1, Math.max(4, step), ROW - 2);
}

const shade = (shades, a, most) => shades[Math.min(shades.length - 1, Math.floor((a / most) * shades.length))];

function collect(rows, history, shown, from, columns) {
  const found = rows.map(() => new Array(columns).fill(null));
  const put = (row, s, cell) => {
    const column = Math.floor((s - from) / SLOT_S);
    if (column >= 0 && column < columns) found[row][column] = { at: from + column * SLOT_S, ...cell };
  };
  for (const slot of history) rows.forEach((id, row) => {
    const cell = slot.evses[id];
    if (cell) put(row, slot.at, { a: cell[0], reason: cell[1] });
  });
  rows.forEach((id, row) => {
    const evse = shown.evses.find((each) => each.id === id);
    const leaves = evse?.session?.departure ?? Infinity;
    shown.plan_times.forEach((start, i) => {
      const end = shown.plan_times[i + 1] ?? start + SLOT_S;
      for (let s = Math.max(start, shown.at + 1); s < end && s < leaves; s += SLOT_S) if (evse?.plan_a.length) put(row, s, { a: evse.plan_a[i], planned: true });
    });
  });
  return found;
}

export function explainHeat(canvas, said) {
  const tell = (row, column) => {
    const cell = fields?.found[row]?.[column];
    if (cell) said.textContent = `${fields.rows[row]}, ${clock(cell.at)}: ${cell.planned ? `${flow(cell.a)}, planned` : `${flow(cell.a)}; ${cell.reason}`}`;
    return cell;
  };
  canvas.addEventListener("pointermove", (event) => {
    if (!fields) return;
    const box = canvas.getBoundingClientRect();
    tell(Math.floor((event.clientY - box.top - TOP) / ROW), Math.floor((event.clientX - box.left - LEFT) / fields.step));
  });
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step || !fields) return;
    event.preventDefault();
    const known = pointed ? fields.rows.indexOf(pointed.id) : -1;
    let row = known < 0 ? 0 : known, column = pointed ? fields.found[row].findIndex((cell) => cell && cell.at >= pointed.at) : fields.now;
    // On to the next field that says something: most of a night there is none.
    for (;;) {
      row += step[0]; column += step[1];
      if (row < 0 || row >= fields.rows.length || column < 0 || column >= fields.columns) return;
      const cell = tell(row, column);
      if (!cell) continue;
      pointed = { id: fields.rows[row], at: cell.at };
      fields.again();
      return;
    }
  });
  canvas.addEventListener("blur", () => fields?.again());
}
