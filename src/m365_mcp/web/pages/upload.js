"use strict";
const byId = id => document.getElementById(id);
const [form, drop, file, button, bar, message] = ["form", "drop", "file", "button", "bar", "message"].map(byId);
const expectedSize = form.dataset.size;

function show(text, isError) {
  message.textContent = text;
  message.className = isError ? "error" : "";
}
function finish(text, isError, canRetry) {
  bar.hidden = true;
  file.disabled = button.disabled = !canRetry;
  show(text, isError);
}
function jsonOf(request) { try { return JSON.parse(request.responseText); } catch { return {}; } }
function showResponse(request) {
  const response = jsonOf(request);
  if (request.status === 201)
    return finish(`${response.name} has arrived: ${response.size.toLocaleString()} bytes, SHA-256 ${response.sha256}. ` +
      "You can close this page and tell your assistant.", false, false);
  finish(response.error_description || `The server answered ${request.status}.`, true,
    ![404, 410].includes(request.status));
}
function upload() {
  const chosen = file.files[0];
  if (!chosen) return show("Choose a file first.", true);
  if (expectedSize !== "" && chosen.size !== Number(expectedSize))
    return show(`This is not the expected file: it has ${chosen.size.toLocaleString()} bytes instead of ` +
      `${Number(expectedSize).toLocaleString()}.`, true);
  const request = new XMLHttpRequest();
  request.upload.onprogress = event => {
    bar.value = event.loaded / event.total;
    show(`Uploading, ${Math.floor(100 * bar.value)} %`, false);
  };
  request.upload.onload = () => show("Attaching the file…", false);
  request.onload = () => showResponse(request);
  request.onerror = () => finish("The connection broke. Try again with the same link.", true, true);
  file.disabled = button.disabled = true;
  bar.hidden = false;
  bar.value = 0;
  show("Uploading, 0 %", false);
  request.open("PUT", location.pathname);
  request.setRequestHeader("Content-Type", "application/octet-stream");
  request.send(chosen);
}
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
