// Drawing: boxes with labels, bars, gray faces, maps.

import { answerOf } from "./answers.js";

/** Okabe and Ito's palette, as the annotated pictures have it. */
export const COLORS = {
  angry: "#D55E00",
  disgust: "#009E73",
  fear: "#CC79A7",
  happy: "#F0E442",
  sad: "#0072B2",
  surprise: "#E69F00",
  neutral: "#9AA0A6",
  contempt: "#56B4E9",
};
const NAMES = 2; // that an uncertain face's label gives; more would cover other faces
const DARK = new Set(["sad"]); // needs white text
const RAMP = ["#000004", "#3b0f70", "#8c2981", "#de4968", "#fe9f6d", "#fcfdbf"].map((color) =>
  [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)),
);

/**
 * Draw a box and a label on every face; the chosen one's box is thicker.
 *
 * @param {CanvasRenderingContext2D} context Scaled to the picture's pixels.
 * @param {number} width Of the picture.
 * @param {number} height Of the picture.
 * @param {({box: number[], certain: boolean, expression: string, probability: number,
 *   possible: string[]}|null)[]} faces By place.
 * @param {number} chosen Place of the marked face, or -1.
 * @param {number} unit The picture's pixels per pixel of the page: lines and letters keep their
 *   size on the screen.
 */
export function drawFaces(context, width, height, faces, chosen, unit) {
  const line = Math.max(2 * unit, Math.min(width, height) / 250);
  faces.forEach((face, i) => {
    if (!face) return;
    const [x, y, w, h] = face.box;
    const own = Math.min(line * (i === chosen ? 2 : 1), w / 10);
    for (const [color, thickness] of [["#000", 2 * own], [COLORS[face.expression], own]]) {
      context.strokeStyle = color;
      context.lineWidth = thickness;
      context.strokeRect(x - own, y - own, w + 2 * own, h + 2 * own); // beside the face, not on it
    }
  });
  faces.forEach((face, i) => {
    if (!face) return;
    const { box: [x, y, w, h], certain, expression, probability } = face;
    if (w < 16 * unit && i !== chosen) return; // too many to be read
    const size = Math.max(12 * unit, Math.min(w / 5, Math.min(width, height) / 18));
    context.font = `${size}px system-ui, sans-serif`;
    const short = face.possible.length > NAMES ? "uncertain" : answerOf(face);
    const words = certain ? `${expression} ${percent(probability)}` : short;
    const text = w < 60 * unit ? `${i + 1}` : `${i + 1} ${words}`;
    const wide = context.measureText(text).width + size / 2;
    const left = Math.min(Math.max(0, x + w / 2 - wide / 2), Math.max(0, width - wide));
    const above = y - 1.3 * size - 2 * line;
    const top = above >= 0 ? above : Math.min(y + h + 2 * line, height - 1.3 * size);
    context.fillStyle = COLORS[expression];
    context.fillRect(left, top, wide, 1.3 * size);
    context.fillStyle = DARK.has(expression) ? "#fff" : "#000";
    context.textBaseline = "middle";
    context.fillText(text, left + size / 4, top + 0.68 * size);
  });
}

export const percent = (share) => `${(100 * share).toFixed(0)}\u00a0%`;

/** Fill a dl element with one bar per expression, or update the bars it has. */
export function fillBars(list, probabilities, top) {
  const entries = Object.entries(probabilities);
  while (list.children.length < 3 * entries.length) list.append(...emptyBar());
  entries.forEach(([expression, share], i) => {
    const [term, bar, value] = [...list.children].slice(3 * i, 3 * i + 3);
    term.textContent = expression;
    term.classList.toggle("top", expression === top);
    bar.querySelector("rect").setAttribute("width", `${100 * share}%`);
    bar.querySelector("rect").setAttribute("fill", COLORS[expression]);
    value.textContent = percent(share);
  });
}

function emptyBar() {
  const [term, bar, value] = ["dt", "dd", "dd"].map((tag) => document.createElement(tag));
  bar.className = "bar";
  bar.setAttribute("aria-hidden", "true");
  bar.innerHTML = '<svg><rect height="100%"/></svg>';
  value.className = "value";
  return [term, bar, value];
}

/** Draw gray rows, 0 to 255, onto a canvas of their size. */
export function drawGray(canvas, rows) {
  paint(canvas, rows, (value) => [value, value, value]);
}

/** Draw a map, its highest value brightest; zero and below are dark. */
export function drawMap(canvas, rows) {
  const highest = Math.max(1e-9, ...rows.flat());
  paint(canvas, rows, (value) => ramp(Math.max(0, value) / highest));
}

function paint(canvas, rows, color) {
  canvas.height = rows.length;
  canvas.width = rows[0].length;
  const image = new ImageData(canvas.width, canvas.height);
  rows.flat().forEach((value, i) => image.data.set([...color(value), 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function ramp(share) {
  const place = share * (RAMP.length - 1);
  const below = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[below].map((value, c) => Math.round(value + (RAMP[below + 1][c] - value) * (place - below)));
}
