// Looks at the pages of a plan, which comes as JSON on standard input, and prints what it finds:
// a line of JSON for each failure, figure, and page that was tried to its end.

import { readFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { chromium } from "playwright-core";
import { looks, weigh } from "./looks.mjs";
import { walk } from "./keyboard.mjs";
import { journeys } from "./journeys.mjs";

const plan = JSON.parse(readFileSync(0, "utf8"));
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const browser = await chromium.launch({ executablePath: plan.chromium });

// How long one page or journey may take, and how many are under way.
const patience = 90_000;
const atOnce = 3;

// A visitor has a browser of their own. What goes wrong in it by itself is a failure: messages
// in the console, errors of scripts, requests that fail or go to others.
async function visitor(fail, options = {}, expected = 200) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, baseURL: plan.origin, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(15_000);
  context.on("page", (page) => {
    page.on("console", (m) => {
      if (!["error", "warning"].includes(m.type())) return;
      // Beside a page that is no HTML, and cannot name an icon, the browser asks for this one.
      if (m.location().url === `${plan.origin}/favicon.ico`) return;
      if (expected !== 200 && m.location().url === page.url() && m.text().includes(`status of ${expected}`)) return;
      fail("console", m.text());
    });
    page.on("pageerror", (e) => fail("script", e.stack ?? String(e)));
    page.on("request", (r) => {
      if (new URL(r.url()).origin !== plan.origin) fail("requests", `to another site: ${r.url()}`);
    });
    page.on("requestfailed", (r) => fail("requests", `${r.failure()?.errorText}: ${r.url()}`));
    page.on("response", (r) => {
      const wanted = r.request().isNavigationRequest() ? expected : 200;
      if (r.status() !== wanted && (r.status() < 300 || r.status() > 399)) fail("requests", `${r.status()}: ${r.url()}`);
    });
  });
  return context;
}

// task gives f what it needs, and a time limit.
async function task(name, f) {
  const open = [];
  const tools = {
    plan,
    name,
    fail: (check, failure) => print({ page: name, check, failure: String(failure).slice(0, 2000) }),
    figure: (figure) => print({ page: name, figure }),
    visitor: async (options, expected) => {
      const context = await visitor(tools.fail, options, expected);
      open.push(context);
      return context;
    },
  };
  let timer;
  try {
    await Promise.race([
      f(tools),
      new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`it took more than ${patience} ms`)), patience); }),
    ]);
    print({ done: name });
  } catch (err) {
    tools.fail("run", err.stack ?? err);
  } finally {
    clearTimeout(timer);
    await Promise.all(open.map((c) => c.close()));
  }
}

const tasks = [];
for (const page of plan.pages) {
  page.status ||= 200;
  tasks.push(() => task(page.name, async (tools) => {
    await looks(page, tools);
    await walk(page, tools);
    if (page.weighed) await weigh(page, tools);
  }));
}
for (const [name, journey] of Object.entries(journeys)) tasks.push(() => task(name, journey));

// What pictures depend on besides the pages.
async function madeBy() {
  const page = await browser.newPage({ deviceScaleFactor: 1 });
  const drawn = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 700, height: 200 });
    const pen = canvas.getContext("2d");
    ["16px system-ui", "bold 22px system-ui", "15px monospace", "16px sans-serif"].forEach((font, i) => {
      pen.font = font;
      pen.fillText("Images that anyone can pull 0123 فانوس הגרסה …×·", 4, 40 * (i + 1));
    });
    return canvas.toDataURL();
  });
  await page.close();
  return { chromium: browser.version(), glyphs: createHash("sha256").update(drawn).digest("hex").slice(0, 16) };
}

print({ madeBy: await madeBy() });
await Promise.all(Array.from({ length: atOnce }, async () => {
  for (let next = tasks.shift(); next; next = tasks.shift()) await next();
}));
await browser.close();
