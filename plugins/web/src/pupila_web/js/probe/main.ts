/**
 * The page that the browser runner opens, with `?runtime=…&backend=…&threads=…&height=…&width=…`.
 *
 * It loads the model in `../model/` at once; `probe.opened` resolves to what was opened. Times are in
 * milliseconds, and images are fetched as raw bytes, RGB, one after another.
 */

import type { Loaded, Request } from './runtime';

const UNTIMED_RUNS = 3;

interface Opened {
  readonly version: string;
  readonly backend: string;
  readonly threads: number;
  readonly adapter: string | null;
  readonly isolated: boolean;
  readonly columns: number;
  readonly coldStartMs: number;
  readonly firstInferenceMs: number;
}

const RUNTIMES: Record<string, () => Promise<{ open(request: Request): Promise<Loaded> }>> = {
  litert: () => import('./litert'),
  tfjs: () => import('./tfjs'),
};

const query = new URLSearchParams(location.search);
const size = [Number(query.get('height')), Number(query.get('width'))] as const;
const imageBytes = size[0] * size[1] * 3;

async function load(): Promise<Loaded> {
  const name = query.get('runtime') ?? '';
  const runtime = await RUNTIMES[name]?.();
  if (!runtime) throw new Error(`unknown runtime ${name}`);
  return runtime.open({
    backend: query.get('backend') ?? '',
    threads: Number(query.get('threads')),
    size,
  });
}

async function time<T>(work: () => Promise<T>): Promise<[number, T]> {
  const start = performance.now();
  const result = await work();
  return [performance.now() - start, result];
}

/** `performance.now()` counts from the moment that the browser began to open this page. */
async function open(model: Loaded): Promise<Opened> {
  const coldStartMs = performance.now();
  const { version, backend, threads, adapter = null } = model;
  model.load(new Uint8Array(imageBytes));
  const [firstInferenceMs, { length: columns }] = await time(() => model.answer());
  const isolated = crossOriginIsolated;
  return { version, backend, threads, adapter, isolated, columns, coldStartMs, firstInferenceMs };
}

async function fetchBytes(url: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  return new Uint8Array(await response.arrayBuffer());
}

/** Return one row of outputs for each image of a file. */
async function predict(url: string): Promise<number[][]> {
  const [model, pixels] = [await loading, await fetchBytes(url)];
  const rows: number[][] = [];
  for (let start = 0; start < pixels.length; start += imageBytes) {
    model.load(pixels.subarray(start, start + imageBytes));
    rows.push(Array.from(await model.answer()));
  }
  return rows;
}

/** Time `repeats` inferences on one image and reading their output, after three that do not count. */
async function latencies(url: string, repeats: number): Promise<number[]> {
  const model = await loading;
  model.load(await fetchBytes(url));
  const milliseconds: number[] = [];
  for (let run = 0; run < UNTIMED_RUNS + repeats; run++) {
    const [took] = await time(() => model.answer());
    if (run >= UNTIMED_RUNS) milliseconds.push(took);
  }
  return milliseconds;
}

/** Rejects on errors in threads and callbacks, after which the page would never answer. */
const uncaught = new Promise<never>((_, reject) => {
  addEventListener('error', (event) => reject(new Error(event.message)));
  addEventListener('unhandledrejection', (event) => reject(event.reason));
});

const loading = load();
const opened = Promise.race([loading.then(open), uncaught]);
const probe = {
  opened,
  predict: (url: string) => Promise.race([predict(url), uncaught]),
  time: (url: string, repeats: number) => Promise.race([latencies(url, repeats), uncaught]),
};

declare global {
  interface Window {
    probe: typeof probe;
  }
}
window.probe = probe;
