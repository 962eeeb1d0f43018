// Keeps the mailbox page up to date: at every event the list is fetched anew; the open message stays as it is.
(() => {
  "use strict";
  const body = document.body;
  const live = document.getElementById("live");

  const refresh = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const list = document.getElementById("list");
    const focused = document.activeElement?.getAttribute("href");
    const known = new Set([...list.querySelectorAll(".rows a")].map((link) => link.dataset.id));
    const next = document.importNode(fresh.getElementById("list"), true);
    const arrived = [...next.querySelectorAll(".rows a")].filter((link) => !known.has(link.dataset.id));
    arrived.forEach((link) => link.parentElement.classList.add("new"));
    list.replaceWith(next);
    body.dataset.revision = fresh.body.dataset.revision;
    if (focused) document.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    if (body.classList.contains("listing")) {
      document.getElementById("reading").replaceWith(document.importNode(fresh.getElementById("reading"), true));
    }
    if (arrived.length > 0) {
      live.textContent = `New mail: ${arrived[0].querySelector(".subject").textContent}`;
    }
  };

  // The browser reconnects by itself; the first event after that tells what was missed.
  const source = new EventSource("/events");
  source.addEventListener("mail", (event) => {
    if (JSON.parse(event.data).revision !== body.dataset.revision) refresh();
  });
})();
