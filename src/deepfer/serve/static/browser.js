/**
 * Recognition in the browser alone: no picture leaves the machine. The counterpart of
 * `deepfer.Recognizer`, whose answers it gives to three places.
 *
 * It needs the folder that `deepfer export --web` writes: `model.json`, the model files that it
 * names, and ONNX Runtime Web.
 *
 * @typedef {import("./pixels.js").Plane} Plane
 * @typedef {import("./photo.js").Source} Source
 *
 * @typedef {object} Model What the model file says about itself.
 * @property {string} name
 * @property {string[]} labels In the order of the network's outputs.
 * @property {string[]} expressions The labels in the order of results.
 * @property {{height: number, width: number, mean: number, std: number, standardize: boolean}}
 *   input
 * @property {number} temperature
 * @property {number[]} prior Share of each label in what it learnt; empty where it is not known.
 * @property {number} set_mass What the probabilities of `possible` reach together.
 * @property {number} certainty The least probability of a certain answer.
 * @property {{model: string, detector: string}} files
 *
 * @typedef {object} Engine
 * @property {Model} model
 * @property {(source: Source, name?: string, prior?: Prior) => Promise<object>} recognize The JSON
 *   of `deepfer predict --json`. `name` is what the result calls the picture; by default a file's
 *   name, else "-". `prior` is how often each expression is expected, by default "photos".
 * @property {(source: Source, number: number, target?: string, prior?: Prior) => Promise<object>}
 *   explain What decided about one face: `number` counts the faces of `recognize` from 1, `target`
 *   is the expression to explain, by default the most probable one. `map` and `pixels` are rows of
 *   numbers.
 *
 * @typedef {string|Record<string, number>} Prior "photos", "balanced" or own shares; see
 *   `readPrior` of answers.js.
 */

import { faceRecord, readPrior, reweighted, rounded } from "./answers.js";
import { cutFace, decode, detectorInput, facesOf, normalize } from "./faces.js";
import { FaceFinder } from "./find.js";
import { occlusionMap, regionShares } from "./occlusion.js";
import { readPhoto } from "./photo.js";
import { luma, resize } from "./pixels.js";

const SCHEMA = 2;
const BATCH = 64; // faces that are classified at once

/**
 * Load the models, once per page.
 *
 * @param {string} base Where the exported folder is, relative to the page.
 * @returns {Promise<Engine>}
 * @throws {Error} A file is missing or cannot be used.
 */
export async function openEngine(base = ".") {
  const root = new URL(`${base}/`, location.href);
  const model = await fetchJson(new URL("model.json", root));
  const ort = await import(new URL("onnxruntime.js", root));
  ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", root).href };
  ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 4) : 1;
  ort.env.wasm.proxy = true; // in a worker, so that the page stays alive meanwhile
  const open = (file) =>
    ort.InferenceSession.create(new URL(file, root).href, { executionProviders: ["wasm"] });
  const detector = await open(model.files.detector);
  const network = await open(model.files.model);
  const finder = new FaceFinder(detect);
  const seen = new WeakMap(); // files never change, so their faces need not be found twice

  async function run(session, data, dims) {
    const input = new ort.Tensor("float32", data, dims);
    return session.run({ [session.inputNames[0]]: input });
  }

  async function prepare(source, name = nameOf(source)) {
    const known = seen.get(source);
    if (known) return known;
    const found = await find(await readPhoto(source, name));
    if (source instanceof Blob) seen.set(source, found);
    return found;
  }

  async function find(photo) {
    const { width, height } = photo[0];
    const faces = await finder.search(photo);
    const crops = faces.map(({ landmarks }) => toPixels(photo, landmarks, model.input));
    return { width, height, faces, crops };
  }

  async function detect(photo, longSide, minScore) {
    const { tiles, zoom } = detectorInput(photo, longSide);
    const found = [];
    for (const tile of tiles) {
      found.push(...decode(await run(detector, tile.data, tile.dims), tile, minScore));
    }
    return facesOf(found, zoom, photo[0].width, photo[0].height);
  }

  async function classify(crops) {
    const rows = [];
    for (let start = 0; start < crops.length; start += BATCH) {
      const batch = crops.slice(start, start + BATCH);
      const dims = [batch.length, 1, model.input.height, model.input.width];
      const answer = await run(network, normalize(batch, model.input), dims);
      const logits = answer[network.outputNames[0]].data;
      const count = model.labels.length;
      for (let i = 0; i < logits.length; i += count) {
        rows.push(softmax([...logits.subarray(i, i + count)].map((v) => v / model.temperature)));
      }
    }
    return rows;
  }

  async function recognize(source, name = nameOf(source), prior = "photos") {
    const expected = readPrior(prior, model);
    const { width, height, faces, crops } = await prepare(source, name);
    const rows = await classify(crops);
    return {
      schema: SCHEMA,
      source: name,
      width,
      height,
      model: model.name,
      prior: expected.text,
      faces: faces.map((face, i) =>
        faceRecord(face, crops[i], reweighted(rows[i], expected), model),
      ),
    };
  }

  async function explain(source, number, target, prior = "photos") {
    const expected = readPrior(prior, model);
    const { faces, crops } = await prepare(source);
    const crop = crops[number - 1];
    if (!crop) throw new Error(`face ${number}: the picture has ${crops.length}`);
    const answer = async (some) => (await classify(some)).map((row) => reweighted(row, expected));
    const [row] = await answer([crop]);
    const { expression, probabilities } = faceRecord(faces[number - 1], crop, row, model);
    const column = model.labels.indexOf(target ?? expression);
    if (column < 0) throw new Error(`unknown expression "${target}"; known: ${model.labels}`);
    const map = await occlusionMap(crop, column, answer);
    const shares = Object.entries(regionShares(map, crop.width));
    return {
      schema: SCHEMA,
      face: number,
      expression,
      target: model.labels[column],
      prior: expected.text,
      method: "occlusion",
      probabilities,
      regions: Object.fromEntries(shares.map(([name, share]) => [name, rounded(share, 4)])),
      map: toRows([...map].map((value) => rounded(value, 5)), crop.width),
      pixels: toRows([...crop.data], crop.width),
    };
  }

  return { model, recognize, explain };
}

function nameOf(source) {
  return source.name ?? "-";
}

async function fetchJson(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return response.json();
}

/** One face as the network sees it. @returns {Plane} */
function toPixels(photo, landmarks, { width, height }) {
  return resize(luma(cutFace(photo, landmarks, height)), width, height);
}

function softmax(logits) {
  const top = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - top));
  const sum = powers.reduce((total, value) => total + value, 0);
  return powers.map((value) => value / sum);
}

function toRows(values, width) {
  return Array.from({ length: values.length / width }, (_, row) =>
    values.slice(row * width, (row + 1) * width),
  );
}
