// Every page works without this. It copies commands, remembers which tool is used, and suggests
// names while one types.

// Copy: without this the link leads to the command as text.
for (const link of document.querySelectorAll("[data-copy]")) {
  link.addEventListener("click", async (event) => {
    const text = link.closest(".command").querySelector("code").textContent;
    if (!navigator.clipboard) return; // not over TLS: follow the link
    event.preventDefault();
    const said = link.closest(".pull").querySelector(".copied");
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "Copied.";
    } catch {
      location.href = link.href;
      return;
    }
    setTimeout(() => { said.textContent = ""; }, 4000);
  });
}

// The tool that was chosen last is the one that is shown.
const tool = "gallery-tool";
const recall = (f) => { try { return f(localStorage); } catch { return null; } };
const last = recall((s) => s.getItem(tool));
for (const choice of document.querySelectorAll(".switch input")) {
  if (choice.value === last) choice.checked = true;
  choice.addEventListener("change", () => recall((s) => s.setItem(tool, choice.value)));
}

// Suggestions go into a datalist, which browsers show and read out by themselves.
for (const input of document.querySelectorAll("[data-suggest]")) {
  let list, timer, asked = "";
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const text = input.value.trim();
      if (text.length < 2 || text === asked) return;
      asked = text;
      const answer = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(text)}`).catch(() => null);
      if (!answer?.ok || input.value.trim() !== text) return;
      const [, names] = await answer.json();
      if (!list) {
        list = document.createElement("datalist");
        list.id = "suggestions";
        input.after(list);
        input.setAttribute("list", list.id);
      }
      list.replaceChildren(...names.map((name) => Object.assign(document.createElement("option"), { value: name })));
    }, 150);
  });
}

// Ctrl+K or ⌘K leads to the search.
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
    event.preventDefault();
    document.getElementById("q")?.focus();
  }
});
