/** Decodes images for the page, and cuts squares out of them, in `decoding.worker.ts`. */

import type { Size } from './resample';
import type { Square } from './square';

export type Problem = 'heic' | 'tooLarge' | 'unreadable';

/** What is wanted of an image. */
export interface Wanted {
  /** It is resized to each of them. */
  readonly sizes: readonly Size[];
  /** For what pieces will be cut out of it, if any are: the last image for each is kept. */
  readonly keptFor?: 'answer' | 'measurement';
  /** A larger image is reduced to it first, as `surround.ts` says; by default, it is not. */
  readonly within?: Size;
}

export interface DecodeJob extends Wanted {
  readonly id: number;
  readonly blob: Blob;
}

export interface CutJob {
  readonly id: number;
  /** Job that decoded the image. */
  readonly image: number;
  /** The whole image without one. */
  readonly square: Square | null;
  readonly size: Size;
}

/** An image, with the size in which pieces are cut out of it. */
export interface Picture extends Size {
  /** Job that decoded it. */
  readonly id: number;
  /** Size of the file's image. */
  readonly original: Size;
  /** RGB pixels of the image in each requested size. */
  readonly pictures: readonly Uint8Array<ArrayBuffer>[];
  readonly preview: ImageBitmap;
  readonly tookMs: number;
}

export type Decoded = Picture | { readonly id: number; readonly problem: Problem };

export interface Piece {
  readonly id: number;
  /** RGB pixels; null if the image is not kept any more. */
  readonly pixels: Uint8Array<ArrayBuffer> | null;
}

export class Unreadable extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem);
    this.problem = problem;
  }
}

const worker = new Worker(new URL('./decoding.worker.ts', import.meta.url), { type: 'module' });
const waiting = new Map<number, (answer: Decoded | Piece) => void>();
let jobs = 0;

worker.onmessage = ({ data }: MessageEvent<Decoded | Piece>) => {
  waiting.get(data.id)?.(data);
  waiting.delete(data.id);
};

/** Read an image file and resize it; throws `Unreadable`. */
export async function decode(blob: Blob, wanted: Wanted): Promise<Picture> {
  const job: DecodeJob = { id: ++jobs, blob, ...wanted };
  const answer = await send<Decoded>(job);
  if ('problem' in answer) throw new Unreadable(answer.problem);
  return answer;
}

/**
 * Cut a square, or all, out of an image that was decoded, and resize it; null if it is not kept any
 * more.
 */
export async function cut(
  picture: Picture,
  square: Square | null,
  size: Size,
): Promise<Piece['pixels']> {
  const job: CutJob = { id: ++jobs, image: picture.id, square, size };
  return (await send<Piece>(job)).pixels;
}

function send<T extends Decoded | Piece>(job: DecodeJob | CutJob): Promise<T> {
  worker.postMessage(job);
  return new Promise((resolve) => waiting.set(job.id, (answer) => resolve(answer as T)));
}
