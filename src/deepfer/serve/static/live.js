// The page of `deepfer live`: the numbers beside the stream of pictures.

import { answerOf } from "./answers.js";
import { fillBars } from "./draw.js";

const element = (id) => document.getElementById(id);
const list = element("faces");
let looked = 0;
const began = performance.now();

const events = new EventSource("events");
events.onmessage = ({ data }) => {
  const { faces } = JSON.parse(data);
  looked += 1;
  if (looked % 15 === 1) {
    const rate = (1000 * looked) / (performance.now() - began);
    element("status").textContent = "";
    element("rate").textContent = `${rate.toFixed(0)} pictures a second`;
  }
  element("count").textContent = ["No face", "1 face"][faces.length] ?? `${faces.length} faces`;
  while (list.children.length > faces.length) list.lastChild.remove();
  while (list.children.length < faces.length) {
    list.append(element("face").content.firstElementChild.cloneNode(true));
  }
  faces.forEach((face, i) => {
    list.children[i].querySelector(".name").textContent = `${face.id}: ${answerOf(face)}`;
    list.children[i].querySelector(".notes").textContent = face.notes.join(", ");
    fillBars(list.children[i].querySelector(".bars"), face.smoothed, face.expression);
  });
};
events.addEventListener("over", () => ended("The camera has stopped."));
events.onerror = () => ended("The connection is lost.");

function ended(message) {
  events.close();
  element("status").textContent = message;
  element("rate").textContent = "";
}
