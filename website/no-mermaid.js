// In place of mermaid, where npm was not there to fetch it: diagrams are shown as their text.
window.mermaid = {
  initialize() {},
  async render(id, text) {
    const shown = document.createElement("pre");
    shown.textContent = text;
    return { svg: shown.outerHTML };
  },
};
