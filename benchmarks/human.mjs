// The side of @vladmandic/human in speed.py, which says how to install it, and in conditions.py.
//
//     node human.mjs PROJECT photo PHOTO.png     the faces of one photo and their emotions
//     node human.mjs PROJECT speed FOLDER        figures; FOLDER has 512x512.raw, 1920x1080.raw
//     node human.mjs PROJECT classes FACES.raw   the class of each 64x64 face, in FER2013's order
//
//     node human.mjs PROJECT answer              its version, then an answer per line of stdin:
//         ["crops", FACES.raw, N, 64, 64]        the probabilities of each face, in that order
//         ["photo", PHOTO.raw, HEIGHT, WIDTH, 3] those of the face that is found, or null
//
// Prints one line of JSON (`answer`: many). Only the face detector and the emotion network are on, else the defaults
// hold, such as one face per photo. They run on WebAssembly with SIMD, for which TensorFlow.js has no
// threads in Node. Raw files are 8-bit pixels, RGB for photos and gray for faces.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [project, task, target] = process.argv.slice(2);
const modules = resolve(project, "node_modules");
const require = createRequire(resolve(modules, "any"));
const { Human } = require(resolve(modules, "@vladmandic/human/dist/human.node-wasm.js"));

// The models lie in the package, but its loader for WebAssembly only fetches over HTTP.
const models = pathToFileURL(resolve(modules, "@vladmandic/human/models")).href;
const host = "http://localhost/";
globalThis.fetch = async (url) => new Response(readFileSync(new URL(url.replace(host, "file:///"))));

const off = { enabled: false };
const human = new Human({
  backend: "wasm",
  wasmPath: resolve(modules, "@tensorflow/tfjs-backend-wasm/dist") + "/",
  modelBasePath: models.replace("file:///", host),
  cacheSensitivity: 0, // or the second look at a photo is free
  filter: off, body: off, hand: off, object: off, gesture: off, segmentation: off,
  face: {
    mesh: off, iris: off, description: off, antispoof: off, liveness: off,
    emotion: { enabled: true },
  },
});
await human.load();
const { tf } = human;

/** Return the faces of one photo, given as float32 pixels. */
async function detect(pixels, height, width) {
  const input = tf.tensor3d(pixels, [height, width, pixels.length / height / width], "float32");
  const { face } = await human.detect(input);
  input.dispose();
  return face;
}

/** Return the seven probabilities of each ready 64x64 face (float32, -1 to 1), 32 at a time. */
async function classify(faces, batch = 32) {
  const all = [];
  for (let start = 0; start < faces.length; start += batch * 4096) {
    const part = faces.subarray(start, start + batch * 4096);
    const input = tf.tensor4d(part, [part.length / 4096, 64, 64, 1]);
    const output = human.models.models.emotion.execute(input);
    all.push(...(await output.array()));
    tf.dispose([input, output]);
  }
  return all;
}

/** Return the median seconds of some calls. */
async function median(work, count) {
  const times = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    await work();
    times.push((performance.now() - start) / 1000);
  }
  return times.sort((a, b) => a - b)[count >> 1];
}

/** Return the figures of one round; a warm-up that long is what the just-in-time compiler takes. */
async function speed(folder) {
  const faces = Float32Array.from({ length: 512 * 4096 }, () => 2 * Math.random() - 1);
  const few = faces.subarray(0, 200 * 4096);
  await classify(few);
  const figures = {
    "crops per second": 512 / (await median(() => classify(faces), 3)),
    "crops per second, one by one": 200 / (await median(() => classify(few, 1), 3)),
  };
  for (const [width, height, count] of [[512, 512, 30], [1920, 1080, 20]]) {
    const photo = readFileSync(resolve(folder, `${width}x${height}.raw`));
    const floats = new Float32Array(photo.length); // kept, since a new one each time takes longer
    const work = () => { floats.set(photo); return detect(floats, height, width); };
    await median(work, 20);
    figures[`photo ${width}x${height} (ms)`] = 1000 * (await median(work, count));
  }
  figures["peak memory (MB)"] = process.resourceUsage().maxRSS / 1024;
  return figures;
}

const FER2013 = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];

/** Print the answer to every line of stdin. */
async function answer() {
  for await (const line of createInterface({ input: process.stdin })) {
    const [task, file, ...shape] = JSON.parse(line);
    const pixels = readFileSync(file);
    let rows;
    if (task === "crops") rows = await classify(Float32Array.from(pixels, (x) => x / 127.5 - 1));
    else {
      const [face] = await detect(Float32Array.from(pixels), shape[0], shape[1]);
      const scores = new Map(face?.emotion?.map(({ emotion, score }) => [emotion, score]));
      rows = scores.size ? FER2013.map((name) => scores.get(name) ?? 0) : null;
    }
    console.log(JSON.stringify(rows));
  }
}

const tasks = {
  photo: async (path) => {
    const { data, width, height } = require("pngjs").PNG.sync.read(readFileSync(path));
    const faces = await detect(data, height, width);
    return { faces: faces.map(({ box, score, emotion }) => ({ box, score, emotion })) };
  },
  speed,
  classes: async (path) => {
    const rows = await classify(Float32Array.from(readFileSync(path), (x) => x / 127.5 - 1));
    return rows.map((row) => row.indexOf(Math.max(...row)));
  },
};
if (task === "answer") {
  console.log(JSON.stringify(human.version));
  await answer();
} else console.log(JSON.stringify(await tasks[task](target)));
