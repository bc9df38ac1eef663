/**
 * Pictures to planes: the only place where image files are decoded. The counterpart of `media.py`.
 *
 * @typedef {import("./pixels.js").Plane} Plane
 * @typedef {Blob | ImageBitmap | HTMLCanvasElement | OffscreenCanvas | ImageData} Source
 */

import { split } from "./pixels.js";

const MAX_PIXELS = 178_956_970; // as in Python; browsers may give up earlier

/**
 * Decode a picture, turned upright as its EXIF data says. Transparent parts become white.
 *
 * @param {Source} source
 * @param {string} name What error messages call it.
 * @returns {Promise<Plane[]>} Red, green, blue.
 * @throws {Error} It is no image that this browser can read, or it is too large.
 */
export async function readPhoto(source, name) {
  if (source instanceof ImageData) return split(source.data, source.width, source.height);
  const picture = source instanceof Blob ? await decode(source, name) : source;
  const { width, height } = picture;
  try {
    const { data } = drawn(picture, width, height);
    return split(data, width, height);
  } catch {
    throw new Error(`${name}: ${width}x${height} pixels are too many; make it smaller`);
  } finally {
    if (source instanceof Blob) picture.close();
  }
}

async function decode(blob, name) {
  try {
    return await createImageBitmap(blob, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none", // the canvas rounds better than the WebP decoder
      colorSpaceConversion: "none", // Python, too, takes the values as they are
    });
  } catch {
    const found = blob.size ? "not an image that this browser can read" : "the file is empty";
    throw new Error(`${name}: ${found}; give a JPEG, PNG, WebP, BMP or GIF`);
  }
}

function drawn(picture, width, height) {
  if (width * height > MAX_PIXELS) throw new RangeError("too many pixels");
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, 0, 0);
  return context.getImageData(0, 0, width, height);
}
