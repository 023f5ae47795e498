// The page: asks for the site, follows it, and draws what changed.

import { drawBatteries, drawBatteryPlans } from "./batteries.js";
import { drawChart, drawCircuits } from "./circuits.js";
import { drawHeat, explainHeat } from "./heat.js";
import { wireOrders } from "./orders.js";
import { ask, follow, keepToken, Refused } from "./stream.js";
import { drawAlarms, drawBill, drawSessions, drawStations, pairs } from "./tables.js";
import { drawWhy } from "./why.js";
import { clock, day, kw, make, price, sentence, speak } from "./words.js";

const WORDS = { good: "In control.", limited: "Limited.", attention: "Attention.", danger: "Danger.", dead: "Controller away.", waiting: "Waiting." };
const KEPT_SLOTS = 288;
const ROWS = ["circuits", "evses", "batteries"];
const $ = (id) => document.getElementById(id);
let site = new URLSearchParams(location.search).get("site");
let history = [], shown = null, chosen = null, charted = -Infinity;

function light(state, text) {
  $("light").dataset.state = state;
  $("light").dataset.word = WORDS[state];
  if ($("light").textContent !== sentence(text)) $("light").textContent = sentence(text);
}

function take(kind, told) {
  shown = kind === "change" ? merged(shown, told) : told;
  speak(shown.site);
  $("title").textContent = shown.site.name;
  document.title = `${shown.site.name} – loadmgr`;
  if (!shown.decided) return light("waiting", "no station has spoken yet");
  remember(shown.slot);
  $("clock").textContent = day(shown.at);
  light(shown.light.state, shown.light.text);
  drawFigures();
  drawCircuits($("circuits"), shown.circuits, shown.limits);
  drawBatteries($("batteries"), $("batteries-body"), shown);
  drawSessions($("sessions"), $("free"), shown, chosen, choose);
  drawStations($("stations"), shown.stations);
  drawAlarms($("alarms"), shown.alarms);
  drawBill($("bill"), $("bill-body"), shown.bill);
  drawChosen();
  if (performance.now() - charted > 2000) drawPictures();
}

// Of circuits, EVSEs and batteries only the rows and fields that differ are told; every other part is told whole.
function merged(known, told) {
  const rows = (part, news) => part.map((row) => ({ ...row, ...news.find((each) => each.id === row.id) }));
  const parts = Object.entries(told).map(([name, part]) => [name, ROWS.includes(name) ? rows(known[name], part) : part]);
  return { ...known, ...Object.fromEntries(parts) };
}

function drawFigures() {
  const back = shown.evses.filter((e) => e.measured_a < -0.5).length;
  const now = shown.prices.findLast(([s]) => s <= shown.at);
  const next = shown.evses.map((e) => e.session?.departure).filter((s) => s > shown.at).sort((a, b) => a - b)[0];
  pairs($("figures"), [["Site", kw(shown.power_w)], ["Charging", String(shown.evses.filter((e) => e.measured_a > 0.5).length)],
    ...(back ? [["Feeding back", String(back)]] : []),
    ...(now ? [["Price now", price(now[1])]] : []), ...(next ? [["Next leaves", clock(next)]] : [])]);
}

function drawPictures() {
  charted = performance.now();
  const which = $("which"), ids = shown.circuits.map((c) => c.id);
  if (which.options.length !== ids.length) which.replaceChildren(...ids.map((id) => make("option", {}, id)));
  drawChart($("chart"), $("prices"), history, shown, which.value);
  drawBatteryPlans($("batteries-body"), history, shown);
  drawHeat($("heat"), history, shown);
}

function remember(slot) {
  if (!slot) return;
  if (history.length && history[history.length - 1].at === slot.at) history.pop();
  history.push(slot);
  if (history.length > KEPT_SLOTS) history.shift();
}

function choose(evse) {
  chosen = evse;
  drawSessions($("sessions"), $("free"), shown, chosen, choose);
  drawChosen();
  $("h-why").focus();
}

function drawChosen() {
  const evse = shown.evses.find((each) => each.id === chosen);
  $("why").hidden = !evse;
  if (evse) drawWhy($("why-body"), evse, shown);
}

async function enter() {
  $("enter").showModal();
  await new Promise((done) => $("enter").addEventListener("close", done, { once: true }));
  keepToken($("token").value);
}

async function start() {
  for (;;) {
    try {
      site ??= (await ask("v1/sites"))[0]?.name;
      if (!site) return light("waiting", "there is no site here that you may see");
      const base = `v1/sites/${encodeURIComponent(site)}/page`;
      ({ history } = await ask(base));
      await follow(`${base}/events`, take, (error) => light("dead", `no word from the service: ${error.message}`));
    } catch (error) {
      if (!(error instanceof Refused)) light("dead", `no word from the service: ${error.message}`);
      else if (error.status === 401) await enter();
      else return light("dead", error.message);
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

explainHeat($("heat"), $("heat-said"));
wireOrders($("orders"), $("ask"), $("order-said"), () => ({ site, evse: chosen }));
$("which").addEventListener("change", drawPictures);
addEventListener("resize", () => shown?.decided && drawPictures());
start();
