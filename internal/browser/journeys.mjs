// What visitors do, by keyboard only.

import assert from "node:assert/strict";

const repository = "/lanternworks/beacon";

// reach presses Tab until an element has the focus.
async function reach(tab, selector) {
  for (let i = 0; i < 200; i++) {
    await tab.keyboard.press("Tab");
    if (await tab.evaluate((s) => document.activeElement?.matches(s), selector)) return;
  }
  throw new Error(`Tab does not lead to ${selector}`);
}

const focused = (tab) => tab.evaluate(() => document.activeElement?.id || document.activeElement?.textContent.trim());
const background = (tab) => tab.evaluate(() => getComputedStyle(document.body).backgroundColor);
const light = "rgb(246, 247, 249)", dark = "rgb(14, 17, 22)";

// open returns a page of a new visitor.
async function open({ visitor }, path, options) {
  const context = await visitor(options);
  const tab = await context.newPage();
  await tab.goto(path);
  return tab;
}

// follow presses Enter and waits until another page is there.
async function follow(tab) {
  await Promise.all([tab.waitForEvent("framenavigated"), tab.keyboard.press("Enter")]);
  await tab.waitForLoadState();
}

// Each is tried with a visitor of its own.
export const journeys = {
  "journey: skip to the content": async (tools) => {
    const tab = await open(tools, repository);
    await tab.keyboard.press("Tab");
    assert.equal(await focused(tab), "Skip to the content");
    await tab.keyboard.press("Enter");
    assert.equal(await focused(tab), "main");
    await tab.keyboard.press("Tab");
    assert.ok(await tab.evaluate(() => document.getElementById("main").contains(document.activeElement)), "the next stop is not in the content");
  },

  "journey: choose a tool": async (tools) => {
    for (const javaScriptEnabled of [true, false]) {
      const tab = await open(tools, repository, { javaScriptEnabled });
      const visible = () => tab.locator(".panel:visible").evaluateAll((l) => l.map((p) => p.dataset.with));
      await reach(tab, ".switch input");
      assert.deepEqual(await visible(), ["docker"]);
      await tab.keyboard.press("ArrowRight");
      assert.deepEqual(await visible(), ["podman"]);
      await tab.keyboard.press("ArrowRight");
      await tab.keyboard.press("ArrowRight");
      assert.deepEqual(await visible(), ["ctr"]);
      assert.equal(await tab.evaluate(() => getComputedStyle(document.activeElement.labels[0]).outlineStyle), "solid");
      await tab.keyboard.press("ArrowLeft");
      assert.deepEqual(await visible(), ["nerdctl"]);
      // Each tool has a panel.
      for (const id of await tab.locator(".switch input").evaluateAll((l) => l.map((i) => i.value))) {
        await tab.locator(`label[for="with-${id}"]`).click();
        assert.deepEqual(await visible(), [id]);
      }
      if (!javaScriptEnabled) continue;
      await tab.goto("/lanternworks/old-lamp"); // the choice is remembered
      assert.deepEqual(await visible(), ["dockerfile"]);
      await tab.goto("/lanternworks/charts/beacon"); // which does not have it
      assert.deepEqual(await visible(), ["helm-install"]);
    }
  },

  "journey: pin by digest": async (tools) => {
    const tab = await open(tools, repository, { javaScriptEnabled: false });
    await reach(tab, ".panel summary");
    const details = tab.locator(".panel:visible details");
    assert.equal(await details.getAttribute("open"), null);
    await tab.keyboard.press("Enter");
    assert.equal(await details.getAttribute("open"), "");
    assert.match(await details.locator("pre").innerText(), /^docker pull registry\.example\.com\/lanternworks\/beacon:2\.1\.0@sha256:[0-9a-f]{64}$/);
  },

  "journey: search": async (tools) => {
    for (const path of ["/", repository, "/-/search"]) {
      const tab = await open(tools, path, { javaScriptEnabled: false });
      await reach(tab, "#q");
      await tab.keyboard.type("beacon");
      await follow(tab);
      assert.equal(new URL(tab.url()).search, "?q=beacon");
      assert.equal(await tab.getByRole("heading", { level: 1 }).innerText(), "Search: beacon");
      assert.match(await tab.getByRole("status").innerText(), /^\d+ repositories/);
    }
  },

  "journey: filter": async (tools) => {
    for (const width of [1280, 320]) {
      const tab = await open(tools, "/-/search?q=beacon", { javaScriptEnabled: false, viewport: { width, height: 800 } });
      if (width === 320) { // where they are folded
        await reach(tab, ".fold > summary");
        await tab.keyboard.press("Enter");
      }
      await reach(tab, '.filters input[name="type"]');
      await tab.keyboard.press("Space");
      await reach(tab, ".filters button");
      await follow(tab);
      assert.equal(await tab.locator(".filters input[name=type]:checked").count(), 1);
      await reach(tab, 'a[aria-label^="Remove the filter"]');
      await follow(tab);
      assert.equal(await tab.locator(".filters input[name=type]:checked").count(), 0);
      assert.equal(await tab.locator("#q").inputValue(), "beacon");
    }
  },

  "journey: paste a reference": async (tools) => {
    const tab = await open(tools, "/", { javaScriptEnabled: false });
    await reach(tab, "#q");
    await tab.keyboard.type("docker pull registry.example.com/lanternworks/beacon:2.0.1");
    await follow(tab);
    assert.equal(new URL(tab.url()).pathname, `${repository}/-/tag/2.0.1`);
  },

  "journey: choose a theme": async (tools) => {
    for (const javaScriptEnabled of [true, false]) {
      const tab = await open(tools, `${repository}/-/tags?filter=2`, { javaScriptEnabled, colorScheme: "dark" });
      assert.equal(await background(tab), dark);
      await reach(tab, '.theme button[value="light"]');
      await follow(tab);
      assert.equal(new URL(tab.url()).pathname + new URL(tab.url()).search, `${repository}/-/tags?filter=2`);
      assert.equal(await background(tab), light);
      assert.equal(await tab.locator('[aria-pressed="true"]').innerText(), "Light");
      await tab.goto("/-/help");
      assert.equal(await background(tab), light, "the choice is forgotten");
      await tab.emulateMedia({ colorScheme: "light" });
      await reach(tab, '.theme button[value="dark"]');
      await follow(tab);
      assert.equal(await background(tab), dark);
      await reach(tab, '.theme button[value="auto"]');
      await follow(tab);
      assert.equal(await background(tab), light);
      await tab.emulateMedia({ colorScheme: "dark" });
      assert.equal(await background(tab), dark);
    }
  },

  "journey: copy": async (tools) => {
    const tab = await open(tools, repository, { permissions: ["clipboard-read", "clipboard-write"] });
    await reach(tab, "a.copy");
    await tab.keyboard.press("Enter");
    await tab.getByText("Copied.").waitFor();
    assert.equal(await tab.evaluate(() => navigator.clipboard.readText()), "docker pull registry.example.com/lanternworks/beacon:2.1.0");
    assert.equal(new URL(tab.url()).pathname, repository);
  },

  "journey: copy without JavaScript": async (tools) => {
    const tab = await open(tools, repository, { javaScriptEnabled: false });
    await reach(tab, "a.copy");
    await follow(tab);
    assert.equal(await tab.evaluate(() => document.contentType), "text/plain");
    assert.equal((await tab.locator("body").innerText()).trim(), "docker pull registry.example.com/lanternworks/beacon:2.1.0");
  },

  "journey: suggestions": async (tools) => {
    const tab = await open(tools, "/");
    await reach(tab, "#q");
    await tab.keyboard.type("beac");
    const options = tab.locator("datalist#suggestions option");
    await options.first().waitFor({ state: "attached" });
    assert.equal(await tab.locator("#q").getAttribute("list"), "suggestions");
    assert.ok((await options.evaluateAll((l) => l.map((o) => o.value))).includes("lanternworks/beacon"));
    // They follow what one types.
    const answer = tab.waitForResponse((r) => r.url().endsWith("/-/suggest?q=nightly"));
    await tab.locator("#q").press("Control+a");
    await tab.keyboard.type("nightly");
    const [, names] = await (await answer).json();
    assert.ok(names.includes("lanternworks/nightly"));
    await tab.locator(`datalist option[value="lanternworks/nightly"]`).waitFor({ state: "attached" });
    assert.deepEqual(await options.evaluateAll((l) => l.map((o) => o.value)), names);
  },

  "journey: to the search by Ctrl+K": async (tools) => {
    for (const path of ["/", repository]) {
      const tab = await open(tools, path);
      for (const key of ["k", "/", "s", "?"]) await tab.keyboard.press(key); // single keys do nothing
      assert.notEqual(await focused(tab), "q");
      await tab.keyboard.press("Control+k");
      assert.equal(await focused(tab), "q");
    }
  },
};
