/** LiteRT.js: `.tflite` on WebAssembly (XNNPACK), or on WebGPU. */

import { Tensor, loadAndCompile, loadLiteRt, supportsFeature } from '@litertjs/core';
import type { CompiledModel } from '@litertjs/core';
import { version } from '@litertjs/core/package.json';

import { webgpuAdapter } from './adapter';
import { listenForErrors, throwLogged } from '../shared/litert_log';
import type { Loaded, Request } from './runtime';

const BUILDS = new URL('../litert/', document.baseURI).href;

export async function open(request: Request): Promise<Loaded> {
  listenForErrors();
  return throwLogged(() => (request.backend === 'webgpu' ? openOnWebgpu(request) : openOnWasm(request)));
}

async function openOnWasm(request: Request): Promise<Loaded> {
  const threads = crossOriginIsolated ? request.threads : 1;
  await loadLiteRt(BUILDS, { threads: threads > 1 });
  const options = { accelerator: 'wasm', cpuOptions: { numThreads: threads } } as const;
  const model = await loadAndCompile(await modelBytes(), options);
  return loaded(model, request, { backend: 'wasm', threads });
}

/** Operators that WebGPU lacks run on WebAssembly, for which the page needs JSPI. */
async function openOnWebgpu(request: Request): Promise<Loaded> {
  const adapter = await webgpuAdapter();
  await loadLiteRt(BUILDS, { jspi: await supportsFeature('jspi') });
  const model = await loadAndCompile(await modelBytes(), {
    accelerator: 'webgpu',
    gpuOptions: { precision: 'fp32' },
  });
  const whole = model.isFullyAccelerated && model.options.accelerator === 'webgpu';
  const backend = whole ? 'webgpu' : 'webgpu for some operators, wasm for the others';
  return loaded(model, request, { backend, threads: 1, adapter });
}

async function modelBytes(): Promise<Uint8Array> {
  const response = await fetch('../model/model.tflite');
  if (!response.ok) throw new Error(`the model is not served: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

type Description = Pick<Loaded, 'backend' | 'threads' | 'adapter'>;

function loaded(model: CompiledModel, { size }: Request, description: Description): Loaded {
  const shape = [1, ...size, 3];
  refuseOtherTensors(model, shape);
  let image: Tensor | undefined;
  return {
    version: `LiteRT.js ${version}`,
    ...description,
    load(pixels) {
      image?.delete();
      image = new Tensor(new Float32Array(pixels), shape);
    },
    async answer() {
      const loaded = image;
      if (!loaded) throw new Error('no image was loaded');
      const [output] = await throwLogged(() => model.run([loaded]));
      if (!output) throw new Error('the model has no output');
      const values = await output.data();
      output.delete();
      return Float32Array.from(values);
    },
  };
}

function refuseOtherTensors(model: CompiledModel, shape: readonly number[]): void {
  const tensors = [...model.getInputDetails(), ...model.getOutputDetails()];
  const other = tensors.find(({ dtype }) => dtype !== 'float32');
  if (other) throw new Error(`Element type ${other.dtype.toUpperCase()} is not supported.`);
  const [input] = tensors;
  if (String(input?.shape) !== String(shape))
    throw new Error(`its input has shape [${input?.shape}], but [${shape}] is expected`);
}
