/**
 * Faces: what the detector is given, what its answer means, and how a face is turned upright.
 * The counterpart of `detect.py` and `align.py`.
 *
 * @typedef {import("./pixels.js").Plane} Plane
 * @typedef {{x: number, y: number}} Point In pixels; pixel (0, 0) covers 0 to 1 on both axes.
 * @typedef {{box: number[], landmarks: Point[], score: number}} Face
 *   Box as x, y, width, height; landmarks are the subject's right eye, left eye, nose tip, right
 *   and left corner of the mouth.
 */

import { affine, cut, reduce, resize, roundEven } from "./pixels.js";

const MIN_SCORE = 0.75;
const LONG_SIDE = 640; // larger pictures are shrunk to it for the search
const SMALL = 480; // smaller pictures are enlarged, up to three times
const ENLARGE = 3;
const STRIDES = [8, 16, 32];
const MULTIPLE = 32;
const GRID = 16; // parts of a pixel
const OVERLAP = 0.3; // boxes that share more than this (IoU) are one face

/** Where the landmarks lie in an aligned face of 48 pixels. */
const TEMPLATE = [
  [15, 18.1],
  [33, 18.1],
  [24, 27.5],
  [16.4, 35.5],
  [31.6, 35.5],
].map(([x, y]) => ({ x: Math.fround(x), y: Math.fround(y) })); // as Python has them, in float32
const TEMPLATE_SIZE = 48;

/** The landmarks of an aligned face. @param {number} size In pixels. @returns {Point[]} */
export function template(size) {
  return TEMPLATE.map(({ x, y }) => ({
    x: (x * size) / TEMPLATE_SIZE,
    y: (y * size) / TEMPLATE_SIZE,
  }));
}

/**
 * What the detector is given for a photo.
 *
 * @param {Plane[]} photo Red, green, blue.
 * @returns {{data: Float32Array, dims: number[], zoom: number[]}} Blue, green, red planes, and
 *   the x and y factors back to the photo's pixels.
 */
export function detectorInput(photo) {
  const { width, height } = photo[0];
  const side = Math.max(width, height);
  const ratio = Math.min(Math.max(1, Math.min(ENLARGE, SMALL / side)), LONG_SIDE / side);
  const [wide, high] = [width, height].map((size) => Math.max(1, roundEven(size * ratio)));
  const [columns, rows] = [wide, high].map((size) => Math.ceil(size / MULTIPLE) * MULTIPLE);
  const data = new Float32Array(3 * rows * columns);
  photo.toReversed().forEach((channel, i) => {
    const small = resize(channel, wide, high, 2);
    for (let y = 0; y < high; y++) {
      data.set(small.data.subarray(y * wide, (y + 1) * wide), (i * rows + y) * columns);
    }
  });
  return { data, dims: [1, 3, rows, columns], zoom: [width / wide, height / high] };
}

/**
 * The faces in the detector's answer, best score first.
 *
 * @param {Record<string, Float32Array>} outputs `cls_8`, `obj_8`, `bbox_8`, `kps_8` and so on.
 * @param {number} columns Width of the detector's input in pixels.
 * @param {number[]} zoom See `detectorInput`.
 * @returns {Face[]} In pixels of the photo; boxes are clipped to it.
 */
export function facesOf(outputs, columns, zoom, width, height) {
  const found = STRIDES.flatMap((stride) => decode(outputs, stride, columns / stride, zoom));
  found.sort((one, other) => other.score - one.score);
  return apart(found)
    .map(({ score, landmarks, box }) => ({ score, landmarks, box: clipped(box, width, height) }))
    .filter(({ box }) => box[2] > 0 && box[3] > 0);
}

function decode(outputs, stride, columns, [zoomX, zoomY]) {
  const [there, face, box, points] = ["cls", "obj", "bbox", "kps"].map(
    (kind) => outputs[`${kind}_${stride}`],
  );
  const probability = (value) => Math.min(Math.max(value, 0), 1);
  const found = [];
  for (let cell = 0; cell < face.length; cell++) {
    const score = Math.sqrt(Math.fround(probability(there[cell]) * probability(face[cell])));
    if (Math.fround(score) < MIN_SCORE) continue;
    const [x, y] = [cell % columns, Math.floor(cell / columns)];
    const [dx, dy, wide, high] = box.subarray(4 * cell, 4 * cell + 4);
    const at = (right, down) => ({
      x: (right + x) * stride * zoomX,
      y: (down + y) * stride * zoomY,
    });
    const centre = at(dx, dy);
    const size = [Math.exp(wide) * stride * zoomX, Math.exp(high) * stride * zoomY];
    found.push({
      score: Math.fround(score),
      box: [centre.x - size[0] / 2, centre.y - size[1] / 2, ...size],
      landmarks: TEMPLATE.map((_, i) => at(points[10 * cell + 2 * i], points[10 * cell + 2 * i + 1])),
    });
  }
  return found;
}

/** Keep the best of overlapping faces; they come best first. */
function apart(faces) {
  const kept = [];
  for (const face of faces) {
    if (kept.every((better) => !overlap(better.box, face.box))) kept.push(face);
  }
  return kept;
}

function overlap([x, y, width, height], [left, top, wide, high]) {
  const across = Math.min(x + width, left + wide) - Math.max(x, left);
  const down = Math.min(y + height, top + high) - Math.max(y, top);
  const shared = Math.max(across, 0) * Math.max(down, 0);
  return shared > OVERLAP * (width * height + wide * high - shared);
}

function clipped([x, y, wide, high], width, height) {
  const within = (value, size) => Math.min(Math.max(value, 0), size);
  const [left, top] = [Math.floor(within(x, width)), Math.floor(within(y, height))];
  const right = Math.ceil(within(x + wide, width));
  const bottom = Math.ceil(within(y + high, height));
  return [left, top, right - left, bottom - top];
}

/**
 * Cut out one face of a photo, as the networks are to see it.
 *
 * Landmarks are taken to 1/16 pixel: processors and browsers differ in the digits behind, which
 * would move single gray levels, and those weigh in 8-bit networks.
 *
 * @param {Plane[]} photo
 * @param {Point[]} landmarks
 * @param {number} size Height and width of the result in pixels.
 * @returns {Plane[]}
 */
export function cutFace(photo, landmarks, size) {
  return align(photo, landmarks.map(onGrid), size);
}

/** A landmark to 1/16 pixel. @param {Point} point @returns {Point} */
export function onGrid({ x, y }) {
  return { x: roundEven(x * GRID) / GRID, y: roundEven(y * GRID) / GRID };
}

/**
 * Cut out one face, turned upright and scaled so that its landmarks meet the template.
 *
 * @param {Plane[]} photo
 * @param {Point[]} landmarks
 * @param {number} size Height and width of the result in pixels.
 * @returns {Plane[]}
 */
export function align(photo, landmarks, size) {
  const { turn, shift } = similarity(template(size), landmarks);
  const corners = [0, size].flatMap((y) => [0, size].map((x) => moved({ x, y }, turn, shift)));
  const [xs, ys] = [corners.map(({ x }) => x), corners.map(({ y }) => y)];
  const [left, top] = [xs, ys].map((values) => Math.floor(Math.min(...values)) - 2);
  const [right, bottom] = [xs, ys].map((values) => Math.ceil(Math.max(...values)) + 2);

  // Average whole blocks first, then sample twice per output pixel what scale is left.
  const block = Math.max(1, Math.trunc(Math.hypot(turn.x, turn.y)));
  const [cos, sin] = [turn.x / block / 2, turn.y / block / 2];
  const [x, y] = [(shift.x - left) / block, (shift.y - top) / block];
  const matrix = [cos, -sin, x, sin, cos, y];
  return photo.map((channel) => {
    const region = reduce(cut(channel, left, top, right, bottom), block);
    return reduce(affine(region, 2 * size, 2 * size, matrix), 2);
  });
}

/**
 * The turn-and-scale and the shift that bring `source` closest to `target`.
 *
 * Points are read as complex numbers; p goes to turn * p + shift, with the least squared distance.
 *
 * @param {Point[]} source
 * @param {Point[]} target
 * @returns {{turn: Point, shift: Point}}
 */
export function similarity(source, target) {
  const [from, to] = [mean(source), mean(target)];
  let [x, y, spread] = [0, 0, 0];
  source.forEach((point, i) => {
    const [px, py] = [point.x - from.x, point.y - from.y];
    const [qx, qy] = [target[i].x - to.x, target[i].y - to.y];
    x += px * qx + py * qy;
    y += px * qy - py * qx;
    spread += px * px + py * py;
  });
  const turn = { x: x / spread, y: y / spread };
  const rotated = moved(from, turn, { x: 0, y: 0 });
  return { turn, shift: { x: to.x - rotated.x, y: to.y - rotated.y } };
}

function moved({ x, y }, turn, shift) {
  return { x: turn.x * x - turn.y * y + shift.x, y: turn.y * x + turn.x * y + shift.y };
}

function mean(points) {
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  return {
    x: sum(points.map(({ x }) => x)) / points.length,
    y: sum(points.map(({ y }) => y)) / points.length,
  };
}

/**
 * Network input of faces: the counterpart of `normalize` in `preprocess.py`.
 *
 * @param {Plane[]} crops Of one size.
 * @param {{mean: number, std: number, standardize: boolean}} input The network's contract.
 * @returns {Float32Array} One face after the other.
 */
export function normalize(crops, { mean, std, standardize }) {
  const size = crops.length ? crops[0].data.length : 0;
  const data = new Float32Array(crops.length * size);
  crops.forEach((crop, i) => {
    const [scale, shift] = standardize ? standardizing(crop) : [1 / (255 * std), mean / std];
    const [by, less] = [Math.fround(scale), Math.fround(shift)];
    const values = Float32Array.from({ length: 256 }, (_, v) => Math.fround(v * by) - less);
    crop.data.forEach((v, k) => (data[i * size + k] = values[v]));
  });
  return data;
}

/** What brings a face to mean 0 and deviation 1. */
function standardizing({ data }) {
  let [total, squares] = [0, 0];
  for (const value of data) {
    total += value;
    squares += value * value;
  }
  const size = data.length;
  const deviation = Math.max(Math.sqrt(size * squares - total * total) / size, 1);
  return [1 / deviation, total / size / deviation];
}
