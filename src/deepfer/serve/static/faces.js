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

const SMALL = 480; // smaller pictures are enlarged, up to three times
const ENLARGE = 3;
const STRIDES = [8, 16, 32];
const MULTIPLE = 32;
const [TILE, OVERLAPPING] = [960, 160]; // pixels; larger faces were found at a coarser scale
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
 * @param {Plane[]} photo Red, green, blue; or gray alone.
 * @param {number} longSide Larger pictures are shrunk to it for the search.
 * @returns {{tiles: Iterable<Tile>, zoom: number[]}} The parts that are searched, which overlap,
 *   and the x and y factors back to the photo's pixels.
 *
 * @typedef {{data: Float32Array, dims: number[], x: number, y: number}} Tile Blue, green, red
 *   planes, and where their corner lies.
 */
export function detectorInput(photo, longSide) {
  const { width, height } = photo[0];
  const ratio = searchRatio(Math.max(width, height), longSide);
  const [wide, high] = [width, height].map((size) => Math.max(1, roundEven(size * ratio)));
  const small = photo.map((channel) => resize(channel, wide, high, 2));
  return { tiles: tilesOf(small), zoom: [width / wide, height / high] };
}

/**
 * The factor by which a picture is resized for the search.
 *
 * @param {number} side Its long side in pixels.
 * @param {number} longSide At which it is searched at most.
 */
export function searchRatio(side, longSide) {
  return Math.min(Math.max(1, Math.min(ENLARGE, SMALL / side)), longSide / side);
}

function* tilesOf(picture) {
  for (const y of startsOf(picture[0].height)) {
    for (const x of startsOf(picture[0].width)) yield tileOf(picture, x, y);
  }
}

function startsOf(length) {
  const step = TILE - OVERLAPPING;
  const count = Math.max(1, Math.ceil((length - OVERLAPPING) / step));
  return Array.from({ length: count }, (_, i) => i * step);
}

function tileOf(picture, x, y) {
  const { width, height } = picture[0];
  const [wide, high] = [width - x, height - y].map((size) => Math.min(size, TILE));
  const [columns, rows] = [wide, high].map((size) => Math.ceil(size / MULTIPLE) * MULTIPLE);
  const data = new Float32Array(3 * rows * columns);
  for (let i = 0; i < 3; i++) {
    const channel = picture.at(-1 - (i % picture.length)).data; // blue first
    for (let row = 0; row < high; row++) {
      const start = (y + row) * width + x;
      data.set(channel.subarray(start, start + wide), (i * rows + row) * columns);
    }
  }
  return { data, dims: [1, 3, rows, columns], x, y };
}

/**
 * The faces in the detector's answers, best score first.
 *
 * @param {Face[]} found In all tiles; see `decode`.
 * @param {number[]} zoom See `detectorInput`.
 * @returns {Face[]} In pixels of the photo; boxes are clipped to it.
 */
export function facesOf(found, [zoomX, zoomY], width, height) {
  const zoomed = found.map(({ score, box: [x, y, wide, high], landmarks }) => ({
    score,
    box: [x * zoomX, y * zoomY, wide * zoomX, high * zoomY],
    landmarks: landmarks.map((at) => ({ x: at.x * zoomX, y: at.y * zoomY })),
  }));
  return suppress(zoomed)
    .map((face) => ({ ...face, box: clipped(face.box, width, height) }))
    .filter(({ box }) => box[2] > 0 && box[3] > 0);
}

/**
 * What the detector answers for a tile, faces that overlap among them.
 *
 * @param {Record<string, {data: Float32Array}>} outputs `cls_8`, `obj_8`, `bbox_8`, `kps_8` and
 *   so on.
 * @param {Tile} tile
 * @param {number} minScore Faces below it are left out.
 * @returns {Face[]} In pixels of the picture that the tile is a part of.
 */
export function decode(outputs, tile, minScore) {
  return STRIDES.flatMap((stride) => decodeStride(outputs, tile, minScore, stride));
}

function decodeStride(outputs, { dims, x: left, y: top }, minScore, stride) {
  const [there, face, box, points] = ["cls", "obj", "bbox", "kps"].map(
    (kind) => outputs[`${kind}_${stride}`].data,
  );
  const columns = dims[3] / stride;
  const probability = (value) => Math.min(Math.max(value, 0), 1);
  const found = [];
  for (let cell = 0; cell < face.length; cell++) {
    const product = Math.fround(probability(there[cell]) * probability(face[cell]));
    const score = Math.fround(Math.sqrt(product));
    if (score < minScore) continue;
    const [x, y] = [cell % columns, Math.floor(cell / columns)];
    const [dx, dy, wide, high] = box.subarray(4 * cell, 4 * cell + 4);
    const at = (right, down) => ({ x: (right + x) * stride + left, y: (down + y) * stride + top });
    const centre = at(dx, dy);
    const size = [Math.exp(wide) * stride, Math.exp(high) * stride];
    found.push({
      score,
      box: [centre.x - size[0] / 2, centre.y - size[1] / 2, ...size],
      landmarks: TEMPLATE.map((_, i) => at(points[10 * cell + 2 * i], points[10 * cell + 2 * i + 1])),
    });
  }
  return found;
}

/** Faces, best score first, without those that overlap a better one. @param {Face[]} faces */
export function suppress(faces) {
  const kept = [];
  for (const face of faces.toSorted((one, other) => other.score - one.score)) {
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

/** A turned and shifted point. @param {Point} point @returns {Point} */
export function moved({ x, y }, turn, shift) {
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
