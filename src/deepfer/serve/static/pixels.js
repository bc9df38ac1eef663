/**
 * Pixels as Pillow computes them, value for value: what the Python package does with Pillow has
 * to come out the same in the browser.
 *
 * A colour picture is three planes (red, green, blue); every function works on one plane.
 *
 * @typedef {{width: number, height: number, data: Uint8Array}} Plane Rows from the top.
 */

const PRECISION = 22; // bits behind the point of the resampling weights

/** An empty plane. @returns {Plane} */
export function plane(width, height) {
  return { width, height, data: new Uint8Array(width * height) };
}

/** Round to the nearest whole number, halves to the even one, as Python does. */
export function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  return rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/**
 * Split interleaved pixels into planes; what is transparent becomes white.
 *
 * @param {Uint8ClampedArray} rgba Not premultiplied.
 * @returns {Plane[]} Red, green, blue.
 */
export function split(rgba, width, height) {
  const planes = [0, 1, 2].map(() => plane(width, height));
  planes.forEach(({ data }, channel) => {
    for (let i = 0, j = channel; i < data.length; i++, j += 4) {
      const alpha = rgba[4 * i + 3];
      data[i] = alpha === 255 ? rgba[j] : Math.round((rgba[j] * alpha) / 255) + 255 - alpha;
    }
  });
  return planes;
}

/** The luma of ITU-R BT.601: `Image.convert("L")`. @param {Plane[]} planes @returns {Plane} */
export function luma([red, green, blue]) {
  const gray = plane(red.width, red.height);
  for (let i = 0; i < gray.data.length; i++) {
    const sum = red.data[i] * 19595 + green.data[i] * 38470 + blue.data[i] * 7471;
    gray.data[i] = (sum + 0x8000) >> 16;
  }
  return gray;
}

/**
 * A rectangle of a plane; where it lies beyond the plane the border is repeated.
 *
 * @param {Plane} source
 * @returns {Plane}
 */
export function cut(source, left, top, right, bottom) {
  const part = plane(right - left, bottom - top);
  const within = (value, size) => Math.min(Math.max(value, 0), size - 1);
  for (let y = 0, i = 0; y < part.height; y++) {
    const row = within(top + y, source.height) * source.width;
    for (let x = 0; x < part.width; x++) {
      part.data[i++] = source.data[row + within(left + x, source.width)];
    }
  }
  return part;
}

/** A plane turned left by quarters: `np.rot90`. @param {Plane} source @returns {Plane} */
export function turnLeft(source, quarters) {
  if (quarters === 0) return source;
  const { width, height, data } = turnLeft(source, quarters - 1);
  const turned = plane(height, width);
  for (let y = 0, i = 0; y < width; y++) {
    for (let x = 0; x < height; x++) turned.data[i++] = data[x * width + width - 1 - y];
  }
  return turned;
}

/**
 * Average blocks of pixels: `Image.reduce`. The last block of a row or column may be smaller.
 *
 * @param {Plane} source
 * @param {number} across Width of a block.
 * @param {number} down Height of a block.
 * @returns {Plane}
 */
export function reduce(source, across, down = across) {
  const small = plane(Math.ceil(source.width / across), Math.ceil(source.height / down));
  for (let y = 0, i = 0; y < small.height; y++) {
    const bottom = Math.min((y + 1) * down, source.height);
    for (let x = 0; x < small.width; x++, i++) {
      const right = Math.min((x + 1) * across, source.width);
      const count = (bottom - y * down) * (right - x * across);
      let sum = count >> 1;
      for (let row = y * down; row < bottom; row++) {
        const start = row * source.width;
        for (let column = x * across; column < right; column++) sum += source.data[start + column];
      }
      // Pillow multiplies by a reciprocal in 32-bit integers, itself found in float32
      const reciprocal = Math.trunc(Math.fround(2 ** 24 / count));
      small.data[i] = (sum * reciprocal) / 2 ** 24;
    }
  }
  return small;
}

/**
 * Resize with the bilinear filter, which widens with the shrinking factor:
 * `Image.resize(..., BILINEAR, reducing_gap=gap)`.
 *
 * @param {Plane} source
 * @param {number} gap Whole blocks are averaged first, as far as what is left to shrink stays
 *   above this factor; by default none are.
 * @returns {Plane}
 */
export function resize(source, width, height, gap = Infinity) {
  if (source.width === width && source.height === height) return source;
  const across = Math.trunc(source.width / width / gap) || 1;
  const down = Math.trunc(source.height / height / gap) || 1;
  const blocks = across > 1 || down > 1 ? reduce(source, across, down) : source;
  const wide = weights(blocks.width, source.width / across, width);
  const high = weights(blocks.height, source.height / down, height);
  // Pillow's order, which shows in the rounding between the passes
  const less = blocks.height - height;
  const rowsFirst = less > 0 && less > 2 * (blocks.width - width);
  return rowsFirst
    ? resizeColumns(resizeRows(blocks, high), wide)
    : resizeRows(resizeColumns(blocks, wide), high);
}

/**
 * The weights of the source pixels that each target pixel is made of, in fixed point.
 *
 * @param {number} size Source pixels.
 * @param {number} used Of these, the length that is resized.
 * @param {number} target Target pixels.
 * @returns {{start: number, values: Int32Array}[]} Per target pixel.
 */
function weights(size, used, target) {
  const scale = Math.fround(used) / target;
  const support = Math.max(scale, 1);
  return Array.from({ length: target }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), size);
    const raw = Array.from({ length: end - start }, (_, k) =>
      Math.max(1 - Math.abs((k + start - centre + 0.5) * (1 / support)), 0),
    );
    const sum = raw.reduce((total, value) => total + value, 0);
    return { start, values: Int32Array.from(raw, (v) => 0.5 + (v / sum) * 2 ** PRECISION) };
  });
}

function resizeColumns(source, columns) {
  const wide = plane(columns.length, source.height);
  columns.forEach(({ start, values }, x) => {
    for (let y = 0; y < source.height; y++) {
      let sum = 1 << (PRECISION - 1);
      const first = y * source.width + start;
      for (let k = 0; k < values.length; k++) sum += source.data[first + k] * values[k];
      wide.data[y * wide.width + x] = Math.min(sum >> PRECISION, 255);
    }
  });
  return wide;
}

function resizeRows(source, rows) {
  const { width } = source;
  const high = plane(width, rows.length);
  rows.forEach(({ start, values }, y) => {
    for (let x = 0; x < width; x++) {
      let sum = 1 << (PRECISION - 1);
      for (let k = 0; k < values.length; k++) {
        sum += source.data[(start + k) * width + x] * values[k];
      }
      high.data[y * width + x] = Math.min(sum >> PRECISION, 255);
    }
  });
  return high;
}

/**
 * Read a plane at transformed positions: `Image.transform(..., AFFINE, matrix, BILINEAR)`.
 *
 * @param {Plane} source
 * @param {number[]} matrix a, b, c, d, e, f: target pixel (x, y), taken at its centre, reads
 *   (ax + by + c, dx + ey + f); beyond the source it is 0.
 * @returns {Plane}
 */
export function affine(source, width, height, [a, b, c, d, e, f]) {
  const target = plane(width, height);
  for (let row = 0, i = 0; row < height; row++) {
    for (let column = 0; column < width; column++, i++) {
      const x = a * (column + 0.5) + b * (row + 0.5) + c;
      const y = d * (column + 0.5) + e * (row + 0.5) + f;
      target.data[i] = bilinear(source, x, y);
    }
  }
  return target;
}

function bilinear({ width, height, data }, x, y) {
  if (x < 0 || x >= width || y < 0 || y >= height) return 0;
  const left = Math.floor(x - 0.5);
  const top = Math.floor(y - 0.5);
  const across = x - 0.5 - left;
  const down = y - 0.5 - top;
  const near = Math.max(left, 0);
  const far = Math.min(left + 1, width - 1);
  const mix = (row) => data[row + near] + (data[row + far] - data[row + near]) * across;
  const upper = mix(Math.max(top, 0) * width);
  const lower = top + 1 < height ? mix((top + 1) * width) : upper;
  return upper + (lower - upper) * down; // cut to whole numbers when stored, not rounded
}
