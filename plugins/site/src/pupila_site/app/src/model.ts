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
  /** Most threads of a model. */
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

/** The raw output of a model for one image. */
export interface Outputs {
  readonly values: ArrayLike<number>;
  readonly tookMs: number;
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
      await cold.run(new Uint8Array(entry.width * entry.height * 3));
      return new Model(entry, compiled, performance.now() - start);
    };
    try {
      return await throwLogged(load);
    } catch (error) {
      for (const compiled of opened) compiled.delete(); // it is not used
      throw error;
    }
  }

  /** Run it on RGB pixels of the model's size. */
  async run(pixels: Uint8Array): Promise<Outputs> {
    const start = performance.now();
    const { height, width } = this.entry;
    const image = new Tensor(new Float32Array(pixels), [1, height, width, 3]);
    const [output] = await throwLogged(() => this.compiled.run([image]));
    if (!output) throw new Error(`${this.entry.file} has no output`);
    const values = Float32Array.from(await output.data());
    image.delete();
    output.delete();
    return { values, tookMs: performance.now() - start };
  }

  /** Free its memory. */
  close(): void {
    this.compiled.delete();
  }
}

/**
 * Opens a model, or the models of a chain, for one caller at a time.
 *
 * The runtime starts as many threads as there are cores, and no more: a model that needs another
 * thread blocks, and the page with it. So models are closed before others open.
 */
export class Workbench {
  readonly runtime: Promise<Runtime>;
  private held: readonly Model[] = [];
  private last: Promise<unknown> = Promise.resolve();

  constructor(runtime: Promise<Runtime>) {
    this.runtime = runtime;
  }

  /** Open models, if they are not open, and run `work` on them after earlier callers are done. */
  use<T>(
    entries: readonly ModelEntry[],
    work: (models: readonly Model[]) => Promise<T>,
  ): Promise<T> {
    const mine = this.last.then(async () => work(await this.hold(entries)));
    this.last = mine.catch(() => {}); // the caller handles errors
    return mine;
  }

  private async hold(entries: readonly ModelEntry[]): Promise<readonly Model[]> {
    const { threads } = await this.runtime;
    if (areOf(this.held, entries)) return this.held;
    this.close(this.held);
    this.held = [];
    await new Promise((resolve) => setTimeout(resolve)); // lets the runtime release its threads
    const shares = shareThreads(entries, threads, navigator.hardwareConcurrency || 1);
    const opened: Model[] = [];
    try {
      for (const [index, entry] of entries.entries())
        opened.push(await Model.open(entry, shares[index]!));
    } catch (error) {
      this.close(opened);
      throw error;
    }
    this.held = opened;
    return opened;
  }

  private close(models: readonly Model[]): void {
    for (const model of models) model.close();
  }
}

function areOf(models: readonly Model[], entries: readonly ModelEntry[]): boolean {
  return models.length === entries.length && models.every(({ entry }, index) => entry === entries[index]);
}

/**
 * Return the number of threads of each model, at most `most`. Each has the page's own, and those that
 * the runtime starts, one for each core, go to the models in turn, the largest first.
 */
function shareThreads(entries: readonly ModelEntry[], most: number, cores: number): number[] {
  const threads = entries.map(() => 1);
  const order = [...entries.keys()].toSorted((one, other) => entries[other]!.bytes - entries[one]!.bytes);
  for (let started = 0; started < cores; started++) {
    const index = order[started % order.length]!;
    threads[index] = Math.min(threads[index]! + 1, most);
  }
  return threads;
}

async function fetchBytes(file: string): Promise<Uint8Array> {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}
