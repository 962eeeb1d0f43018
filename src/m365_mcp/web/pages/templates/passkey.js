"use strict";
// Asks the browser for a passkey when the person presses the button, and sends its answer with the form.
const [form, button, message] = ["ceremony", "confirm", "message"].map(id => document.getElementById(id));
const texts = JSON.parse(form.dataset.texts), isNew = form.dataset.ceremony === "create";
const bytesOf = text => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), one => one.charCodeAt(0));
const textOf = bytes =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

function show(text, kind = "") {
  message.textContent = text;
  message.className = text && `note ${kind}`;
}
function read(asked) {
  const known = list => (list || []).map(one => ({ ...one, id: bytesOf(one.id) }));
  const options = { ...asked, challenge: bytesOf(asked.challenge) };
  if (!isNew) return { ...options, allowCredentials: known(asked.allowCredentials) };
  return { ...options, user: { ...asked.user, id: bytesOf(asked.user.id) }, excludeCredentials: known(asked.excludeCredentials) };
}
function write(found) {
  const { response } = found, answer = { clientDataJSON: textOf(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"])
    if (response[name]) answer[name] = textOf(response[name]);
  if (response.getTransports) answer.transports = response.getTransports();
  return JSON.stringify({ id: found.id, rawId: textOf(found.rawId), type: found.type, response: answer });
}
async function answer() {
  const body = new URLSearchParams(new FormData(form));
  const asked = await fetch(form.dataset.challenge, { method: "POST", body });
  const found = await asked.json();
  if (!asked.ok) {
    show(found.message || texts.failed, "bad");
    return null;
  }
  const publicKey = read(found);
  return isNew ? navigator.credentials.create({ publicKey }) : navigator.credentials.get({ publicKey });
}
function add(name, value) {
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name, value });
  form.append(field);
}
async function confirm() {
  button.disabled = true;
  show(texts.waiting);
  try {
    const found = await answer();
    if (found) {
      add("decision", button.value);
      add("answer", write(found));
      form.submit();
      return;
    }
  } catch (problem) {
    const kinds = { NotAllowedError: texts.cancelled, InvalidStateError: texts.known };
    show(kinds[problem.name] || texts.failed, "bad");
  }
  button.disabled = false;
}
if (!window.PublicKeyCredential) {
  button.disabled = true;
  show(texts.unsupported, "bad");
}
form.addEventListener("submit", event => {
  if (event.submitter && event.submitter !== button) return;
  event.preventDefault();
  if (!button.disabled) confirm();
});
