"use strict";
const byId = id => document.getElementById(id);
const [form, drop, file, button, bar, message, expected, waiting, expiry] =
  ["form", "drop", "file", "button", "bar", "message", "expected", "waiting", "expiry"].map(byId);
const expectedSize = form.dataset.size, texts = JSON.parse(form.dataset.texts);
const fill = (text, values) => text.replace(/%\((\w+)\)s/g, (_, name) => values[name]);

function sizeOf(bytes) {
  // As Windows and Outlook count: 1 KB is 1,024 bytes.
  const [unit, divisor] = bytes < 1024 ? ["byte", 1] : bytes < 1024 ** 2 ? ["kilobyte", 1024] : ["megabyte", 1024 ** 2];
  const digits = bytes / divisor < 10 && divisor > 1 ? 1 : 0;
  const options = { style: "unit", unit, unitDisplay: unit === "byte" ? "long" : "short", maximumFractionDigits: digits };
  return (bytes / divisor).toLocaleString(document.documentElement.lang, options);
}
function differing(one, other) {
  // Two sizes that look equal are shown in bytes, so that the sentence is not absurd.
  const exact = bytes => bytes.toLocaleString(document.documentElement.lang, { style: "unit", unit: "byte", unitDisplay: "long" });
  return sizeOf(one) === sizeOf(other) ? [exact(one), exact(other)] : [sizeOf(one), sizeOf(other)];
}
function show(text, kind = "") {
  message.textContent = text;
  message.className = text && `note ${kind}`;
}
function finish(text, kind, canRetry) {
  bar.hidden = true;
  file.disabled = button.disabled = !canRetry;
  show(text, kind);
}
function jsonOf(request) { try { return JSON.parse(request.responseText); } catch { return {}; } }
function showResponse(request) {
  const response = jsonOf(request);
  if (request.status !== 201)
    return finish(response.message || fill(texts.failed, { status: request.status }), "bad", ![404, 410].includes(request.status));
  drop.hidden = waiting.hidden = true;
  finish("", "", false);
  message.className = "note good done";
  const tick = document.createElement("span"), rest = document.createElement("span");
  tick.className = "tick";
  tick.setAttribute("aria-hidden", "true");
  tick.textContent = "✓";
  rest.textContent = fill(texts.done, { file: response.name, size: sizeOf(response.size) });
  message.append(tick, rest);
}
function progress(begun, loaded, total) {
  const part = loaded / total, seconds = (Date.now() - begun) / 1000 / part * (1 - part);
  const [sent, all] = [sizeOf(loaded), sizeOf(total)];
  if (part < .02 || !Number.isFinite(seconds)) return fill(texts.going, { sent, all });
  const [text, count] = seconds < 90 ? [texts.seconds, Math.max(1, Math.round(seconds))] : [texts.minutes, Math.round(seconds / 60)];
  return fill(text, { sent, all, count });
}
function upload() {
  const chosen = file.files[0], begun = Date.now();
  if (!chosen) return show(texts.choose, "bad");
  if (expectedSize !== "" && chosen.size !== Number(expectedSize)) {
    const [found, wanted] = differing(chosen.size, Number(expectedSize));
    return show(fill(texts.other, { found, expected: wanted }), "bad");
  }
  const going = (sent, all) => show(progress(begun, sent, all));
  const request = new XMLHttpRequest();
  request.upload.onprogress = event => {
    bar.value = event.loaded / event.total;
    going(event.loaded, event.total);
  };
  request.upload.onload = () => show(texts.attaching);
  request.onload = () => showResponse(request);
  request.onerror = () => finish(texts.broken, "bad", true);
  file.disabled = button.disabled = true;
  bar.hidden = false;
  bar.value = 0;
  going(0, chosen.size);
  request.open("PUT", location.pathname + location.search);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(chosen);
}
if (expectedSize !== "") {
  expected.textContent = fill(expected.dataset.text, { size: sizeOf(Number(expectedSize)) });
  expected.hidden = false;
}
// The time by the clock of this device stays right, however long the page is open.
const end = new Date(Date.now() + Number(expiry.dataset.seconds) * 1000);
const time = end.toLocaleTimeString(document.documentElement.lang, { hour: "numeric", minute: "2-digit" });
expiry.textContent = fill(expiry.dataset.text, { time });
expiry.hidden = false;
form.addEventListener("submit", event => { event.preventDefault(); upload(); });
for (const name of ["dragenter", "dragover"])
  document.addEventListener(name, event => { event.preventDefault(); drop.classList.add("over"); });
for (const name of ["dragleave", "drop"])
  document.addEventListener(name, event => { event.preventDefault(); drop.classList.remove("over"); });
document.addEventListener("drop", event => {
  if (file.disabled || !event.dataTransfer.files.length) return;
  file.files = event.dataTransfer.files;
  upload();
});
