// Runs one TF.js graph model for pupila_tfjs/runner.py.
//
//   node runner.mjs PACKAGES_FOLDER MODEL_FOLDER
//
// Standard input and output carry frames: the length of a JSON header (uint32, little endian), the
// header, and as many raw bytes as its `bytes` says. The first frame out describes what was opened;
// then each frame in is answered by one frame out, `{error}` if something went wrong.

import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const UNTIMED_RUNS = 3;
const STANDARD_OUTPUT = 1;

console.log = console.info = console.error; // TF.js prints a greeting on standard output

const [packages, folder] = process.argv.slice(2);
const require = createRequire(path.join(packages, 'package.json'));
const tf = require('@tensorflow/tfjs-core');
const { loadGraphModel } = require('@tensorflow/tfjs-converter');
require('@tensorflow/tfjs-backend-wasm');
require('@tensorflow/tfjs-backend-cpu');

function readModel() {
  const { weightsManifest, ...model } = JSON.parse(readFileSync(path.join(folder, 'model.json')));
  if (!weightsManifest || !model.modelTopology) throw new Error('model.json is not a graph model');
  const shards = weightsManifest.flatMap((group) => group.paths);
  const weights = Buffer.concat(shards.map((name) => readFileSync(path.join(folder, name))));
  return {
    ...model,
    weightSpecs: weightsManifest.flatMap((group) => group.weights),
    weightData: new Uint8Array(weights).buffer,
  };
}

/** Load the model on a backend, and run it once to make sure that it works there. */
async function openOn(backend, files) {
  if (!(await tf.setBackend(backend))) throw new Error(`the ${backend} backend does not start`);
  const model = await loadGraphModel(tf.io.fromMemory(files));
  const [, ...shape] = model.inputs[0].shape;
  const blank = new Uint8Array(tf.util.sizeFromShape(shape));
  return { backend, model, shape, columns: infer({ model, shape }, blank).length };
}

/** Fall back to the plain JavaScript backend, about 25 times slower, to show that the model works. */
async function open() {
  const files = readModel();
  try {
    return await openOn('wasm', files);
  } catch (wasm) {
    try {
      return { ...(await openOn('cpu', files)), refused: wasm.message };
    } catch (cpu) {
      throw new Error(`wasm backend: ${wasm.message}; cpu backend: ${cpu.message}`);
    }
  }
}

function toTensor({ shape }, pixels) {
  return tf.tensor(new Float32Array(pixels), [1, ...shape], 'float32');
}

function infer(opened, pixels) {
  return tf.tidy(() => opened.model.execute(toTensor(opened, pixels)).dataSync());
}

function timeOnce(model, image) {
  const start = performance.now();
  tf.tidy(() => model.execute(image).dataSync());
  return performance.now() - start;
}

function time(opened, pixels, repeats) {
  const image = toTensor(opened, pixels);
  const times = Array.from({ length: UNTIMED_RUNS + repeats }, () => timeOnce(opened.model, image));
  image.dispose();
  return times.slice(UNTIMED_RUNS);
}

/** `maxRSS` may be that of a larger parent process: Linux keeps it across exec. */
function peakMemoryBytes() {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  const [, kibibytes] = readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\s+(\d+) kB/);
  return Number(kibibytes) * 1024;
}

function answer(opened, { command, repeats }, pixels) {
  switch (command) {
    case 'infer':
      return [{}, infer(opened, pixels)];
    case 'time':
      return [{ times: time(opened, pixels, repeats) }];
    case 'memory':
      return [{ peak: peakMemoryBytes() }];
    default:
      throw new Error(`unknown command ${command}`);
  }
}

async function* framesIn(stream) {
  let waiting = Buffer.alloc(0);
  for await (const chunk of stream) {
    waiting = Buffer.concat([waiting, chunk]);
    for (let frame; (frame = cutFrame(waiting)); waiting = waiting.subarray(frame.end)) yield frame;
  }
}

function cutFrame(buffer) {
  if (buffer.length < 4) return null;
  const start = 4 + buffer.readUInt32LE(0);
  if (buffer.length < start) return null;
  const header = JSON.parse(buffer.toString('utf8', 4, start));
  const end = start + header.bytes;
  return buffer.length < end ? null : { header, payload: buffer.subarray(start, end), end };
}

function send(header, values = new Float32Array(0)) {
  const text = Buffer.from(JSON.stringify({ ...header, bytes: values.byteLength }));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  const payload = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  const frame = Buffer.concat([length, text, payload]);
  for (let sent = 0; sent < frame.length; ) sent += writeSync(STANDARD_OUTPUT, frame, sent);
}

async function describe({ backend, columns, refused = null }) {
  const simd = backend === 'wasm' && (await tf.env().getAsync('WASM_HAS_SIMD_SUPPORT'));
  return { version: tf.version_core, backend, simd, refused, columns };
}

let opened;
try {
  opened = await open();
  send(await describe(opened));
} catch (error) {
  send({ error: error.message });
  process.exit(1);
}
for await (const { header, payload } of framesIn(process.stdin)) {
  try {
    send(...answer(opened, header, payload));
  } catch (error) {
    send({ error: error.message });
  }
}
