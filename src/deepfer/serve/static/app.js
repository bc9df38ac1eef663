// The page: a photo, a video or the camera in; boxes, bars and an explanation out.
// What recognises is an engine, here or at the service; see server.js and browser.js.

import { answerOf } from "./answers.js";
import { drawFaces, drawGray, drawMap, fillBars, percent } from "./draw.js";

const LONG_SIDE = 960; // of the video frames that are looked at
const CANVAS = 2048; // long side of the picture that is shown; phones draw no larger ones
const KEPT = 18_000; // frames of the camera: ten minutes
const NEAR = 22; // CSS pixels around a face that a finger may miss it by

const element = (id) => document.getElementById(id);
const [picture, video, stage, status, list, explanation] = [
  "picture",
  "video",
  "stage",
  "status",
  "faces",
  "explanation",
].map(element);
const inBrowser = document.documentElement.dataset.engine === "browser";

let engine; // a promise
let current = null; // {source, width, height, below, slots}: what the page shows
let chosen = -1; // position of the card that is marked
let results = new Map(); // what "Download JSON" gives, by time
let file = ""; // its name
let session = 0; // rises whenever another picture takes over; late answers are dropped
let asked = 0; // rises whenever another explanation is asked for
let address = null; // of the file that the video element plays

element("privacy").textContent = inBrowser
  ? "Runs in this browser. No picture leaves your device."
  : "Pictures go to this service alone, which keeps none.";
wire();
engine = start();

async function start() {
  try {
    const module = await import(inBrowser ? "./browser.js" : "./server.js");
    const opened = await module.openEngine();
    const accuracy = opened.model.figures?.["validation accuracy"];
    const measured = accuracy ? `, ${(100 * accuracy).toFixed(1)} % correct in validation` : "";
    element("model").textContent = `Model ${opened.model.name}${measured}.`;
    offerPriors(opened.model);
    document.body.dataset.ready = "true";
    return opened;
  } catch (error) {
    fail(error);
    return null;
  }
}

/** What the model can answer under; the service may have a default of its own. */
function offerPriors({ prior, default_prior: own = "photos" }) {
  const choice = element("prior");
  if (![...choice.options].some(({ value }) => value === own)) {
    choice.add(new Option("as the service was told", own));
  }
  choice.value = own;
  element("prior-choice").hidden = prior.length === 0;
}

function wire() {
  element("prior").onchange = lookAgain;
  element("choose").onclick = () => element("file").click();
  element("file").onchange = ({ target }) => {
    open(target.files);
    target.value = "";
  };
  element("camera").onclick = useCamera;
  element("stop").onclick = () => reset("Stopped.");
  element("download").onclick = download;
  picture.onclick = chooseByClick;
  document.ondragover = (event) => event.preventDefault();
  document.ondragenter = () => stage.classList.add("over");
  document.ondragleave = (event) => {
    if (!event.relatedTarget) stage.classList.remove("over");
  };
  document.ondrop = (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    open(event.dataTransfer.files);
  };
  document.onpaste = (event) => {
    if (event.clipboardData.files.length) open(event.clipboardData.files);
  };
  document.onkeydown = (event) => {
    if (event.key === "Escape") closeExplanation(true);
  };
  video.onloadedmetadata = () => shape(video.videoWidth, video.videoHeight);
  video.disablePictureInPicture = true; // neither view would have the boxes
  video.controlsList = "nofullscreen";
  new ResizeObserver(() => current && redraw()).observe(stage);
}

// --- what can be opened ------------------------------------------------------------------------

function open(files) {
  if (!files.length) {
    say("Only files can be dropped here: a photo or a video.");
    return;
  }
  const [first] = files;
  const more = files.length > 1 ? ` Only the first of ${files.length} files is shown.` : "";
  reset();
  file = first.name;
  const moving = first.type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv|avi)$/i.test(first.name);
  if (moving) playVideo(first);
  else showPhoto(first, more);
}

async function showPhoto(photo, more) {
  const mine = session;
  say(`Looking at ${photo.name}…`);
  try {
    const opened = await engine;
    if (!opened || mine !== session) return;
    const [prediction, bitmap] = await Promise.all([
      opened.recognize(photo, photo.name, element("prior").value),
      createImageBitmap(photo).catch(() => null), // a kind of file that browsers cannot show
    ]);
    if (mine !== session) return;
    results.set(0, prediction);
    element("download").disabled = false;
    show(photo, prediction, bitmap, numbered(prediction.faces));
    const unseen = bitmap ? "" : " This browser cannot show the picture, only the boxes.";
    say(`${photo.name}: ${summary(prediction.faces.length)}.${unseen}${more}`);
  } catch (error) {
    if (mine !== session) return;
    const named = error.message.startsWith(photo.name);
    fail(named ? error : new Error(`${photo.name}: ${error.message}`));
  }
}

/** Answer for the picture that stands still again; a video's next frames need no more. */
async function lookAgain() {
  if (!current || !video.hidden) return;
  const mine = session;
  closeExplanation();
  try {
    const { source, below } = current;
    const prediction = await (await engine).recognize(source, file, element("prior").value);
    if (mine !== session) return;
    if (source instanceof Blob) results.set(0, prediction);
    show(source, prediction, below, numbered(prediction.faces));
  } catch (error) {
    if (mine === session) fail(error);
  }
}

function playVideo(clip) {
  address = URL.createObjectURL(clip);
  video.src = address;
  video.controls = true;
  video.onerror = () => {
    reset();
    fail(new Error(`${clip.name}: this browser cannot play it; try an .mp4 file`));
  };
  video.onended = () => say(`${clip.name}: the end, ${results.size} pictures looked at.`);
  begin(clip.name, Infinity);
}

async function useCamera() {
  reset();
  const mine = session;
  if (!navigator.mediaDevices) {
    fail(new Error("Browsers give the camera only to pages of this machine or with https."));
    return;
  }
  say("Waiting for the camera…");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    if (mine !== session) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    const [track] = stream.getVideoTracks();
    track.onended = () => reset("The camera has stopped.");
    // who looks at the screen expects a mirror; boxes and maps are then of the mirrored picture
    video.classList.toggle("mirrored", track.getSettings().facingMode !== "environment");
    video.srcObject = stream;
    video.controls = false;
    file = "camera";
    begin("camera", KEPT);
  } catch (error) {
    const reasons = {
      NotAllowedError: "The browser may not use the camera; allow it and try again.",
      NotFoundError: "No camera was found; plug one in and try again.",
      NotReadableError: "The camera is used by another program; close it and try again.",
    };
    if (mine === session) fail(new Error(reasons[error.name] ?? `No camera can be used (${error.message}).`));
  }
}

async function begin(name, kept) {
  const mine = session;
  video.hidden = false;
  element("stop").hidden = false;
  stage.classList.remove("empty");
  picture.setAttribute("aria-label", "Boxes on the faces");
  try {
    await video.play();
    await follow(name, kept, mine);
  } catch (error) {
    if (mine !== session) return;
    reset("Stopped.");
    fail(error);
  }
}

/** Look at one frame after the other, as fast as answers come. */
async function follow(name, kept, mine) {
  const opened = await engine;
  const frames = [document.createElement("canvas"), document.createElement("canvas")];
  let slots = [];
  let moments = []; // of the last second's answers
  say(`${name}: looking at every picture there is time for.`);
  while (opened && mine === session) {
    const time = await nextFrame();
    if (mine !== session) return;
    const frame = grab(frames[0]);
    let prediction;
    try {
      const told = `${name} at ${time.toFixed(2)} s`;
      prediction = await opened.recognize(frame, told, element("prior").value);
    } catch (error) {
      if (!error.retry) throw error;
      await new Promise((done) => setTimeout(done, 1000));
      continue;
    }
    if (mine !== session) return;
    frames.reverse(); // the one that is shown must stay as it is, to be explained
    results.set(Number(time.toFixed(3)), prediction);
    if (results.size > kept) results.delete(results.keys().next().value);
    element("download").disabled = false;
    slots = arranged(slots, prediction.faces);
    show(frame, prediction, null, slots);
    const now = performance.now();
    moments = [...moments.filter((moment) => now - moment < 1000), now];
    element("rate").textContent = `${moments.length} pictures a second`;
  }
}

/** Wait for a frame that was not looked at; give its time. */
function nextFrame() {
  if (!video.requestVideoFrameCallback) {
    return new Promise((done) => setTimeout(() => done(video.currentTime), 40));
  }
  return new Promise((done) => {
    video.requestVideoFrameCallback((_, { mediaTime }) => done(mediaTime));
  });
}

function grab(frame) {
  const ratio = Math.min(1, LONG_SIDE / Math.max(video.videoWidth, video.videoHeight));
  frame.width = Math.round(video.videoWidth * ratio);
  frame.height = Math.round(video.videoHeight * ratio);
  const context = frame.getContext("2d", { willReadFrequently: true });
  if (video.classList.contains("mirrored")) context.setTransform(-1, 0, 0, 1, frame.width, 0);
  context.drawImage(video, 0, 0, frame.width, frame.height);
  return frame;
}

function reset(message = "") {
  session += 1;
  closeExplanation();
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.onerror = video.onended = null;
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  video.classList.remove("mirrored");
  if (address) URL.revokeObjectURL(address);
  address = null;
  const moving = !video.hidden;
  video.hidden = true;
  if (document.activeElement === element("stop")) element("camera").focus();
  element("stop").hidden = true;
  element("rate").textContent = "";
  if (message && moving && current) { // the last picture stays, so that it can be explained
    current.below = current.source;
    current.slots = current.slots.filter(Boolean);
    chosen = -1;
    refresh();
  } else {
    current = null;
    results = new Map();
    chosen = -1;
    element("download").disabled = true;
    list.replaceChildren();
    element("count").textContent = "Faces";
    stage.classList.add("empty");
    picture.width = picture.height = 1;
    picture.setAttribute("aria-label", "No picture yet");
  }
  say(message);
}

// --- who is who --------------------------------------------------------------------------------

const numbered = (faces) => faces.map((face, i) => ({ ...face, number: i + 1 }));

/**
 * Give each face the place that the same person had in the frame before.
 *
 * @param {(object|null)[]} before Faces by place; null where somebody is out of sight.
 * @param {object[]} faces The faces of this frame.
 */
function arranged(before, faces) {
  const places = before.map(() => null);
  const left = numbered(faces);
  before.forEach((old, place) => {
    const same = old ? left.findIndex((face) => overlap(face.box, old.box) > 0.3) : -1;
    if (same >= 0) [places[place]] = left.splice(same, 1);
  });
  for (const face of left) {
    const free = places.indexOf(null);
    places[free >= 0 ? free : places.length] = face;
  }
  return places;
}

function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
  const width = Math.min(ax + aw, bx + bw) - Math.max(ax, bx);
  const height = Math.min(ay + ah, by + bh) - Math.max(ay, by);
  const shared = Math.max(0, width) * Math.max(0, height);
  return shared / (aw * ah + bw * bh - shared);
}

// --- what is shown -----------------------------------------------------------------------------

/**
 * @param {Blob|HTMLCanvasElement} source What was looked at.
 * @param {{width: number, height: number}} prediction The answer.
 * @param {CanvasImageSource|null} below The picture under the boxes; null while the video itself
 *   lies there.
 * @param {(object|null)[]} slots The faces by place.
 */
function show(source, { width, height }, below, slots) {
  current = { source, width, height, below, slots };
  stage.classList.remove("empty");
  shape(width, height);
  refresh();
}

function refresh() {
  redraw();
  const { slots } = current;
  element("count").textContent = summary(slots.filter(Boolean).length);
  while (list.children.length > slots.length) list.lastChild.remove();
  slots.forEach((face, i) => fill(list.children[i] ?? list.appendChild(card(i)), face, i));
}

function shape(width, height) {
  stage.style.setProperty("--ratio", width / height);
}

function redraw() {
  const { width, height, below, slots } = current;
  const ratio = Math.min(1, CANVAS / Math.max(width, height));
  picture.width = Math.round(width * ratio);
  picture.height = Math.round(height * ratio);
  const context = picture.getContext("2d");
  context.scale(picture.width / width, picture.height / height);
  if (below) context.drawImage(below, 0, 0, width, height);
  drawFaces(context, width, height, slots, chosen, width / (picture.clientWidth || width));
  if (!video.hidden) return; // a label that changes with every frame tells nothing
  const names = slots.map((face, i) => `face ${i + 1} ${answerOf(face)}`);
  picture.setAttribute("aria-label", [summary(slots.length), ...names].join(", "));
}

function summary(count) {
  return count === 0 ? "No face" : count === 1 ? "1 face" : `${count} faces`;
}

function card(i) {
  const item = element("face").content.firstElementChild.cloneNode(true);
  item.querySelector(".name").onclick = () => choose(chosen === i ? -1 : i);
  item.querySelector(".why").onclick = () => (item.contains(explanation) ? closeExplanation(true) : explain(i));
  item.querySelector(".why").setAttribute("aria-label", `Explain face ${i + 1}`);
  return item;
}

function fill(item, face, i) {
  item.classList.toggle("gone", !face);
  item.querySelector(".why").disabled = !face;
  if (face) {
    const words = face.certain
      ? `${face.expression}, ${percent(face.probability)}`
      : answerOf(face);
    item.querySelector(".name").textContent = `${i + 1}: ${words}`;
    item.querySelector(".name").setAttribute("aria-label", `Mark face ${i + 1} in the picture: ${words}`);
    item.querySelector(".notes").textContent = face.notes.join(", ");
    item.querySelector(".notes").title = details(face);
    fillBars(item.querySelector(".bars"), face.probabilities, face.expression);
  }
  mark(item, i);
}

function details({ pose, sharpness, light, size }) {
  const angles = pose
    ? `yaw ${pose.yaw}°, pitch ${pose.pitch}°, roll ${pose.roll}°, `
    : "";
  return `${angles}sharpness ${sharpness}, light ${light}, ${size} pixels wide`;
}

function mark(item, i) {
  item.classList.toggle("chosen", i === chosen);
  item.querySelector(".name").setAttribute("aria-pressed", String(i === chosen));
}

function choose(i) {
  if (i !== chosen) closeExplanation();
  chosen = i;
  redraw();
  [...list.children].forEach(mark);
  list.children[i]?.scrollIntoView({ block: "nearest" });
}

function chooseByClick(event) {
  if (!current) return;
  const unit = current.width / picture.clientWidth;
  const [x, y] = [event.offsetX * unit, event.offsetY * unit];
  const away = current.slots.map((face) => {
    if (!face) return Infinity;
    const [left, top, width, height] = face.box;
    const outside = [left - x, x - left - width, top - y, y - top - height];
    if (Math.max(...outside) > Math.max(0, NEAR * unit - Math.min(width, height) / 2)) return Infinity;
    return Math.hypot(left + width / 2 - x, top + height / 2 - y);
  });
  const nearest = away.indexOf(Math.min(...away));
  if (away[nearest] < Infinity) explain(nearest);
  else choose(-1);
}

async function explain(i) {
  if (!video.hidden) {
    i = current.slots.slice(0, i).filter(Boolean).length; // its place among those in sight
    reset("Stopped, to explain this picture.");
  }
  const mine = session;
  choose(i);
  const face = current.slots[i];
  const turn = (asked += 1);
  const item = list.children[i];
  const button = item.querySelector(".why");
  const before = status.textContent;
  button.disabled = true;
  say(`Looking for what decided about face ${i + 1}…`);
  try {
    const found = await (await engine).explain(
      current.source, face.number, undefined, element("prior").value,
    );
    if (mine !== session || turn !== asked) return;
    element("explained").textContent = `Why ${found.target}?`;
    drawGray(element("seen"), found.pixels);
    drawMap(element("map"), found.map);
    const { rest, ...regions } = found.regions;
    const ranked = Object.entries(regions).sort((a, b) => b[1] - a[1]);
    const words = [...ranked, ["outside these", rest]]
      .map(([region, share]) => `${region} ${percent(share)}`)
      .join(", ");
    element("regions").textContent = `Share of the evidence: ${words}.`;
    element("map").setAttribute("aria-label", `Map of what decided. ${words}`);
    item.append(explanation);
    explanation.hidden = false;
    button.setAttribute("aria-expanded", "true");
    button.textContent = "Close";
    item.scrollIntoView({ block: "nearest" });
    element("explained").focus({ preventScroll: true });
    say(before);
  } catch (error) {
    if (mine === session && turn === asked) fail(error);
  } finally {
    button.disabled = false;
  }
}

function closeExplanation(focus = false) {
  asked += 1;
  if (explanation.hidden) return;
  const button = explanation.parentElement.querySelector(".why");
  explanation.hidden = true;
  element("results").append(explanation);
  button.setAttribute("aria-expanded", "false");
  button.textContent = "Explain";
  if (focus) button.focus();
}

function download() {
  const moving = file === "camera" || results.size > 1;
  const sorted = [...results].sort(([a], [b]) => a - b);
  const content = moving
    ? JSON.stringify(sorted.map(([time, prediction]) => ({ time, ...prediction })))
    : JSON.stringify(sorted[0][1], null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  link.download = `${file}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// --- what is told ------------------------------------------------------------------------------

function say(text) {
  status.classList.remove("error");
  if (status.textContent !== text) status.textContent = text;
}

function fail(error) {
  say(`Error: ${error.message}`);
  status.classList.add("error");
}
