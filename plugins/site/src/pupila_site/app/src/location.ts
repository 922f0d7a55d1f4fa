/**
 * Turns the raw output of a locator into places, as `pupila_localization.decoding` does in Python.
 *
 * A heat map is (rows, columns, channels) with three or four channels for each name. The softmax of
 * the first over all positions is a distribution: its mean is the centre, and the softplus of the
 * mean of the next two are the half sizes in percent. The mean of the fourth over all positions is
 * the logit of "nowhere".
 */

const LEAST_HALF = 1e-6; // of coordinates
const PERCENT = 100;

/** An ellipse in an image; x and half width are fractions of its width, the others of its height. */
export interface Ellipse {
  readonly x: number;
  readonly y: number;
  readonly halfWidth: number;
  readonly halfHeight: number;
}

export interface Location extends Ellipse {
  /** The probability that the thing is there. */
  readonly presence: number;
}

interface Output {
  readonly kind: 'heat-map' | 'coordinates';
  /** Shape of the raw output for one image. */
  readonly size: readonly number[];
  readonly classes: readonly string[];
}

/** Whether a model can say that something is not there; otherwise each presence is 1. */
export function canBeAbsent({ kind, size, classes }: Output): boolean {
  return size.at(-1)! / classes.length === (kind === 'heat-map' ? 4 : 5);
}

/** Return where each name is. */
export function locate(output: Output, values: ArrayLike<number>): Location[] {
  const { kind, size, classes } = output;
  const parts = size.at(-1)! / classes.length;
  return classes.map((_, index) => {
    const read = (position: number, part: number) =>
      values[position * size.at(-1)! + index * parts + part]!;
    if (kind === 'coordinates') return ofCoordinates((part) => read(0, part), parts);
    return ofHeatMap(size[0]!, size[1]!, parts, read);
  });
}

function ofCoordinates(read: (part: number) => number, parts: number): Location {
  return {
    x: read(0),
    y: read(1),
    halfWidth: Math.max(read(2), LEAST_HALF),
    halfHeight: Math.max(read(3), LEAST_HALF),
    presence: parts > 4 ? Math.min(Math.max(read(4), 0), 1) : 1,
  };
}

function ofHeatMap(
  rows: number,
  columns: number,
  parts: number,
  read: (position: number, part: number) => number,
): Location {
  const positions = rows * columns;
  let highest = -Infinity;
  for (let position = 0; position < positions; position++)
    highest = Math.max(highest, read(position, 0));
  let [total, x, y, across, down, nowhere] = [0, 0, 0, 0, 0, 0];
  for (let position = 0; position < positions; position++) {
    const weight = Math.exp(read(position, 0) - highest);
    total += weight;
    x += weight * ((position % columns) + 0.5);
    y += weight * (Math.floor(position / columns) + 0.5);
    across += weight * read(position, 1);
    down += weight * read(position, 2);
    if (parts > 3) nowhere += read(position, 3);
  }
  return {
    x: x / total / columns,
    y: y / total / rows,
    halfWidth: softplus(across / total) / PERCENT,
    halfHeight: softplus(down / total) / PERCENT,
    presence: parts > 3 ? sigmoid(highest + Math.log(total) - nowhere / positions) : 1,
  };
}

function softplus(value: number): number {
  return Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));
}

function sigmoid(logit: number): number {
  return (1 + Math.tanh(logit / 2)) / 2;
}
