/**
 * Decodes image files, resizes them and cuts squares out of them in a worker, so that the page stays
 * responsive.
 *
 * A large image is read in strips: its pixels are never all in JavaScript's memory. As in Python,
 * EXIF orientation is applied, colour profiles are not, and transparency becomes black.
 */

import type { CutJob, DecodeJob, Decoded, Piece } from './decoding';
import { opaque } from './pixels';
import { Resampler, type Size } from './resample';
import { type Section, boxIn, sectionAround } from './square';
import { removeMarker, sizeWithin } from './surround';

const MOST_PIXELS = 178_956_970; // Pillow's limit
const STRIP_PIXELS = 4_000_000;
const PREVIEW_SIDE = 720;
const UNCONVERTED = { colorSpaceConversion: 'none', premultiplyAlpha: 'none' } as const;

interface Kept {
  readonly id: number;
  readonly bitmap: ImageBitmap;
}

/** The images that pieces are cut out of: the latest for each purpose. */
const kept = new Map<DecodeJob['keptFor'], Kept>();

self.onmessage = async ({ data }: MessageEvent<DecodeJob | CutJob>) => {
  if ('blob' in data) {
    const answer = await run(data);
    const moved = 'preview' in answer ? [answer.preview, ...answer.pictures.map((p) => p.buffer)] : [];
    self.postMessage(answer, { transfer: moved });
  } else self.postMessage(cut(data));
};

async function run({ id, blob, sizes, keptFor, within }: DecodeJob): Promise<Decoded> {
  const start = performance.now();
  try {
    const decoded = await decodeImage(blob);
    const original = { width: decoded.width, height: decoded.height };
    if (original.width * original.height > MOST_PIXELS) return { id, problem: 'tooLarge' };
    const bitmap = within ? await reduce(decoded, within) : decoded;
    const { width, height } = bitmap;
    const pictures = resize(bitmap, wholeOf(bitmap), sizes.map((size) => new Resampler(bitmap, size)));
    const preview = await shrink(bitmap);
    keep({ id, bitmap }, keptFor);
    return { id, pictures, preview, width, height, original, tookMs: performance.now() - start };
  } catch {
    return { id, problem: (await isHeic(blob)) ? 'heic' : 'unreadable' };
  }
}

/** Keep an image if it is for something, and is the latest for it. */
function keep(image: Kept, purpose: DecodeJob['keptFor']): void {
  const former = kept.get(purpose);
  if (!purpose || image.id < (former?.id ?? 0)) return image.bitmap.close();
  former?.bitmap.close();
  kept.set(purpose, image);
}

function cut({ id, image, square, size }: CutJob): Piece {
  const found = [...kept.values()].find((each) => each.id === image);
  if (!found) return { id, pixels: null };
  const section = square ? sectionAround(square, size) : wholeOf(found.bitmap);
  const box = square ? boxIn(section, square) : undefined;
  const [pixels] = resize(found.bitmap, section, [new Resampler(section, size, box)]);
  return { id, pixels: pixels! };
}

function decodeImage(blob: Blob): Promise<ImageBitmap> {
  return createImageBitmap(blob, { imageOrientation: 'from-image', ...UNCONVERTED });
}

/** Return the picture that a chain gets of an image; see `surround.ts`. */
async function reduce(image: ImageBitmap, within: Size): Promise<ImageBitmap> {
  const size = sizeWithin(image, within);
  const [rgb] = resize(image, wholeOf(image), [new Resampler(image, size)]);
  image.close();
  removeMarker(rgb!);
  return createImageBitmap(opaque(rgb!, size), UNCONVERTED);
}

function wholeOf({ width, height }: Size): Section {
  return { left: 0, top: 0, width, height };
}

/** Resize a section of an image; what lies beyond the image is black. */
function resize(
  bitmap: ImageBitmap,
  { left, top, width, height }: Section,
  resamplers: readonly Resampler[],
): Uint8Array<ArrayBuffer>[] {
  const most = Math.max(1, Math.floor(STRIP_PIXELS / width));
  const context = blackCanvas(width, Math.min(most, height));
  for (let first = 0; first < height; first += most) {
    const rows = Math.min(most, height - first);
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, -left, -top - first);
    const { data } = context.getImageData(0, 0, width, rows);
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
