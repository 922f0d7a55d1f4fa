/**
 * Brings an image to the picture that a chain gets, as `pupila.images` does for `fit: surround`: a
 * larger image is reduced and keeps its aspect, a smaller one keeps its pixels. The colour that
 * surrounds images in Python's pictures is left out, but no pixel of the image keeps that colour.
 */

import type { Size } from './resample';

/** Return the size of an image in a picture that is at most so large. */
export function sizeWithin({ width, height }: Size, most: Size): Size {
  const shrink = Math.min(1, most.width / width, most.height / height);
  const side = (length: number) => Math.max(1, Math.floor(length * shrink + 0.5));
  return { width: side(width), height: side(height) };
}

/** Change the pixels that have the marker's colour, (255, 0, 255), to the colour next to it. */
export function removeMarker(rgb: Uint8Array): void {
  for (let red = 0; red < rgb.length; red += 3)
    if (rgb[red] === 255 && rgb[red + 1] === 0 && rgb[red + 2] === 255) rgb[red] = 254;
}
