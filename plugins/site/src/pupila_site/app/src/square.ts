/**
 * The square around a located thing that is cut out of an image.
 *
 * Its edges are multiples of 1/64 pixel: 32-bit floats hold these exactly, and answers of one model
 * differ in the last digits between runtimes. What lies beyond the image is black.
 */

import type { Ellipse } from './location';
import type { Box, Size } from './resample';

const GRID = 64;
const MOST_SIDES = 2; // the longest side of the image

/** In pixels of the image; it may reach beyond the image. */
export interface Square {
  readonly left: number;
  readonly top: number;
  readonly side: number;
}

/** Whole pixels of an image, and pixels beyond it. */
export interface Section extends Size {
  readonly left: number;
  readonly top: number;
}

/** Return the square whose side is `margin` times the larger of the thing's width and height. */
export function squareAround(image: Size, thing: Ellipse, margin: number): Square {
  const larger = 2 * Math.max(thing.halfWidth * image.width, thing.halfHeight * image.height);
  const most = MOST_SIDES * Math.max(image.width, image.height);
  const side = rounded(Math.min(Math.max(margin * larger, 1), most));
  const start = (middle: number, length: number) =>
    rounded(Math.min(Math.max(middle * length, 0), length) - side / 2);
  return { left: start(thing.x, image.width), top: start(thing.y, image.height), side };
}

/** Return all pixels that count when a square is resized to a size. */
export function sectionAround({ left, top, side }: Square, to: Size): Section {
  const reach = Math.ceil(Math.max(1, side / Math.min(to.width, to.height))) + 1;
  const [firstColumn, firstRow] = [Math.floor(left) - reach, Math.floor(top) - reach];
  return {
    left: firstColumn,
    top: firstRow,
    width: Math.ceil(left + side) + reach - firstColumn,
    height: Math.ceil(top + side) + reach - firstRow,
  };
}

/** Return a square of an image as a box of a section. */
export function boxIn(section: Section, { left, top, side }: Square): Box {
  const [x, y] = [left - section.left, top - section.top];
  return { left: x, top: y, right: x + side, bottom: y + side };
}

function rounded(pixels: number): number {
  return Math.floor(pixels * GRID + 0.5) / GRID;
}
