// The page: a photo, a video or the camera in; boxes, bars and an explanation out.
// What recognises is an engine, here or at the service; see server.js and browser.js.

import { drawFaces, drawGray, drawMap, fillBars, percent } from "./draw.js";

const LONG_SIDE = 960; // of the video frames that are looked at
const element = (id) => document.getElementById(id);
const [picture, video, stage, status] = ["picture", "video", "stage", "status"].map(element);
const inBrowser = document.documentElement.dataset.engine === "browser";

let engine;
let current = null; // {source, prediction}: what the page shows
let chosen = -1; // position of the face that is marked
let results = []; // what "Download JSON" gives
let session = 0; // rises whenever another picture takes over; late answers are dropped
let address = null; // of the file that the video element plays

element("privacy").textContent = inBrowser
  ? "Runs in this browser. No picture leaves your device."
  : "Pictures go to this service alone, which keeps none.";

async function start() {
  say("Loading…");
  try {
    const module = await import(inBrowser ? "./browser.js" : "./server.js");
    engine = await module.openEngine();
  } catch (error) {
    fail(error);
    return;
  }
  say("");
  const accuracy = engine.model.figures?.["validation accuracy"];
  const measured = accuracy ? `, ${(100 * accuracy).toFixed(1)} % correct in validation` : "";
  element("model").textContent = `Model ${engine.model.name}${measured}.`;
  element("choose").onclick = () => element("file").click();
  element("file").onchange = ({ target }) => {
    if (target.files.length) open(target.files[0]);
    target.value = "";
  };
  element("camera").onclick = useCamera;
  element("stop").onclick = () => reset("Stopped.");
  element("download").onclick = download;
  picture.onclick = chooseByClick;
  document.ondragover = (event) => event.preventDefault();
  document.ondragenter = () => stage.classList.add("over");
  document.ondragleave = (event) => event.relatedTarget || stage.classList.remove("over");
  document.ondrop = (event) => {
    event.preventDefault();
    stage.classList.remove("over");
    if (event.dataTransfer.files.length) open(event.dataTransfer.files[0]);
  };
  document.onpaste = (event) => {
    if (event.clipboardData.files.length) open(event.clipboardData.files[0]);
  };
  document.body.dataset.ready = "true";
}

// --- what can be opened ------------------------------------------------------------------------

function open(file) {
  reset();
  if (file.type.startsWith("video/")) playVideo(file);
  else showPhoto(file);
}

async function showPhoto(file) {
  const mine = session;
  say(`Looking at ${file.name}…`);
  try {
    const [prediction, bitmap] = await Promise.all([
      engine.recognize(file, file.name),
      createImageBitmap(file).catch(() => null), // a kind of file that browsers cannot show
    ]);
    if (mine !== session) return;
    results = [prediction];
    element("download").disabled = false;
    show(file, prediction, bitmap ?? "hidden");
    say(`${file.name}: ${summary(prediction)}`);
  } catch (error) {
    if (mine === session) fail(error);
  }
}

function playVideo(file) {
  address = URL.createObjectURL(file);
  video.src = address;
  video.controls = true;
  video.onerror = () => fail(new Error(`${file.name}: this browser cannot play it; try an .mp4 file`));
  begin(file.name);
}

async function useCamera() {
  reset();
  const mine = session;
  say("Waiting for the camera…");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user" } });
    if (mine !== session) {
      stream.getTracks().forEach((track) => track.stop());
      return;
    }
    stream.getVideoTracks()[0].onended = () => reset("The camera has stopped.");
    video.srcObject = stream;
    video.controls = false;
    begin("camera");
  } catch (error) {
    const denied = error.name === "NotAllowedError";
    fail(new Error(denied ? "The browser may not use the camera; allow it and try again." : `No camera can be used (${error.message}).`));
  }
}

async function begin(name) {
  const mine = session;
  video.hidden = false;
  element("stop").hidden = false;
  stage.classList.remove("empty");
  try {
    await video.play();
    await follow(name, mine);
  } catch (error) {
    if (mine === session) fail(error);
  }
}

/** Look at one frame after the other, as fast as answers come. */
async function follow(name, mine) {
  let last = -1;
  let looked = 0;
  const began = performance.now();
  while (mine === session) {
    if (video.currentTime === last || video.readyState < 2) {
      await nextPicture();
      continue;
    }
    last = video.currentTime;
    const frame = grab();
    const prediction = await engine.recognize(frame, `${name} at ${last.toFixed(2)} s`);
    if (mine !== session) return;
    results.push({ time: Number(last.toFixed(3)), ...prediction });
    element("download").disabled = false;
    show(frame, prediction, null);
    looked += 1;
    const rate = (1000 * looked) / (performance.now() - began);
    // a screen reader must not be told of every frame
    if (looked % 10 === 1) say(`${name}: ${rate.toFixed(0)} pictures a second`);
  }
}

function nextPicture() {
  return new Promise((done) => setTimeout(done, 15));
}

function grab() {
  const ratio = Math.min(1, LONG_SIDE / Math.max(video.videoWidth, video.videoHeight));
  const frame = document.createElement("canvas");
  frame.width = Math.round(video.videoWidth * ratio);
  frame.height = Math.round(video.videoHeight * ratio);
  frame.getContext("2d", { willReadFrequently: true }).drawImage(video, 0, 0, frame.width, frame.height);
  return frame;
}

function reset(message = "") {
  session += 1;
  video.srcObject?.getTracks().forEach((track) => track.stop());
  video.onerror = null;
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  if (address) URL.revokeObjectURL(address);
  address = null;
  const moving = !video.hidden;
  video.hidden = true;
  element("stop").hidden = true;
  if (message && moving && current) { // the last frame stays, so that it can be explained
    show(current.source, current.prediction, current.source);
  } else {
    current = null;
    results = [];
    chosen = -1;
    element("download").disabled = true;
    element("faces").replaceChildren();
    element("count").textContent = "Faces";
    element("explanation").hidden = true;
    stage.classList.add("empty");
  }
  say(message);
}

// --- what is shown -----------------------------------------------------------------------------

/**
 * @param {Blob|HTMLCanvasElement} source What was looked at.
 * @param {object} prediction The answer.
 * @param {CanvasImageSource|"hidden"|null} below The picture under the boxes; null while the
 *   video itself lies there.
 */
function show(source, prediction, below) {
  current = { source, prediction, below };
  if (chosen >= prediction.faces.length) chosen = -1;
  stage.classList.remove("empty");
  redraw();
  element("count").textContent = summary(prediction);
  const list = element("faces");
  while (list.children.length > prediction.faces.length) list.lastChild.remove();
  prediction.faces.forEach((face, i) => fill(list.children[i] ?? list.appendChild(card(i)), face, i));
}

function redraw() {
  const { prediction, below } = current;
  picture.width = prediction.width;
  picture.height = prediction.height;
  const context = picture.getContext("2d");
  if (below && below !== "hidden") context.drawImage(below, 0, 0, picture.width, picture.height);
  drawFaces(context, prediction.faces, chosen);
  const names = prediction.faces.map((face, i) => `face ${i + 1} ${face.expression}`);
  picture.setAttribute("aria-label", `${summary(prediction)}${names.length ? ": " : ""}${names.join(", ")}`);
}

function summary({ faces }) {
  return faces.length === 0 ? "No face" : faces.length === 1 ? "1 face" : `${faces.length} faces`;
}

function card(i) {
  const item = element("face").content.firstElementChild.cloneNode(true);
  item.querySelector(".name").onclick = () => choose(chosen === i ? -1 : i);
  item.querySelector(".why").onclick = () => explain(i);
  return item;
}

function fill(item, face, i) {
  item.querySelector(".name").textContent = `${i + 1}: ${face.expression}, ${percent(face.probability)}`;
  item.querySelector(".why").setAttribute("aria-label", `Explain face ${i + 1}`);
  fillBars(item.querySelector(".bars"), face.probabilities, face.expression);
  mark(item, i);
}

function mark(item, i) {
  item.classList.toggle("chosen", i === chosen);
  item.querySelector(".name").setAttribute("aria-pressed", String(i === chosen));
}

function choose(i) {
  chosen = i;
  redraw();
  [...element("faces").children].forEach(mark);
}

function chooseByClick(event) {
  if (!current) return;
  const x = (event.offsetX * picture.width) / picture.clientWidth;
  const y = (event.offsetY * picture.height) / picture.clientHeight;
  const hit = current.prediction.faces.findIndex(
    ({ box: [left, top, width, height] }) => x >= left && x < left + width && y >= top && y < top + height,
  );
  choose(hit);
  if (hit >= 0) explain(hit);
}

async function explain(i) {
  if (!video.hidden) reset("Stopped, to explain this picture."); // the last frame stays
  const mine = session;
  choose(i);
  say(`Looking for what decided about face ${i + 1}…`);
  try {
    const found = await engine.explain(current.source, i + 1);
    if (mine !== session) return;
    element("explained").textContent = `Why ${found.target}? (face ${i + 1})`;
    drawGray(element("seen"), found.pixels);
    drawMap(element("map"), found.map);
    const ranked = Object.entries(found.regions).sort((a, b) => b[1] - a[1]);
    const words = ranked.map(([region, share]) => `${region} ${percent(share)}`).join(", ");
    element("regions").textContent = `Share of the evidence: ${words}.`;
    element("map").setAttribute("aria-label", `Map of what decided. ${words}`);
    element("explanation").hidden = false;
    element("explained").focus();
    say("");
  } catch (error) {
    if (mine === session) fail(error);
  }
}

function download() {
  const content = results.length === 1 && !("time" in results[0]) ? results[0] : results;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: "application/json" }));
  link.download = "deepfer.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// --- what is told ------------------------------------------------------------------------------

function say(text) {
  status.classList.remove("error");
  status.textContent = text;
}

function fail(error) {
  status.classList.add("error");
  status.textContent = error.message;
}

start();
