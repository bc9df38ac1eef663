/**
 * Occlusion: hide one patch of a face after the other and see what the network answers then.
 * The counterpart of `explain/occlusion.py` and `explain/regions.py`.
 */

import { template } from "./faces.js";
import { roundEven } from "./pixels.js";

/** @typedef {import("./pixels.js").Plane} Plane */

const PATCH = 8; // in 48ths of the face
const STRIDE = 2;
const UNIT = 48;

/** The parts of a face, in the order of reports. */
export const REGIONS = ["brows", "eyes", "nose", "mouth", "cheeks", "rest"];

/**
 * How far the target's probability falls when each pixel is hidden, on average over the patches.
 *
 * @param {Plane} face
 * @param {number} target The explained expression's column.
 * @param {(faces: Plane[]) => Promise<number[][]>} classify Probabilities per face.
 * @returns {Promise<Float32Array>} One value per pixel, -1 to 1.
 */
export async function occlusionMap(face, target, classify) {
  const { width, height, data } = face;
  const [patch, stride] = [PATCH, STRIDE].map((length) => Math.ceil((length * height) / UNIT));
  const fill = roundEven(data.reduce((sum, value) => sum + value, 0) / data.length);
  const places = starts(height, patch, stride).flatMap((top) =>
    starts(width, patch, stride).map((left) => ({ left, top })),
  );
  const hidden = ({ left, top }) => {
    const copy = data.slice();
    for (let y = top; y < top + patch; y++) {
      copy.fill(fill, y * width + left, y * width + left + patch);
    }
    return { width, height, data: copy };
  };
  const [whole, ...found] = await classify([face, ...places.map(hidden)]);
  const sums = new Float32Array(data.length);
  const counts = new Float32Array(data.length);
  places.forEach(({ left, top }, i) => {
    const fall = whole[target] - found[i][target];
    for (let y = top; y < top + patch; y++) {
      for (let x = left; x < left + patch; x++) {
        sums[y * width + x] += fall;
        counts[y * width + x] += 1;
      }
    }
  });
  return sums.map((sum, i) => sum / counts[i]);
}

function starts(size, patch, stride) {
  const found = [];
  for (let start = 0; start < size - patch; start += stride) found.push(start);
  return [...found, size - patch];
}

/**
 * Each region's share of a map's positive part.
 *
 * @param {Float32Array} map One value per pixel of an aligned face of `size` pixels.
 * @param {number} size
 * @returns {Record<string, number>} Summing to 1; zeros where nothing is positive.
 */
export function regionShares(map, size) {
  const region = regionAt(template(size));
  const sums = Object.fromEntries(REGIONS.map((name) => [name, 0]));
  map.forEach((value, i) => {
    sums[region((i % size) + 0.5, Math.floor(i / size) + 0.5)] += Math.max(value, 0);
  });
  const total = Object.values(sums).reduce((sum, value) => sum + value, 0) || 1;
  return Object.fromEntries(REGIONS.map((name) => [name, sums[name] / total]));
}

/** What tells the region of a position: the first that claims it. Lengths are in eye distances. */
function regionAt([rightEye, leftEye, nose, rightMouth, leftMouth]) {
  const unit = distance(rightEye, leftEye);
  const across = { x: (leftEye.x - rightEye.x) / unit, y: (leftEye.y - rightEye.y) / unit };
  const down = { x: -across.y, y: across.x };
  const lower = (point, by) => ({ x: point.x + by * unit * down.x, y: point.y + by * unit * down.y });
  const inside = (centre, wide, high) => (x, y) => {
    const [dx, dy] = [(x - centre.x) / unit, (y - centre.y) / unit];
    const along = (dx * across.x + dy * across.y) / wide;
    return along ** 2 + ((dx * down.x + dy * down.y) / high) ** 2 <= 1;
  };
  const bridge = between(rightEye, leftEye, 1 / 2);
  const drop = 0.62 * (((nose.x - bridge.x) * down.x + (nose.y - bridge.y) * down.y) / unit);
  const halfMouth = Math.max(distance(rightMouth, leftMouth) / unit / 2, 0.2);
  const eyes = [rightEye, leftEye];
  const claims = [
    ["mouth", [inside(between(rightMouth, leftMouth, 1 / 2), halfMouth + 0.2, 0.32)]],
    ["eyes", eyes.map((eye) => inside(eye, 0.33, 0.17))],
    ["brows", eyes.map((eye) => inside(lower(eye, -0.3), 0.45, 0.22))],
    ["nose", [inside(between(bridge, nose, 2 / 3), 0.24, 0.55)]],
    ["cheeks", eyes.map((eye) => inside(lower(eye, drop + 0.25), 0.45, 0.5))],
  ];
  return (x, y) => claims.find(([, parts]) => parts.some((part) => part(x, y)))?.[0] ?? "rest";
}

function distance(one, other) {
  return Math.hypot(other.x - one.x, other.y - one.y);
}

function between(one, other, share) {
  return { x: one.x + (other.x - one.x) * share, y: one.y + (other.y - one.y) * share };
}
