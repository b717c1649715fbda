// The page's logic: sends the drawing to the server, and shows the answer.

import { Answer, image } from "./answer.js";
import { Drawing } from "./drawing.js";

const PAUSE = 33; // the shortest time between two questions, in milliseconds
const $ = (id) => document.getElementById(id);

const reply = await fetch("run");
const run = await reply.json();
if (!reply.ok) throw new Error(($("message").textContent = run.error));
const answer = new Answer(run, {
  digit: $("digit"),
  sure: $("sure"),
  bars: $("bars"),
  spoken: $("spoken"),
  layers: $("layers"),
});
const drawing = new Drawing($("page"), {
  onChange: drawn,
  onPen: (down) => ($("pen").textContent = down ? "pen down" : "pen up"),
});

$("about").textContent = `${run.model}, ${(100 * run.accuracy).toFixed(2)} % accuracy on the test images`;
$("example").hidden = !run.examples;
document.body.dataset.ready = "true";

// Questions. Only one is asked at a time, and the newest is next: the ones in between are never asked.

let next = null;
let asking = false;

async function ask(question) {
  next = question;
  if (asking) return;
  asking = $("answer").ariaBusy = true;
  while (next) {
    const current = next;
    next = null;
    const pause = new Promise((resolve) => setTimeout(resolve, PAUSE));
    await settle(current);
    await pause;
  }
  asking = $("answer").ariaBusy = false;
}

async function settle(question) {
  let response, found;
  try {
    response = await fetch(question.url, question.request);
    found = await response.json();
  } catch {
    return complain(question, "The server does not answer. Is it still running?");
  }
  if (response.status === 429) {
    await new Promise((resolve) => setTimeout(resolve, 1000 * (response.headers.get("Retry-After") ?? 1)));
    if (question.id === latest) next ??= question;
  } else if (!response.ok) complain(question, found.error);
  else if (question.id >= oldest) {
    $("message").textContent = "";
    question.before?.(found);
    answer.show(found, found.label);
  }
}

// Answers to questions before the oldest are ignored: since then, the page was cleared or shows something else.
let latest = 0;
let oldest = 0;

function complain(question, reason) {
  if (question.id < oldest) return;
  answer.clear();
  $("message").textContent = reason;
}

function forget() {
  oldest = ++latest;
  next = null;
  $("message").textContent = "";
}

// The drawing

function drawn() {
  refresh();
  if (drawing.isEmpty) {
    forget();
    answer.clear();
    return;
  }
  if (drawing.strokes.length === 1 && drawing.points === 1) forget(); // a new drawing
  const request = {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(drawing.strokes),
  };
  ask({ id: ++latest, url: "strokes", request });
}

function refresh() {
  document.body.classList.toggle("drawn", !drawing.isEmpty);
  $("undo").disabled = $("clear").disabled = drawing.isEmpty;
}

$("undo").addEventListener("click", () => leave(() => drawing.undo()));
$("clear").addEventListener("click", () => leave(() => drawing.clear()));

// If a button disables itself, the focus is lost: move it to the page.
function leave(action) {
  action();
  if (drawing.isEmpty) $("page").focus();
}

// Examples and pictures

$("example").addEventListener("click", () => {
  forget();
  const index = Math.floor(Math.random() * run.examples);
  ask({ id: ++latest, url: `examples/${index}`, before: showExample });
});

async function showExample(found) {
  const { pixels, width, height } = found.image;
  const levels = Uint8Array.from(atob(pixels), (character) => character.charCodeAt(0));
  drawing.show(await createImageBitmap(image(levels, width, height)), { smooth: false });
  refresh();
}

$("open").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  if ($("file").files.length) openPicture($("file").files[0]);
  $("file").value = ""; // else the same file could not be chosen again
});

$("page").addEventListener("dragover", (event) => event.preventDefault());
$("page").addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) openPicture(event.dataTransfer.files[0]);
});

async function openPicture(file) {
  forget();
  const question = { id: ++latest, url: "picture" };
  const picture = await createImageBitmap(file).catch(() => null);
  if (question.id < oldest) return;
  drawing.show(picture);
  refresh();
  if (file.size > run.largest) return complain(question, `${file.name} is too large: at most ${run.largest / 1e6} MB are accepted`);
  question.request = { method: "POST", headers: { "Content-Type": file.type || "application/octet-stream" }, body: file };
  ask(question);
}
