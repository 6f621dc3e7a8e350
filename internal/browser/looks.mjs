// What is looked at on every page without touching it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const standards = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

// looks opens a page in light and dark. While it is open it is judged at both widths, and in light
// also under other circumstances; pictures of it are taken before anything has touched it.
export async function looks(page, tools) {
  const { visitor, fail } = tools;
  for (const colorScheme of ["light", "dark"]) {
    const context = await visitor({ colorScheme }, page.status);
    const tab = await context.newPage();
    await tab.goto(page.path);
    await picture(tab, page, `1280 ${colorScheme}`, tools);
    const tree = colorScheme === "light" && await tab.locator("body").ariaSnapshot();
    for (const width of [1280, 320]) {
      const where = `${colorScheme}, ${width} px`;
      await tab.setViewportSize({ width, height: 720 });
      if (width === 320) await picture(tab, page, `320 ${colorScheme}`, tools);
      for (const problem of await judge(tab)) fail(`axe, ${where}`, problem);
      await fits(tab, (text) => fail(`width, ${where}`, text));
      if (colorScheme === "dark") continue;
      // Text of twice the size, which WCAG asks for at the width of a desktop; at 320 px it is
      // what a very short-sighted visitor of a phone sees.
      await tab.evaluate(() => { document.documentElement.style.fontSize = "200%"; });
      await fits(tab, (text) => fail(`200 % text, ${width} px`, text));
      await tab.evaluate(() => { document.documentElement.style.fontSize = ""; });
    }
    if (colorScheme === "light") await lookAgain(tab, page, tree, tools);
    await context.close();
  }
}

// judge has axe look for violations. The policy of the site forbids to add a script element, so
// that axe comes by the debugger's door.
async function judge(tab) {
  if (!await tab.evaluate(() => "axe" in window)) await tab.evaluate(axe);
  const { violations } = await tab.evaluate((values) => window.axe.run(document, {
    runOnly: { type: "tag", values }, rules: { "target-size": { enabled: true } }, resultTypes: ["violations"],
  }), standards);
  return violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary} in ${n.html}`));
}

// fits checks that nothing is wider than the window, nor cut off.
async function fits(tab, tell) {
  const problems = await tab.evaluate(() => {
    const name = (el) => `${el.localName}${el.id && `#${el.id}`}${[...el.classList].map((c) => `.${c}`).join("")}`;
    const list = [], root = document.documentElement;
    if (root.scrollWidth > root.clientWidth) {
      const all = [...document.querySelectorAll("body *")];
      let wide = all.filter((el) => el.getBoundingClientRect().right > root.clientWidth + 0.5);
      if (!wide.length) wide = all.filter((el) => el.scrollWidth > el.clientWidth && el.clientWidth > 1 && !el.closest("thead, .hidden")).reverse(); // by its text
      list.push(`the page is ${root.scrollWidth} px wide, because of ${wide.slice(0, 5).map(name).join(", ")}`);
    }
    for (const el of document.querySelectorAll("body *")) {
      const style = getComputedStyle(el);
      if (el instanceof SVGElement || el instanceof HTMLInputElement || style.clipPath !== "none" || !el.checkVisibility() || el.closest("thead, .hidden")) continue;
      if (["hidden", "clip"].includes(style.overflowX) && el.scrollWidth > el.clientWidth + 1 && el.clientWidth > 1) list.push(`${name(el)} is cut off at the side`);
      if (["hidden", "clip"].includes(style.overflowY) && el.scrollHeight > el.clientHeight + 1 && style.webkitLineClamp === "none" && el.clientHeight > 1) list.push(`${name(el)} is cut off at its foot`);
    }
    return [...new Set(list)];
  });
  problems.forEach(tell);
}

// lookAgain compares a page with itself under other circumstances: on a narrow window, with the
// system's colours, with motion, and without JavaScript.
async function lookAgain(tab, page, tree, { visitor, fail }) {
  const debug = await tab.context().newCDPSession(tab);
  const narrow = await tables(debug);
  await tab.emulateMedia({ forcedColors: "active" });
  await fits(tab, (text) => fail("forced colours, 320 px", text));
  await tab.setViewportSize({ width: 1280, height: 720 });
  const wide = await tables(debug);
  if (wide !== narrow) fail("narrow", `tables are read out differently: ${wide} at 1280 px, ${narrow} at 320 px`);
  await fits(tab, (text) => fail("forced colours", text));
  for (const problem of await tab.evaluate(distinct)) fail("forced colours", problem);
  const moving = () => tab.evaluate(() => [...document.querySelectorAll("*")].filter((el) => {
    const style = getComputedStyle(el);
    return style.animationName !== "none" || style.transitionDuration !== "0s" || style.scrollBehavior === "smooth";
  }).length);
  if (await moving()) fail("reduced motion", `${await moving()} elements move all the same`);

  const context = await visitor({ javaScriptEnabled: false }, page.status);
  const bare = await context.newPage();
  await bare.goto(page.path);
  const other = await bare.locator("body").ariaSnapshot();
  if (tree !== other) fail("without JavaScript", `the accessibility tree is another:\n${difference(tree, other)}`);
  await context.close();
}

// tables counts what a screen reader is told of tables.
async function tables(debug) {
  const { nodes } = await debug.send("Accessibility.getFullAXTree");
  const roles = {};
  for (const n of nodes) {
    const role = n.ignored ? "" : n.role?.value ?? "";
    if (/table|row|cell|header$/i.test(role)) roles[role] = (roles[role] ?? 0) + 1;
  }
  return JSON.stringify(Object.fromEntries(Object.entries(roles).sort()));
}

// distinct tells what cannot be told apart where only the system's colours are left: controls need a
// border, and what is chosen a sign of it.
function distinct() {
  const list = [];
  const has = (style, side) => style[`border${side}Style`] !== "none" && parseFloat(style[`border${side}Width`]) >= 1;
  for (const el of document.querySelectorAll("button, input[type=search]")) {
    const style = getComputedStyle(el), around = getComputedStyle(el.parentElement);
    if (!has(style, "Top") && !has(around, "Top") && el.checkVisibility()) list.push(`${el.localName} ${el.textContent.trim()} has no border`);
  }
  for (const el of document.querySelectorAll(".switch input:checked + label, [aria-pressed=true], [aria-current]")) {
    const style = getComputedStyle(el);
    const other = el.parentElement.querySelector(":scope > label:not(:checked + label), :scope > [aria-pressed=false], :scope > a:not([aria-current])");
    const look = (s) => [s.outlineStyle, s.outlineWidth, s.borderBottomColor, s.backgroundColor].join();
    if (other && look(style) === look(getComputedStyle(other))) list.push(`${el.textContent.trim()} does not look chosen`);
  }
  return list;
}

function difference(a, b) {
  const [left, right] = [a.split("\n"), b.split("\n")];
  const at = left.findIndex((line, i) => line !== right[i]);
  return `line ${at + 1}:\n${left.slice(at, at + 5).join("\n")}\nbut without it\n${right.slice(at, at + 5).join("\n")}`;
}

// The budgets of a first view: requests, and bytes as they are transferred.
const budget = { requests: 6, all: 40_000, stylesheet: 14_000, script: 6_000 };

// weigh adds up what the first view of a page transfers.
export async function weigh(page, { visitor, fail, figure }) {
  const context = await visitor({}, page.status);
  const tab = await context.newPage();
  const requests = [];
  tab.on("requestfinished", (r) => requests.push(r));
  await tab.goto(page.path, { waitUntil: "networkidle" });
  const sum = { all: 0, document: 0, stylesheet: 0, script: 0, image: 0 };
  for (const r of requests) {
    const { responseBodySize, responseHeadersSize } = await r.sizes();
    sum[r.resourceType()] = (sum[r.resourceType()] ?? 0) + responseBodySize;
    sum.all += responseBodySize + responseHeadersSize;
  }
  figure(`first view: ${requests.length} requests, ${sum.all} bytes with headers: HTML ${sum.document}, CSS ${sum.stylesheet}, script ${sum.script}, images ${sum.image}`);
  if (requests.length > budget.requests) fail("weight", `${requests.length} requests: ${requests.map((r) => r.url()).join(" ")}`);
  for (const kind of ["all", "stylesheet", "script"]) {
    if (sum[kind] > budget[kind]) fail("weight", `${kind}: ${sum[kind]} bytes are more than ${budget[kind]}`);
  }
  await context.close();
}

// picture takes a picture of what is in the window, and for people of the whole page.
async function picture(tab, page, look, { plan }) {
  const file = `${page.name} ${look}.png`.replaceAll(" ", "-");
  const keep = page.picture && look !== "320 dark";
  if (!keep && !plan.full) return;
  // Images further down are loaded when one scrolls there.
  await tab.evaluate((all) => Promise.all([...document.images].map((image) => {
    if (!all && image.getBoundingClientRect().top > innerHeight) return null;
    image.loading = "eager";
    return image.decode().catch(() => null);
  })), Boolean(plan.full));
  if (keep) await tab.screenshot({ path: `${plan.pictures}/${file}`, animations: "disabled" });
  if (plan.full) await tab.screenshot({ path: `${plan.full}/${file}`, animations: "disabled", fullPage: true });
}
