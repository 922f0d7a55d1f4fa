/** The WebAssembly backend of TF.js, with the requested number of threads. */

import { getThreadsCount, setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm';
import plain from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import simd from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threaded from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import { env, setBackend } from '@tensorflow/tfjs-core';

/** Threads need an isolated page; for one thread, the build without threads is smaller. */
export async function registerWasm(wanted: number): Promise<{ backend: string; threads: number }> {
  const many = wanted > 1 && crossOriginIsolated;
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', many);
  setWasmPaths({
    'tfjs-backend-wasm.wasm': plain,
    'tfjs-backend-wasm-simd.wasm': simd,
    'tfjs-backend-wasm-threaded-simd.wasm': threaded,
  });
  if (many) setThreadsCount(wanted);
  await setBackend('wasm');
  const hasSimd = await env().getAsync('WASM_HAS_SIMD_SUPPORT');
  return { backend: hasSimd ? 'wasm (SIMD)' : 'wasm', threads: many ? getThreadsCount() : 1 };
}
