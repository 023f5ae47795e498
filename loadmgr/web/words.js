// Figures and times as people read them, in the site's own time zone.

let zone = "UTC";
let currency = "";

export function speak(site) { zone = site.time_zone; currency = site.currency || ""; }

const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });

export const clock = (s) => (s == null ? "?" : format({ hour: "2-digit", minute: "2-digit" }).format(s * 1000));
export const day = (s) => format({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(s * 1000);
// A minus is one that screen readers read; what rounds to nothing has none.
const figure = (value) => String(value).replace("-", "−");
export const amps = (a) => (a == null ? "–" : `${figure(Number(a.toFixed(1)) || 0)} A`);
export const kw = (w) => (w == null ? "–" : `${figure((Math.round(w / 100) / 10 || 0).toFixed(1))} kW`);
export const percent = (ratio) => (ratio == null ? "–" : `${Math.round(100 * ratio)} %`);
// A current as words: below 0 it flows back.
export const flow = (a) => (a < -0.05 ? `feeds back ${amps(-a)}` : amps(a));
export const kwh = (wh) => (wh == null ? "?" : `${(wh / 1000).toFixed(1)}`);
export const money = (sum) => `${sum.toFixed(2)} ${currency}`;
export const price = (p) => `${(100 * p).toFixed(1)} ct/kWh`;

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// Makes an element: text is text, never markup, since stations and drivers choose it.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
