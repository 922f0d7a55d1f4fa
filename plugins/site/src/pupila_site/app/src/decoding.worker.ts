/**
 * Decodes image files and resizes them in a worker, so that the page stays responsive.
 *
 * A large image is read in strips: its pixels are never all in JavaScript's memory. As in Python,
 * EXIF orientation is applied, colour profiles are not, and transparency becomes black.
 */

import type { Answer, Job } from './decoding';
import { Resampler, type Size } from './resample';

const MOST_PIXELS = 178_956_970; // Pillow's limit
const STRIP_PIXELS = 4_000_000;
const PREVIEW_SIDE = 720;

self.onmessage = async ({ data }: MessageEvent<Job>) => {
  const answer = await run(data);
  const moved = 'preview' in answer ? [answer.preview, ...answer.pictures.map((p) => p.buffer)] : [];
  self.postMessage(answer, { transfer: moved });
};

async function run({ id, blob, sizes }: Job): Promise<Answer> {
  const start = performance.now();
  try {
    const bitmap = await decodeImage(blob);
    if (bitmap.width * bitmap.height > MOST_PIXELS) return { id, problem: 'tooLarge' };
    const pictures = resize(bitmap, sizes);
    const preview = await shrink(bitmap);
    const { width, height } = bitmap;
    bitmap.close();
    return { id, pictures, preview, width, height, tookMs: performance.now() - start };
  } catch {
    return { id, problem: (await isHeic(blob)) ? 'heic' : 'unreadable' };
  }
}

function decodeImage(blob: Blob): Promise<ImageBitmap> {
  return createImageBitmap(blob, {
    imageOrientation: 'from-image',
    colorSpaceConversion: 'none',
    premultiplyAlpha: 'none',
  });
}

function resize(bitmap: ImageBitmap, sizes: readonly Size[]): Uint8Array<ArrayBuffer>[] {
  const resamplers = sizes.map((size) => new Resampler(bitmap, size));
  const most = Math.max(1, Math.floor(STRIP_PIXELS / bitmap.width));
  const context = blackCanvas(bitmap.width, Math.min(most, bitmap.height));
  for (let top = 0; top < bitmap.height; top += most) {
    const rows = Math.min(most, bitmap.height - top);
    context.fillRect(0, 0, bitmap.width, rows);
    context.drawImage(bitmap, 0, top, bitmap.width, rows, 0, 0, bitmap.width, rows);
    const { data } = context.getImageData(0, 0, bitmap.width, rows);
    for (const resampler of resamplers) resampler.add(data, rows);
  }
  return resamplers.map((resampler) => resampler.finish());
}

function blackCanvas(width: number, height: number): OffscreenCanvasRenderingContext2D {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error('this browser cannot draw on a canvas of that size');
  context.fillStyle = 'black';
  return context;
}

function shrink(bitmap: ImageBitmap): Promise<ImageBitmap> {
  const scale = Math.min(1, PREVIEW_SIDE / Math.max(bitmap.width, bitmap.height));
  return createImageBitmap(bitmap, {
    resizeWidth: Math.max(1, Math.round(bitmap.width * scale)),
    resizeHeight: Math.max(1, Math.round(bitmap.height * scale)),
    resizeQuality: 'medium',
  });
}

/** HEIF files begin with a box `ftyp` that names the brand. */
async function isHeic(blob: Blob): Promise<boolean> {
  const start = new TextDecoder('latin1').decode(await blob.slice(4, 12).arrayBuffer());
  return /^ftyp(heic|heix|hevc|hevx|heim|heis|mif1|msf1)/.test(start);
}
