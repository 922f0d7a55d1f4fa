/** Decodes images for the page, in `decoding.worker.ts`. */

import type { Size } from './resample';

export type Problem = 'heic' | 'tooLarge' | 'unreadable';

export interface Job {
  readonly id: number;
  readonly blob: Blob;
  readonly sizes: readonly Size[];
}

export interface Picture extends Size {
  /** RGB pixels of the image in each requested size. */
  readonly pictures: readonly Uint8Array<ArrayBuffer>[];
  readonly preview: ImageBitmap;
  readonly tookMs: number;
}

export type Answer = { readonly id: number } & (Picture | { readonly problem: Problem });

export class Unreadable extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem);
    this.problem = problem;
  }
}

const worker = new Worker(new URL('./decoding.worker.ts', import.meta.url), { type: 'module' });
const waiting = new Map<number, (answer: Answer) => void>();
let jobs = 0;

worker.onmessage = ({ data }: MessageEvent<Answer>) => {
  waiting.get(data.id)?.(data);
  waiting.delete(data.id);
};

/** Read an image file and resize it; throws `Unreadable`. */
export async function decode(blob: Blob, sizes: readonly Size[]): Promise<Picture> {
  const id = ++jobs;
  worker.postMessage({ id, blob, sizes } satisfies Job);
  const answer = await new Promise<Answer>((resolve) => waiting.set(id, resolve));
  if ('problem' in answer) throw new Unreadable(answer.problem);
  return answer;
}
