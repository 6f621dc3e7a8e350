// Walks through a page by keyboard.

// walk presses Tab until the page ends; where the page has pictures, at both widths. Each stop must
// be visible, show that it has the focus, and come in the order of the document; and all that can
// be used is a stop.
export async function walk(page, { visitor, fail }) {
  const context = await visitor({}, page.status);
  const tab = await context.newPage();
  for (const width of page.picture ? [1280, 320] : [1280]) {
    await tab.setViewportSize({ width, height: 720 });
    await tab.goto(page.path);
    const tell = (text) => fail(`keyboard, ${width} px`, text);
    const stops = await tab.evaluate(findStops);
    let last = -1;
    for (let i = 0; i <= stops.length; i++) {
      await tab.keyboard.press("Tab");
      const at = await tab.evaluate(inspect);
      if (at.index === undefined) break; // the page is over
      if (at.index < 0) {
        tell(`${at.name} is no stop that was expected`);
        break;
      }
      if (at.index <= last) {
        if (at.index === 0) break; // around
        tell(`after ${stops[last]} comes ${stops[at.index]}, which stands before it`);
      }
      if (at.index > last + 1) tell(`${stops.slice(last + 1, at.index).join(", ")} is no stop`);
      at.problems.forEach((text) => tell(`${stops[at.index]}: ${text}`));
      last = at.index;
    }
    if (last !== stops.length - 1) tell(`it ends at ${stops[last]}, and not at ${stops[stops.length - 1]}`);
  }
  await context.close();
}

// findStops remembers what can be used, in the order of the document, and returns its names.
function findStops() {
  const list = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")].filter((el) => {
    if (el.disabled || el.type === "hidden" || el.tabIndex < 0 || !el.checkVisibility()) return false;
    // Of a group of radio buttons the chosen one is the stop, or the first where none is.
    if (el.type !== "radio") return true;
    const group = [...document.getElementsByName(el.name)].filter((r) => r.form === el.form);
    return el.checked || (el === group[0] && !group.some((r) => r.checked));
  });
  window.stops = list;
  return list.map((el) => `${el.localName} ${(el.textContent.trim() || el.labels?.[0]?.textContent.trim() || el.name || el.outerHTML).slice(0, 50)}`);
}

// inspect looks at what has the focus. For a control that is hidden behind its label, the label
// is what one sees.
function inspect() {
  const el = document.activeElement;
  if (!el || el === document.body || el === document.documentElement) return {};
  const index = window.stops.indexOf(el), problems = [];
  const shown = getComputedStyle(el).opacity === "0" ? el.labels[0] : el;
  const style = getComputedStyle(shown);
  const width = parseFloat(style.outlineWidth), offset = parseFloat(style.outlineOffset);
  if (style.outlineStyle === "none" || width < 2) problems.push("nothing shows that it has the focus");
  const box = [...shown.getClientRects()].find((r) => r.width > 0 && r.height > 0);
  if (!box) return { index, name: el.outerHTML, problems: ["it takes no room"] };
  const x = box.left + box.width / 2, y = box.top + box.height / 2;
  if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) {
    problems.push(`it is outside of the window, at ${Math.round(x)}, ${Math.round(y)}`);
  } else {
    const hit = document.elementFromPoint(x, y);
    if (!shown.contains(hit)) problems.push(`it is covered by ${hit?.outerHTML.slice(0, 80)}`);
  }
  // An outline outside of the box must not be cut off by what the box is in.
  const reach = Math.max(0, offset + width);
  for (let a = shown.parentElement; reach && a && a !== document.body; a = a.parentElement) {
    if (getComputedStyle(a).overflowX === "visible") continue;
    const frame = a.getBoundingClientRect();
    if (box.left - reach < frame.left || box.right + reach > frame.right || box.top - reach < frame.top || box.bottom + reach > frame.bottom) {
      problems.push(`what shows the focus is cut off by ${a.localName}.${a.className}`);
    }
  }
  return { index, name: el.outerHTML.slice(0, 80), problems };
}
