// Sends the token of the link to the path of this page. The token stands behind the # of the address,
// which browsers send to no server; nothing is used up before somebody presses the button.
"use strict";

const form = document.querySelector("form");
const button = form.querySelector("button");
const fault = document.getElementById("fault");
const done = document.getElementById("done");
const show = document.getElementById("show");

function token() {
  return new URLSearchParams(location.hash.slice(1)).get("token");
}

function tell(words) {
  fault.textContent = words;
  fault.hidden = !words;
}

// The detail of a problem (RFC 9457), or what is wrong with each field.
async function wordsOf(answer) {
  const problem = await answer.json().catch(() => ({}));
  const messages = Object.values(problem.errors || {}).flat();
  return messages.join(" ") || problem.detail || "Something went wrong (" + answer.status + "). Try again later.";
}

async function send() {
  const body = JSON.stringify({ ...Object.fromEntries(new FormData(form)), token: token() });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(location.pathname, { method: "POST", headers, body, credentials: "omit" });
  if (!answer.ok) {
    return tell(await wordsOf(answer));
  }
  // A used token is worth nothing, but need not stay in the history either.
  history.replaceState(null, "", location.pathname);
  form.reset();
  form.hidden = true;
  done.hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  tell("");
  button.disabled = true;
  try {
    await send();
  } catch {
    tell("The server could not be reached. Try again.");
  }
  button.disabled = false;
});

if (show) {
  show.addEventListener("change", () => {
    document.getElementById("password").type = show.checked ? "text" : "password";
  });
}

if (token()) {
  form.hidden = false;
  form.querySelector("input")?.focus();
} else {
  tell("The link is not complete: open it as it stands in the e-mail, or ask for another one.");
}
