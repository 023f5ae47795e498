// Figures and times as people read them, in the site's own time zone.

let zone = "UTC";
let currency = "";

export function speak(site) { zone = site.time_zone; currency = site.currency || ""; }

const format = (options) => new Intl.DateTimeFormat("en-GB", { timeZone: zone, hourCycle: "h23", ...options });

export const clock = (s) => (s == null ? "?" : format({ hour: "2-digit", minute: "2-digit" }).format(s * 1000));
export const day = (s) => format({ weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(s * 1000);
export const amps = (a) => (a == null ? "–" : `${Number(a.toFixed(1))} A`);
export const kw = (w) => (w == null ? "–" : `${(w / 1000).toFixed(1)} kW`);
export const kwh = (wh) => (wh == null ? "?" : `${(wh / 1000).toFixed(1)}`);
export const money = (sum) => `${sum.toFixed(2)} ${currency}`;
export const price = (p) => `${(100 * p).toFixed(1)} ct/kWh`;

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
