/** Models on LiteRT.js' WebAssembly runtime, with threads if the page is isolated. */

import {
  type CompiledModel,
  Tensor,
  loadAndCompile,
  loadLiteRt,
  supportsFeature,
} from '@litertjs/core';
import packageJson from '@litertjs/core/package.json';

import { throwLogged } from '../shared/litert_log';
import type { ModelEntry } from './site';

const MOST_THREADS = 4;

export interface Runtime {
  readonly version: string;
  readonly threads: number;
  /** Name of the build in use, without its suffix. */
  readonly build: string;
}

export async function startRuntime(): Promise<Runtime> {
  const simd = await supportsFeature('relaxedSimd');
  const shared = crossOriginIsolated && simd && (await supportsFeature('threads'));
  const threads = shared ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
  await loadLiteRt(new URL('litert/', document.baseURI).href, { threads: shared });
  const build = shared ? 'threaded_internal' : simd ? 'internal' : 'compat_internal';
  return { version: `LiteRT.js ${packageJson.version}`, threads, build: `litert_wasm_${build}` };
}

export class Model {
  readonly entry: ModelEntry;
  /** Time for download, compilation and the first answer. */
  readonly warmUpMs: number;
  private readonly compiled: CompiledModel;

  private constructor(entry: ModelEntry, compiled: CompiledModel, warmUpMs: number) {
    this.entry = entry;
    this.compiled = compiled;
    this.warmUpMs = warmUpMs;
  }

  /** Fetch, compile, and run a black image, so that the next run is not slower than others. */
  static async open(entry: ModelEntry, threads: number): Promise<Model> {
    const start = performance.now();
    const bytes = await fetchBytes(entry.file);
    const opened: CompiledModel[] = [];
    const load = async () => {
      const options = { accelerator: 'wasm', cpuOptions: { numThreads: threads } } as const;
      const compiled = await loadAndCompile(bytes, options);
      opened.push(compiled);
      const cold = new Model(entry, compiled, 0);
      await cold.probabilities(new Uint8Array(entry.width * entry.height * 3));
      return new Model(entry, compiled, performance.now() - start);
    };
    try {
      return await throwLogged(load);
    } catch (error) {
      for (const compiled of opened) compiled.delete(); // it is not used
      throw error;
    }
  }

  /** Return a probability for each class, for RGB pixels of the model's size. */
  async probabilities(pixels: Uint8Array): Promise<readonly number[]> {
    const { height, width, kind } = this.entry;
    const image = new Tensor(new Float32Array(pixels), [1, height, width, 3]);
    const [output] = await throwLogged(() => this.compiled.run([image]));
    if (!output) throw new Error(`${this.entry.file} has no output`);
    const values = [...(await output.data())];
    image.delete();
    output.delete();
    if (kind === 'sigmoid') return [1 - values[0]!, values[0]!];
    return kind === 'logits' ? softmax(values) : values;
  }

  /** Free its memory. */
  close(): void {
    this.compiled.delete();
  }

  /** Return the probability of one class, and the time that the model took. */
  async ask(pixels: Uint8Array, name: string): Promise<{ probability: number; tookMs: number }> {
    const start = performance.now();
    const probabilities = await this.probabilities(pixels);
    const tookMs = performance.now() - start;
    return { probability: probabilities[this.entry.classes.indexOf(name)]!, tookMs };
  }
}

/**
 * Opens one model at a time, for one caller at a time.
 *
 * The runtime starts as many threads as there are cores, and no more: a model that needs another
 * thread blocks, and the page with it. So only one model has threads.
 */
export class Workbench {
  readonly runtime: Promise<Runtime>;
  private held: Model | null = null;
  private last: Promise<unknown> = Promise.resolve();

  constructor(runtime: Promise<Runtime>) {
    this.runtime = runtime;
  }

  /** Open a model, if it is not open, and run `work` on it after earlier callers are done. */
  use<T>(entry: ModelEntry, work: (model: Model) => Promise<T>): Promise<T> {
    const mine = this.last.then(async () => work(await this.hold(entry)));
    this.last = mine.catch(() => {}); // the caller handles errors
    return mine;
  }

  private async hold(entry: ModelEntry): Promise<Model> {
    const { threads } = await this.runtime;
    if (this.held?.entry === entry) return this.held;
    this.held?.close();
    this.held = null;
    await new Promise((resolve) => setTimeout(resolve)); // lets the runtime release its threads
    this.held = await Model.open(entry, threads);
    return this.held;
  }
}

async function fetchBytes(file: string): Promise<Uint8Array> {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
