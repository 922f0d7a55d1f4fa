// Resizes as the page does: RGBA pixels come in, RGB pixels go out.
//   node resample.mjs MODULE WIDTH HEIGHT NEW_WIDTH NEW_HEIGHT ROWS_AT_A_TIME [LEFT TOP RIGHT BOTTOM]

import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [module, ...numbers] = process.argv.slice(2);
const [width, height, newWidth, newHeight, most, ...corners] = numbers.map(Number);
const { Resampler } = await import(pathToFileURL(module).href);

const rgba = readFileSync(0);
const [left, top, right, bottom] = corners;
const box = corners.length ? { left, top, right, bottom } : undefined;
const resampler = new Resampler({ width, height }, { width: newWidth, height: newHeight }, box);
for (let top = 0; top < height; top += most) {
  const rows = Math.min(most, height - top);
  resampler.add(rgba.subarray(top * width * 4, (top + rows) * width * 4), rows);
}
writeFileSync(1, resampler.finish());
