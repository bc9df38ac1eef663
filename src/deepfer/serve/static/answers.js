/**
 * What is told of a face: its expression under a prior, whether that is certain, what people may
 * see, and what makes the face hard. The counterpart of `prior.py`, `certainty.py`, `quality.py`
 * and of `face_record` in `report.py`.
 *
 * @typedef {import("./pixels.js").Plane} Plane
 * @typedef {import("./faces.js").Face} Face
 * @typedef {import("./browser.js").Model} Model
 */

import { onGrid } from "./faces.js";

const SMALL = 32; // pixels of the photo
const [BLURRED, NOISY] = [0.3, 1.25];
const [DARK, BRIGHT] = [0.2, 0.85];
const [YAW, PITCH] = [30, 20]; // degrees

// The five points of a face that looks straight ahead, in heights from its eyes to its mouth
const NOSE = 0.55;
const AHEAD = 0.4;
const ACROSS = 1.9;

/**
 * The prior that was asked for.
 *
 * @param {string|Record<string, number>} asked "photos", "balanced", or own shares, as an object
 *   or as "happy=0.3,sad=0.2,...".
 * @param {Model} model
 * @returns {{text: string, weights: number[]|null}} What each probability is multiplied by, in the
 *   order of the model's labels; null where its own shares are wanted.
 * @throws {Error} It is none of these, or the model does not know the shares it learnt.
 */
export function readPrior(asked, { name, labels, prior }) {
  if (asked === "photos") return { text: "photos", weights: null };
  const shown = typeof asked === "string" ? asked : JSON.stringify(asked);
  if (!prior.length) throw new Error(`prior ${shown}: ${name} does not say which shares it learnt`);
  const even = asked === "balanced";
  const own = typeof asked === "string" ? parsed(asked) : asked;
  const known = even || Object.keys(own).toSorted().join() === labels.toSorted().join();
  const values = labels.map((label) => (even ? 1 : Number(own[label])));
  if (!known || !values.every((value) => value > 0 && value < Infinity)) {
    throw new Error(`prior ${shown}: expected photos, balanced, or a share above 0 for each of ${labels}`);
  }
  const total = values.reduce((sum, value) => sum + value, 0);
  const shares = values.map((value) => value / total);
  const text = labels.map((label, i) => `${label}=${Number(shares[i].toPrecision(6))}`).join();
  return { text: even ? "balanced" : text, weights: shares.map((share, i) => share / prior[i]) };
}

function parsed(text) {
  return Object.fromEntries(text.split(",").map((part) => part.split("=").map((s) => s.trim())));
}

/** Probabilities under a prior of `readPrior`, summing to 1. @param {number[]} row */
export function reweighted(row, { weights }) {
  if (!weights) return row;
  const weighted = row.map((value, i) => value * weights[i]);
  const sum = weighted.reduce((total, value) => total + value, 0);
  return weighted.map((value) => value / sum);
}

/**
 * What is told of a face, as `deepfer predict --json` prints it.
 *
 * @param {Face} face In pixels of the photo.
 * @param {Plane} crop The face as the network sees it.
 * @param {number[]} row Its probabilities, in the order of the model's labels.
 * @param {Model} model
 */
export function faceRecord({ box, score, landmarks }, crop, row, model) {
  const { labels, expressions } = model;
  const best = row.indexOf(Math.max(...row));
  const [yaw, pitch, roll] = poseOf(landmarks);
  const sharpness = sharpnessOf(crop);
  const light = lightOf(crop);
  const size = Math.min(box[2], box[3]);
  const poor = {
    small: size < SMALL,
    blurred: sharpness < BLURRED,
    noisy: sharpness > NOISY,
    dark: light < DARK,
    bright: light > BRIGHT,
    "turned away": Math.abs(yaw) > YAW || Math.abs(pitch) > PITCH,
  };
  return {
    box,
    detector_score: rounded(score, 4),
    expression: labels[best],
    probability: rounded(row[best], 6),
    certain: row[best] >= model.certainty,
    possible: possible(row, model.set_mass).map((i) => labels[i]),
    pose: { yaw: rounded(yaw, 1), pitch: rounded(pitch, 1), roll: rounded(roll, 1) },
    sharpness: rounded(sharpness, 3),
    light: rounded(light, 3),
    size,
    notes: Object.keys(poor).filter((note) => poor[note]),
    probabilities: Object.fromEntries(
      expressions.map((name) => [name, rounded(row[labels.indexOf(name)], 6)]),
    ),
  };
}

/** A face's answer in words: the expression, or what people may see. */
export function answerOf({ certain, expression, possible }) {
  return certain ? expression : `uncertain: ${possible.join(" or ")}`;
}

/** The fewest columns that reach the mass together, most probable first. */
function possible(row, mass) {
  const ranked = row.map((_, i) => i).sort((one, other) => row[other] - row[one]);
  const chosen = [];
  let total = 0;
  for (const i of ranked) {
    if (chosen.length && total >= mass) break;
    chosen.push(i);
    total += row[i];
  }
  return chosen;
}

/** Root mean square of the Laplacian over the deviation of the gray levels. */
function sharpnessOf({ width, height, data }) {
  let [edges, total, squares] = [0, 0, 0];
  for (const value of data) {
    total += value;
    squares += value * value;
  }
  for (let y = 1; y < height - 1; y++) {
    for (let i = y * width + 1; i < (y + 1) * width - 1; i++) {
      const around = data[i - width] + data[i + width] + data[i - 1] + data[i + 1];
      edges += (4 * data[i] - around) ** 2;
    }
  }
  const strength = Math.sqrt(edges / ((width - 2) * (height - 2)));
  const size = data.length;
  return strength / Math.max(Math.sqrt(size * squares - total * total) / size, 1);
}

function lightOf({ data }) {
  return data.reduce((sum, value) => sum + value, 0) / data.length / 255;
}

/** Yaw, pitch and roll in degrees from five landmarks. */
function poseOf(landmarks) {
  const [rightEye, leftEye, nose, rightMouth, leftMouth] = landmarks.map(onGrid);
  const x = leftEye.x - rightEye.x + leftMouth.x - rightMouth.x;
  const y = leftEye.y - rightEye.y + leftMouth.y - rightMouth.y;
  const width = Math.max(Math.hypot(x, y), 1e-9);
  const upright = (point) => ({
    x: (point.x * x + point.y * y) / width,
    y: (point.y * x - point.x * y) / width,
  });
  const between = (one, other) => ({ x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 });
  const [eyes, mouth] = [between(rightEye, leftEye), between(rightMouth, leftMouth)].map(upright);
  const tip = upright(nose);
  const down = { x: mouth.x - eyes.x, y: mouth.y - eyes.y };
  const aside = (tip.x - eyes.x - NOSE * down.x) / AHEAD;
  const low = (tip.y - eyes.y - NOSE * down.y) / AHEAD;
  const pitch = Math.atan2(-low, down.y);
  const yaw = Math.atan2(aside, (Math.cos(pitch) * width) / ACROSS);
  return [yaw, pitch, Math.atan2(y, x)].map((angle) => (angle * 180) / Math.PI);
}

/** A number to so many decimal places. */
export function rounded(value, places) {
  return Number(value.toFixed(places));
}
