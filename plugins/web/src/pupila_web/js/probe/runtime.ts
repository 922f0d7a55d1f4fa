/** What the page asks of a runtime: a model that has been loaded, whatever computes it. */

export interface Loaded {
  /** Such as `TF.js 4.22.0`. */
  readonly version: string;
  /** Such as `wasm`, with what of it is in use: `wasm (SIMD)`. */
  readonly backend: string;
  /** How many threads compute. */
  readonly threads: number;
  /** Name of what draws and computes for `webgl` and `webgpu`. */
  readonly adapter?: string;
  /** Put one image, RGB `height * width * 3` in 0..255, where `answer` finds it. */
  load(pixels: Uint8Array<ArrayBuffer>): void;
  /** Compute on the image that was loaded last; the promise is kept when the numbers are here. */
  answer(): Promise<Float32Array>;
}

export interface Request {
  readonly backend: string;
  readonly threads: number;
  /** Of the model's input: `[height, width]`. */
  readonly size: readonly [number, number];
}
