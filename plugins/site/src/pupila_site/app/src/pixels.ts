/** Pixels without alpha, as models take them, on canvases. */

import type { Size } from './resample';

/** Return RGB pixels as an opaque image. */
export function opaque(rgb: Uint8Array, { width, height }: Size): ImageData {
  const image = new ImageData(width, height);
  image.data.fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const from = 3 * pixel;
    for (let channel = 0; channel < 3; channel++)
      image.data[4 * pixel + channel] = rgb[from + channel]!;
  }
  return image;
}
