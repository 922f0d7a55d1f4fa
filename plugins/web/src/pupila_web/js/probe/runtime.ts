/** The interface of a runtime to the page: a loaded model, whatever computes it. */

export interface Loaded {
  /** Such as `TF.js 4.22.0`. */
  readonly version: string;
  /** Such as `wasm`, with the features in use: `wasm (SIMD)`. */
  readonly backend: string;
  /** How many threads compute. */
  readonly threads: number;
  /** Name of the graphics adapter for `webgl` and `webgpu`. */
  readonly adapter?: string;
  /** Set the image for `answer`: RGB, `height * width * 3` in 0..255. */
  load(pixels: Uint8Array<ArrayBuffer>): void;
  /** Run the model on the image that was set last, and return its output. */
  answer(): Promise<Float32Array>;
}

export interface Request {
  readonly backend: string;
  readonly threads: number;
  /** Size of the model's input: `[height, width]`. */
  readonly size: readonly [number, number];
}
