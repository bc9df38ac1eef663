// Calls functions of the page's modules: `node call.mjs FOLDER < calls.json > results.json`.
// Planes travel as {width, height, base64}, numbers of the networks as {float32: base64}.

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

function revive(key, value) {
  if (value?.float32 !== undefined) {
    return new Float32Array(new Uint8Array(Buffer.from(value.float32, "base64")).buffer);
  }
  if (value?.base64 === undefined) return value;
  const { base64, ...size } = value;
  return { ...size, data: new Uint8Array(Buffer.from(base64, "base64")) };
}

function pack(key, value) {
  if (value instanceof Float32Array) {
    return { float32: Buffer.from(value.buffer).toString("base64") };
  }
  if (typeof value?.next === "function") return [...value];
  if (!(value?.data instanceof Uint8Array)) return value;
  const { data, ...size } = value;
  return { ...size, base64: Buffer.from(data).toString("base64") };
}

const folder = pathToFileURL(`${process.argv[2]}/`);
const results = [];
for (const [module, name, ...args] of JSON.parse(readFileSync(0, "utf8"), revive)) {
  results.push((await import(new URL(module, folder)))[name](...args));
}
process.stdout.write(JSON.stringify(results, pack));
