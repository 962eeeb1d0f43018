// Tells what a reader sees of the document in a frame. The frame runs no scripts; this runs in the page around it.
// It reads first, and then changes the document (markers, alternative texts) so that innerText tells all that is seen.
(() => {
  "use strict";
  const WHITE = [255, 255, 255, 1];
  const INVISIBLE = 1.1; // a contrast below it cannot be seen; 1:1 is the same colour

  const colourOf = (text) => {
    const numbers = (text.match(/[\d.]+%?/g) || []).map((one) => parseFloat(one) * (one.endsWith("%") ? 0.01 : 1));
    if (text.startsWith("color(srgb")) return [...numbers.slice(0, 3).map((one) => one * 255), numbers[3] ?? 1];
    return text.startsWith("rgb") ? [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1] : null;
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const luminance = (colour) => {
    const [red, green, blue] = colour.slice(0, 3).map((part) => {
      const value = part / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  // WCAG 2.2, "contrast ratio".
  const contrastOf = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };

  // The layers that one element paints behind its text; a gradient counts as its first colour, a picture as unknown.
  const layersOf = (style) => {
    const plain = colourOf(style.backgroundColor) || [0, 0, 0, 0];
    if (style.backgroundImage === "none" || style.webkitBackgroundClip === "text") return [plain];
    const gradient = style.backgroundImage.match(/gradient\(.*?(rgba?\([^)]*\)|color\([^)]*\))/);
    return [plain, gradient ? colourOf(gradient[1]) : null];
  };

  class Sight {
    constructor(frame) {
      this.document = frame.contentDocument;
      this.window = frame.contentWindow;
      this.known = new Map();
    }
    style(element, pseudo) {
      return this.window.getComputedStyle(element, pseudo);
    }
    // What an element's text stands on, and whether any of its ancestors hides it.
    of(element) {
      if (!element) return { ground: WHITE, opacity: 1, hidden: false, clips: [] };
      if (!this.known.has(element)) this.known.set(element, this.compute(element));
      return this.known.get(element);
    }
    compute(element) {
      const style = this.style(element);
      const above = this.of(element.parentElement);
      const opacity = above.opacity * parseFloat(style.opacity);
      let ground = above.ground;
      for (const layer of layersOf(style)) {
        if (layer === null) ground = null;
        else if (layer[3] === 1) ground = layer;
        else if (ground) ground = over(layer, ground);
      }
      const cut = style.position === "absolute" || style.position === "fixed" ? style.clip : "auto";
      const inset = style.clipPath.match(/^inset\(([\d.]+)%/);
      const nothingLeft = cut !== "auto" && Math.max(...cut.match(/-?[\d.]+(?=px)/g).map(Number)) <= 1;
      const hidden = above.hidden || nothingLeft || (inset !== null && parseFloat(inset[1]) >= 50);
      const clips = /hidden|clip/.test(style.overflow) ? [...above.clips, element] : above.clips;
      return { ground, opacity, hidden, clips, style };
    }
    inkOf(sight) {
      const fill = colourOf(sight.style.webkitTextFillColor) || colourOf(sight.style.color) || [0, 0, 0, 1];
      const painted = sight.style.webkitBackgroundClip === "text" && fill[3] === 0;
      const gradient = sight.style.backgroundImage.match(/gradient\(.*?(rgba?\([^)]*\)|color\([^)]*\))/);
      return painted && gradient ? colourOf(gradient[1]) : fill;
    }
    // The rectangle of a piece of text, or null when nobody can see it there.
    place(range, sight) {
      const rects = [...range.getClientRects()].filter((rect) => rect.width >= 1 && rect.height >= 1);
      if (rects.length === 0) return null;
      const box = range.getBoundingClientRect();
      const [x, y] = [this.window.scrollX, this.window.scrollY];
      if (box.right + x <= 0 || box.bottom + y <= 0 || box.left + x > 3000) return null;
      for (const element of sight.clips) {
        const clip = element.getBoundingClientRect();
        const width = Math.min(box.right, clip.right) - Math.max(box.left, clip.left);
        const height = Math.min(box.bottom, clip.bottom) - Math.max(box.top, clip.top);
        if (width < 2 || height < 4) return null;
      }
      return box;
    }
    see(node) {
      const sight = this.of(node.parentElement);
      if (sight.hidden || sight.opacity < 0.1 || sight.style.visibility !== "visible") return null;
      if (parseFloat(sight.style.fontSize) < 3) return null;
      const range = this.document.createRange();
      range.selectNodeContents(node);
      const box = this.place(range, sight);
      if (!box) return null;
      const ink = this.inkOf(sight);
      const contrast = sight.ground && contrastOf(over([...ink.slice(0, 3), ink[3] * sight.opacity], sight.ground), sight.ground);
      if (contrast !== null && contrast < INVISIBLE) return null;
      return { text: node.data, contrast, box: [box.left, box.top, box.right, box.bottom] };
    }
  }

  const textNodes = (root) => {
    const walker = root.ownerDocument.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found;
  };

  const alphabetic = (number) => String.fromCharCode(96 + number);
  const ordinalOf = (item) => {
    const list = item.parentElement;
    const items = [...list.children].filter((one) => one.localName === "li");
    const step = list.reversed ? -1 : 1;
    let number = list.localName === "ol" ? (list.hasAttribute("start") ? list.start : list.reversed ? items.length : 1) : 1;
    for (const one of items) {
      if (one.hasAttribute("value")) number = one.value;
      if (one === item) return number;
      number += step;
    }
    return number;
  };
  const markerOf = (item, style) => {
    const number = ordinalOf(item);
    const kinds = {
      "none": "", "decimal": `${number}.`, "decimal-leading-zero": `${number}.`.padStart(3, "0"),
      "lower-alpha": `${alphabetic(number)}.`, "lower-latin": `${alphabetic(number)}.`,
      "upper-alpha": `${alphabetic(number).toUpperCase()}.`, "upper-latin": `${alphabetic(number).toUpperCase()}.`,
    };
    return kinds[style.listStyleType] ?? (style.listStyleType.startsWith('"') ? JSON.parse(style.listStyleType).trim() : "•");
  };

  // Text that Chromium shows, but innerText leaves out.
  const additions = (sight) => {
    const added = [];
    const add = (element, text, place) => text && added.push(() => element[place](text));
    for (const item of sight.document.querySelectorAll("li")) {
      const style = sight.style(item);
      const first = textNodes(item).find((node) => node.data.trim());
      if (style.display !== "list-item" || !first || first.parentElement.closest("li") !== item) continue;
      const marker = markerOf(item, style);
      const isTask = /^\s*[☑☐]/.test(first.data) || item.querySelector("input[type=checkbox]"); // the box is its marker
      if (marker && !isTask) added.push(() => first.data && (first.data = `${marker} ${first.data.trimStart()}`));
    }
    for (const element of sight.document.querySelectorAll("body *")) {
      for (const [pseudo, place] of [["::before", "prepend"], ["::after", "append"]]) {
        const content = sight.style(element, pseudo).content;
        const shown = element.localName !== "q" && element.getClientRects().length > 0;
        if (shown && content.startsWith('"') && !/^"\s*"$/.test(content)) add(element, JSON.parse(content.replace(/\\(?!")/g, "\\\\")), place);
      }
    }
    for (const image of sight.document.querySelectorAll("img")) {
      const style = sight.style(image);
      const attached = /^data:/i.test(image.getAttribute("src") || "");
      const shown = style.display !== "none" && style.visibility === "visible" && !sight.of(image).hidden;
      if (shown) add(image, attached ? "\uFFFC" : image.alt, "replaceWith");
    }
    for (const control of sight.document.querySelectorAll("input, textarea, select")) {
      const ticked = control.checked ? "☑" : "☐";
      const typed = { checkbox: ticked, radio: ticked, hidden: "", password: "" }[control.type] ?? control.value;
      if (control.getClientRects().length > 0) add(control, `${typed} `, "replaceWith");
    }
    // What stands above the line stands in brackets, where a mail has no place above it.
    for (const reading of sight.document.querySelectorAll("ruby rt")) {
      added.push(() => reading.prepend("（"), () => reading.append("）"));
    }
    return added;
  };

  const seeFrame = (frame) => {
    const sight = new Sight(frame);
    const body = sight.document.body;
    sight.document.querySelectorAll("details").forEach((one) => (one.open = true));
    const runs = [];
    const unseen = [];
    for (const node of textNodes(body)) {
      if (!node.data.trim()) continue;
      const seen = sight.see(node);
      if (seen) runs.push(seen);
      else unseen.push(node);
    }
    const added = additions(sight);
    const layouts = [...sight.document.querySelectorAll('table[role="presentation"], table[role="none"]')];
    unseen.forEach((node) => (node.data = ""));
    added.forEach((add) => add());
    const links = [...sight.document.querySelectorAll("a[href]")].map((link) => link.getAttribute("href"));
    const presentation = layouts.filter((table) => table.innerText.trim()).length;
    return { text: body.innerText, runs, links, presentation };
  };

  const open = (html, width, parent) =>
    new Promise((resolve) => {
      const frame = document.createElement("iframe");
      frame.sandbox = "allow-same-origin";
      frame.style.cssText = `width:${width}px;height:900px;border:0;background:#fff;color-scheme:light`;
      frame.addEventListener("load", () => resolve(frame), { once: true });
      frame.srcdoc = html;
      parent.append(frame);
    });

  window.see = async ([documents, width]) => {
    document.body.replaceChildren();
    const frames = await Promise.all(documents.map((html) => open(html, width, document.body)));
    return JSON.stringify(frames.map(seeFrame)); // one text crosses to Python faster than thousands of values
  };

  // Shows each of the documents under its title, for a screenshot; tells how high all of it is.
  window.show = async (panels) => {
    document.body.replaceChildren();
    const shown = panels.map(async ({ title, html, width, height }) => {
      const panel = document.createElement("section");
      panel.append(title);
      document.body.append(panel);
      const frame = await open(html, width, panel);
      frame.style.height = "40px"; // a document is as high as its frame at least
      frame.style.height = `${Math.min(frame.contentDocument.documentElement.scrollHeight, height)}px`;
    });
    await Promise.all(shown);
    return document.documentElement.getBoundingClientRect().height;
  };
})();
