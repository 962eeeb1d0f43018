"use strict";
// Copies the text beside a button. Browsers offer the clipboard on https and on this computer only.
for (const button of document.querySelectorAll(".copy button")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = button.dataset.copied;
    button.removeAttribute("aria-label");
  });
}
