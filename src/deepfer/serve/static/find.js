/**
 * Find every face that a person would: small, turned, tilted, too close, noisy or dark. The
 * counterpart of `find.py`, which says why.
 *
 * @typedef {import("./pixels.js").Plane} Plane
 * @typedef {import("./faces.js").Face} Face
 * @typedef {import("./faces.js").Point} Point Also a complex number: a turn, or a shift.
 *
 * @typedef {(photo: Plane[], longSide: number, minScore: number) => Promise<Face[]>} Detect One
 *   look for upright faces of a photo (red, green, blue; or gray alone), best score first.
 */

import { moved, searchRatio, similarity, suppress, template } from "./faces.js";
import { affine, cut, luma, plane, reduce, resize, roundEven, turnLeft } from "./pixels.js";

const QUICK = 640; // long side of the first look, in pixels
const ENOUGH = 2.1e6; // pixels; up to there a large face says that the photo is of people nearby
const LARGE = 1 / 12; // a face of this share of the long side is large
const BEHIND = 960; // long side at which larger photos of people nearby are searched for others
const TURNED = 480; // long side of looks at turned copies
const FAINT = 0.6; // score at which another look's finding is worth a closer one
const [AROUND, CLOSE, FACE] = [384, 256, 116]; // pixels of a closer look: surroundings, view, face
const CANDIDATES = 3; // findings of another look that get a closer one
const STRAIGHT = 8; // degrees: upright in a closer look
// Scores that no face on its side or head gets, by its width as it was searched
const SURE = [
  [52, 0.8],
  [90, 0.88],
  [Infinity, 0.905],
];
const LEVEL = 15; // degrees: upright in the first look, at most a 15th of the face's width there
const FAVOUR = 0.01; // score by which another side must beat upright
const TURNS = 2; // closer looks until the landmarks are upright

const NOWHERE = { x: 0, y: 0 };

/** Finds faces and their five landmarks at any angle. */
export class FaceFinder {
  #detect;
  #minScore;

  /**
   * @param {Detect} detect
   * @param {number} minScore Faces below this score (0 to 1) are left out.
   */
  constructor(detect, minScore = 0.75) {
    this.#minScore = minScore;
    this.#detect = (photo, longSide) => detect(photo, longSide, Math.min(FAINT, minScore));
  }

  /**
   * Search a photo.
   *
   * @param {Plane[]} photo Red, green, blue.
   * @returns {Promise<Face[]>} Best score first; boxes are clipped to the photo.
   */
  async search(photo) {
    const { width, height } = photo[0];
    const longSide = Math.max(width, height);
    let found = await this.#clear(photo, QUICK);
    let side = 0;
    if (!found.some(({ box }) => box[2] > LARGE * longSide)) side = longSide;
    else if (width * height > ENOUGH) side = Math.min(BEHIND, longSide);
    if (side > 1.2 * QUICK) found = suppress([...found, ...(await this.#clear(photo, side))]);
    else side = QUICK;
    const { sure, unsure } = await this.#checked(photo, found, side);
    found = [...sure, ...unsure];
    if (!sure.length) found = (await this.#otherwise(luma(photo))) ?? unsure;
    const quarters = new Set(found.map(quarterOf).filter((quarter) => quarter > 0));
    for (const quarter of [...quarters].toSorted()) {
      found = [...found, ...(await this.#again(photo, quarter, side))];
    }
    return suppress(found);
  }

  /** The faces of a photo that quarter turns to the left bring upright. */
  async #again(photo, quarter, longSide) {
    const turned = photo.map((channel) => turnLeft(channel, quarter));
    const found = await this.#clear(turned, longSide);
    const { sure, unsure } = await this.#checked(turned, found, longSide);
    const { turn, shift } = quarterTurn(quarter, photo[0]);
    return suppress([...sure, ...unsure].map((face) => back(face, turn, shift, photo[0])));
  }

  /** The faces of at least the score asked for. */
  async #clear(photo, longSide) {
    const seen = await this.#detect(photo, longSide);
    return seen.filter(({ score }) => score >= this.#minScore);
  }

  /**
   * Faces of a search with the landmarks of their own orientation.
   *
   * @returns {Promise<{sure: Face[], unsure: Face[]}>} Those that are surely upright or stood a
   *   closer look, and the others.
   */
  async #checked(photo, found, longSide) {
    const ratio = searchRatio(Math.max(photo[0].width, photo[0].height), longSide);
    const sure = found.filter((face) => isUpright(face, ratio));
    const unsure = [];
    if (sure.length === found.length) return { sure, unsure };
    const gray = luma(photo);
    for (const face of found.filter((face) => !isUpright(face, ratio))) {
      const closer = await this.#upright(gray, face);
      if (closer) sure.push(closer);
      else unsure.push(face);
    }
    return { sure, unsure };
  }

  /** What the first of other looks finds, if any does. @param {Plane} photo Gray. */
  async #otherwise(photo) {
    for await (const found of this.#otherLooks(photo)) if (found.length) return found;
    return null;
  }

  /** Search a gray photo with a border, turned, stretched and smoothed, one by one. */
  async *#otherLooks(photo) {
    const zoom = Math.max(1, Math.max(photo.width, photo.height) / QUICK);
    const [wide, high] = [photo.width, photo.height].map((n) => Math.max(1, roundEven(n / zoom)));
    const small = resize(photo, wide, high, 2);
    const side = Math.max(wide, high);
    const turned = Math.min(side, TURNED);
    yield this.#look(photo, small, zoom, 1.6 * side, 0, side);
    for (const quarter of [90, 270, 180]) {
      yield this.#look(photo, small, zoom, side, quarter, turned);
    }
    for (const diagonal of [45, 315, 135, 225]) {
      yield this.#look(photo, small, zoom, 1.2 * side, diagonal, turned);
    }
    // closer looks at these, too, see what the photo itself does not show
    const [less, lower] = [wide, high].map((n) => Math.max(1, Math.floor((2 * n) / 3)));
    const softer = resize(resize(small, less, lower, 2), wide, high, 2);
    for (const [other, times] of [[stretch(small), 1], [softer, 1], [reduce(small, 2), 2]]) {
      const pixels = Math.max(1, Math.floor(side / times));
      const found = await this.#look(other, other, 1, side / times, 0, pixels);
      yield found.map((face) => back(face, { x: times * zoom, y: 0 }, { x: 0, y: 0 }, photo));
    }
  }

  /**
   * Search a square around the middle of the photo; what it shows must stand a closer look.
   *
   * @param {Plane} photo Gray.
   * @param {Plane} small The photo, shrunk.
   * @param {number} zoom By so much.
   * @param {number} side Of the square, in pixels of `small`.
   * @param {number} degrees By which the square is turned.
   * @param {number} pixels At which the square is searched.
   */
  async #look(photo, small, zoom, side, degrees, pixels) {
    const middle = { x: small.width / 2, y: small.height / 2 };
    const { view, turn, shift } = square(small, middle, side, degrees, pixels);
    const seen = await this.#detect([view], QUICK);
    const ratio = searchRatio(pixels, QUICK) / length(scaled(turn, zoom));
    const found = [];
    for (const one of seen.slice(0, CANDIDATES)) {
      const face = back(one, scaled(turn, zoom), scaled(shift, zoom), photo);
      const closer = isUpright(face, ratio) ? face : await this.#upright(photo, face);
      if (closer?.score >= this.#minScore) found.push(closer);
    }
    return found;
  }

  /**
   * A face with the landmarks of its own orientation; null where it is not one.
   *
   * @param {Plane} photo Gray.
   * @param {Face} face In its pixels, as some look found it.
   */
  async #upright(photo, face) {
    const side = (AROUND * widthOf(face)) / FACE;
    const { view: around, turn, shift } = square(photo, middleOf(face), side, 0, AROUND);
    // a larger face's own landmarks follow its turn better; the square is not turned
    const origin = { x: -shift.x / turn.x, y: -shift.y / turn.x };
    const own = back(face, { x: 1 / turn.x, y: 0 }, origin, around);
    let best = null;
    for (const seen of [own, ...(await this.#fromAllSides(around))]) {
      const straight = await this.#straightened(around, seen);
      if (straight && (!best || preference(straight) > preference(best))) best = straight;
    }
    if (!best || best.score < this.#minScore) return null;
    return { ...back(best, turn, shift, photo), score: Math.max(best.score, face.score) };
  }

  /**
   * Look at a face from where its landmarks say that it is upright, until it is.
   *
   * @param {Plane} around The face in the middle of its surroundings, `FACE` pixels wide.
   * @param {Face} seen The face as it was seen.
   * @returns {Promise<Face?>}
   */
  async #straightened(around, seen) {
    let face = seen;
    for (let i = 0; i < TURNS; i++) {
      const degrees = roundEven(rollOf(seen));
      face = await this.#closer(around, middleOf(seen), degrees);
      if (!face || Math.abs(turned(rollOf(face), degrees)) < STRAIGHT) break;
      seen = face;
    }
    return face;
  }

  /**
   * Look at what is in the middle of a square from four sides, in one picture.
   *
   * @returns {Promise<Face[]>} The face as it is seen from each side where it is.
   */
  async #fromAllSides(around) {
    const edge = (AROUND - CLOSE) / 2;
    const view = cut(around, edge, edge, edge + CLOSE, edge + CLOSE);
    const seen = await this.#detect([fourSides(view)], 2 * CLOSE);
    const found = [];
    for (let quarter = 0; quarter < 4; quarter++) {
      const corner = scaled({ x: quarter % 2, y: quarter >> 1 }, CLOSE);
      const face = inTheMiddle(seen, corner);
      if (!face) continue;
      const { turn, shift } = quarterTurn(quarter, view);
      const start = moved(corner, turn, NOWHERE);
      const place = { x: edge + shift.x - start.x, y: edge + shift.y - start.y };
      found.push(back(face, turn, place, around));
    }
    return found;
  }

  async #closer(around, middle, degrees) {
    const { view, turn, shift } = square(around, middle, CLOSE, degrees, CLOSE);
    const seen = await this.#detect([view], QUICK); // enlarged: landmarks follow turns better
    const face = inTheMiddle(seen, NOWHERE);
    return face && back(face, turn, shift, around);
  }
}

/**
 * A photo whose gray levels, but for the outer hundredths, fill the whole range.
 *
 * @param {Plane} photo
 * @returns {Plane}
 */
export function stretch({ width, height, data }) {
  const counts = new Uint32Array(256);
  for (const level of data) counts[level]++;
  for (let level = 1; level < 256; level++) counts[level] += counts[level - 1];
  const few = Math.floor(data.length / 100);
  const low = counts.findIndex((count) => count > few);
  const high = counts.findIndex((count) => count >= data.length - few);
  const levels = Uint8ClampedArray.from(counts, (_, level) =>
    Math.floor(((level - low) * 255) / Math.max(1, high - low)),
  );
  return { width, height, data: data.map((level) => levels[level]) };
}

/** The quarter turns to the left, 0 to 3, that bring a face nearest to upright. */
export function quarterOf(face) {
  return (roundEven(rollOf(face) / 90) + 4) % 4;
}

/** The best face of a closer look whose view has its upper left corner there, or null. */
function inTheMiddle(faces, corner) {
  const near = (face) => {
    const { x, y } = middleOf(face);
    const off = { x: x - corner.x - CLOSE / 2, y: y - corner.y - CLOSE / 2 };
    return length(off) < FACE / 2;
  };
  const fits = (face) => 0.4 * FACE < widthOf(face) && widthOf(face) < 1.8 * FACE;
  return faces.find((face) => near(face) && fits(face)) ?? null;
}

/** A square as it is, and turned left by one, two and three quarters, in two rows. */
export function fourSides(view) {
  const size = view.width;
  const picture = plane(2 * size, 2 * size);
  for (let quarter = 0; quarter < 4; quarter++) {
    const { data } = turnLeft(view, quarter);
    for (let y = 0; y < size; y++) {
      const start = ((quarter >> 1) * size + y) * 2 * size + (quarter % 2) * size;
      picture.data.set(data.subarray(y * size, (y + 1) * size), start);
    }
  }
  return picture;
}

/** The turn and shift from a picture turned left by quarters to one of this size. */
export function quarterTurn(quarter, { width, height }) {
  const turn = { x: [1, 0, -1, 0][quarter], y: [0, 1, 0, -1][quarter] };
  const size = quarter % 2 ? [height, width] : [width, height];
  return { turn, shift: shiftOf(turn, { x: width / 2, y: height / 2 }, ...size) };
}

/** The shift that brings the middle of a picture of this size to a point. */
function shiftOf(turn, { x, y }, width, height) {
  const middle = moved({ x: width / 2, y: height / 2 }, turn, NOWHERE);
  return { x: x - middle.x, y: y - middle.y };
}

/**
 * A turned square of a gray photo, and the turn and shift from it to the photo. Beyond the photo
 * its border is repeated.
 *
 * @param {Plane} photo
 * @param {Point} centre
 * @param {number} side In pixels of the photo.
 * @param {number} degrees
 * @param {number} pixels Height and width of the result.
 * @returns {{view: Plane, turn: Point, shift: Point}}
 */
export function square(photo, centre, side, degrees, pixels) {
  const angle = (degrees * Math.PI) / 180;
  const turn = scaled({ x: Math.cos(angle), y: Math.sin(angle) }, side / pixels);
  const shift = shiftOf(turn, centre, pixels, pixels);
  const reach = (side * (Math.abs(turn.x) + Math.abs(turn.y))) / length(turn) / 2;
  const [left, top] = [centre.x, centre.y].map((value) => Math.floor(value - reach));
  const whole = Math.ceil(2 * reach) + 1;
  const size = Math.max(1, roundEven((whole * pixels) / side));
  const region = resize(cut(photo, left, top, left + whole, top + whole), size, size, 2);
  // what is left is a turn and shift by parts of a pixel
  const scale = size / whole;
  const step = scaled(turn, scale);
  const origin = scaled({ x: shift.x - left, y: shift.y - top }, scale);
  const matrix = [step.x, -step.y, origin.x, step.y, step.x, origin.y];
  return { view: affine(region, pixels, pixels, matrix), turn, shift };
}

/** The turn from one angle to another, -180 to 180. */
function turned(degrees, other) {
  const turn = (degrees - other + 180) % 360;
  return (turn < 0 ? turn + 360 : turn) - 180;
}

function preference(face) {
  return face.score + (Math.abs(rollOf(face)) < 45 ? FAVOUR : 0);
}

function middleOf({ box: [x, y, width, height] }) {
  return { x: x + width / 2, y: y + height / 2 };
}

function widthOf({ box: [, , width, height] }) {
  return Math.max(width, height);
}

/**
 * Whether a face is surely upright.
 *
 * @param {Face} face
 * @param {number} ratio The searched picture's size over its own.
 */
export function isUpright(face, ratio) {
  const width = ratio * widthOf(face);
  const [, sure] = SURE.find(([limit]) => width < limit);
  // the landmarks of small faces hardly follow a turn
  return face.score >= sure && Math.abs(rollOf(face)) <= Math.min(LEVEL, width / 15);
}

/** A face of a view in the photo's pixels; its box stays level and keeps its size. */
export function back(face, turn, shift, photo) {
  const middle = moved(middleOf(face), turn, shift);
  const sideways = Math.abs(turn.y) > Math.abs(turn.x);
  const [, , width, height] = face.box;
  const [wide, high] = (sideways ? [height, width] : [width, height]).map((n) => n * length(turn));
  const edges = (at, size, limit) =>
    [-1, 1].map((s) => Math.min(Math.max(0, roundEven(at + (s * size) / 2)), limit));
  const [left, right] = edges(middle.x, wide, photo.width);
  const [top, bottom] = edges(middle.y, high, photo.height);
  const landmarks = face.landmarks
    .map((point) => moved(point, turn, shift))
    .map(({ x, y }) => ({ x: Math.fround(x), y: Math.fround(y) })); // as Python has them
  return { ...face, box: [left, top, right - left, bottom - top], landmarks };
}

/** A face's roll in degrees. */
function rollOf({ landmarks }) {
  const { turn } = similarity(template(48), landmarks);
  return (Math.atan2(turn.y, turn.x) * 180) / Math.PI;
}

function scaled({ x, y }, factor) {
  return { x: x * factor, y: y * factor };
}

function length({ x, y }) {
  return Math.hypot(x, y);
}
