/** TensorFlow.js: graph models on WebAssembly, WebGL, WebGPU or plain JavaScript. */

import { loadGraphModel } from '@tensorflow/tfjs-converter';
import * as tf from '@tensorflow/tfjs-core';

import { webglAdapter, webgpuAdapter } from './adapter';
import type { Loaded, Request } from './runtime';

type Description = Pick<Loaded, 'backend' | 'threads' | 'adapter'>;

/** Each registers its backend with TF.js; only the requested one is downloaded. */
const BACKENDS: Record<string, (threads: number) => Promise<Description>> = {
  async cpu() {
    await import('@tensorflow/tfjs-backend-cpu');
    return { backend: 'cpu (plain JavaScript)', threads: 1 };
  },
  async wasm(threads) {
    const { registerWasm } = await import('./tfjs_wasm');
    return registerWasm(threads);
  },
  async webgl() {
    const adapter = webglAdapter();
    await import('@tensorflow/tfjs-backend-webgl');
    return { backend: 'webgl', threads: 1, adapter };
  },
  async webgpu() {
    const adapter = await webgpuAdapter();
    await import('@tensorflow/tfjs-backend-webgpu');
    return { backend: 'webgpu', threads: 1, adapter };
  },
};

export async function open({ backend, threads, size }: Request): Promise<Loaded> {
  const register = BACKENDS[backend];
  if (!register) throw new Error(`TF.js has no backend ${backend}`);
  const description = await register(threads);
  if (!(await tf.setBackend(backend))) throw new Error(`the ${backend} backend does not start`);
  await tf.ready();
  const model = await loadGraphModel('../model/model.json');
  let image: tf.Tensor | undefined;
  return {
    version: `TF.js ${tf.version_core}`,
    ...description,
    load(pixels) {
      image?.dispose();
      image = tf.tensor(new Float32Array(pixels), [1, ...size, 3], 'float32');
    },
    async answer() {
      if (!image) throw new Error('no image was loaded');
      const output = model.execute(image) as tf.Tensor;
      const values = await output.data<'float32'>();
      output.dispose();
      return values;
    },
  };
}
