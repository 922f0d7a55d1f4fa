/**
 * Resizes an image, or a box in it, exactly as Pillow's `BILINEAR` does, so that models see the same
 * pixels as in Python.
 *
 * A triangle filter that widens with the reduction, along rows and along columns, in fixed point of
 * 22 bits, rounded to 8 bits after each (`libImaging/Resample.c`). Canvas elements scale
 * differently in each browser.
 */

const PRECISION_BITS = 32 - 8 - 2;
const HALF = 1 << (PRECISION_BITS - 1);
const UNCHANGED = Int32Array.of(1 << PRECISION_BITS);

export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * A part of an image; its edges may lie between pixels. As in Pillow, pixels beyond an edge count too
 * where the filter reaches them.
 */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** One side of a box, along rows or columns of `length` pixels. */
interface Span {
  readonly length: number;
  readonly start: number;
  readonly end: number;
}

/** For each output position: the first input position, and the weights from there on. */
interface Taps {
  readonly first: Int32Array;
  readonly weights: readonly Int32Array[];
}

function taps({ length, start: from, end: to }: Span, output: number): Taps {
  const first = new Int32Array(output);
  const weights: Int32Array[] = [];
  const scale = Math.fround(to - from) / output;
  const support = Math.max(scale, 1);
  for (let position = 0; position < output; position++) {
    const centre = from + (position + 0.5) * scale;
    const start = Math.max(Math.trunc(centre - support + 0.5), 0);
    const end = Math.min(Math.trunc(centre + support + 0.5), length);
    first[position] = start;
    weights.push(fixedPoint(triangle(start, end, centre, 1 / support)));
  }
  return { first, weights };
}

function triangle(start: number, end: number, centre: number, narrowing: number): Float64Array {
  return Float64Array.from({ length: end - start }, (_, offset) => {
    const distance = Math.abs((offset + start - centre + 0.5) * narrowing);
    return distance < 1 ? 1 - distance : 0;
  });
}

function fixedPoint(weights: Float64Array): Int32Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Int32Array.from(weights, (weight) =>
    Math.trunc(0.5 + (weight / total) * (1 << PRECISION_BITS)),
  );
}

/** Whether an output of this length is the input itself. */
function isWhole({ length, start, end }: Span, output: number): boolean {
  return length === output && start === 0 && end === output;
}

/** Pillow 13 begins with the columns if many more rows are dropped than columns. */
function columnsFirst(from: Size, to: Size): boolean {
  return to.height < from.height && from.height - to.height > 2 * (from.width - to.width);
}

/** Resizes an image that it receives a few rows at a time, from the top; keeps only sums. */
export class Resampler {
  private readonly from: Size;
  private readonly to: Size;
  private readonly columnsFirst: boolean;
  private readonly across: Taps | null;
  private readonly columns: Columns;

  /** `box` is the part of the image to resize; by default, all of it. */
  constructor(from: Size, to: Size, box: Box = whole(from)) {
    const [left, top, right, bottom] = [box.left, box.top, box.right, box.bottom].map(Math.fround);
    const rows = { length: from.width, start: left!, end: right! };
    const columns = { length: from.height, start: top!, end: bottom! };
    this.from = from;
    this.to = to;
    this.columnsFirst = columnsFirst(from, to);
    this.across = isWhole(rows, to.width) ? null : taps(rows, to.width);
    this.columns = new Columns(columns, to.height, this.columnsFirst ? from.width : to.width);
  }

  /** Add `rows` rows of RGBA pixels; alpha is ignored. */
  add(rgba: ArrayLike<number>, rows: number): void {
    const across = this.columnsFirst ? null : this.across;
    const row = new Uint8Array((across ? this.to : this.from).width * 3);
    for (let number = 0; number < rows; number++) {
      resizeRow(rgba, number * this.from.width * 4, 4, across, row);
      this.columns.add(row);
    }
  }

  /** Return RGB pixels `height * width * 3`; all rows must have been added. */
  finish(): Uint8Array<ArrayBuffer> {
    const rows = this.columns.finish();
    if (!this.columnsFirst) return rows;
    const { from, to } = this;
    const result = new Uint8Array(to.width * to.height * 3);
    for (let row = 0; row < to.height; row++) {
      const offset = row * to.width * 3;
      const target = result.subarray(offset, offset + to.width * 3);
      resizeRow(rows, row * from.width * 3, 3, this.across, target);
    }
    return result;
  }
}

/** Write an RGB row, resized if there are taps; a source pixel has `stride` numbers. */
function resizeRow(
  source: ArrayLike<number>,
  start: number,
  stride: number,
  across: Taps | null,
  target: Uint8Array,
): void {
  const width = target.length / 3;
  for (let column = 0; column < width; column++) {
    let [red, green, blue] = [HALF, HALF, HALF];
    const weights = across?.weights[column] ?? UNCHANGED;
    let from = start + (across?.first[column] ?? column) * stride;
    for (let tap = 0; tap < weights.length; tap++, from += stride) {
      const weight = weights[tap]!;
      red += source[from]! * weight;
      green += source[from + 1]! * weight;
      blue += source[from + 2]! * weight;
    }
    target[column * 3] = red >> PRECISION_BITS;
    target[column * 3 + 1] = green >> PRECISION_BITS;
    target[column * 3 + 2] = blue >> PRECISION_BITS;
  }
}

/** The pass along columns: adds each input row to the output rows that it contributes to. */
class Columns {
  private readonly down: Taps;
  private readonly sums: Int32Array;
  private readonly wide: number;
  private row = 0;
  private oldest = 0;

  constructor(input: Span, output: number, width: number) {
    this.down = isWhole(input, output) ? unchanged(output) : taps(input, output);
    this.wide = width * 3;
    this.sums = new Int32Array(output * this.wide).fill(HALF);
  }

  add(row: Uint8Array): void {
    const { first, weights } = this.down;
    while (this.oldest < first.length && first[this.oldest]! + weights[this.oldest]!.length <= this.row)
      this.oldest++;
    for (let output = this.oldest; first[output]! <= this.row; output++) {
      const weight = weights[output]![this.row - first[output]!];
      if (weight) this.addTo(output * this.wide, row, weight);
    }
    this.row++;
  }

  private addTo(start: number, row: Uint8Array, weight: number): void {
    for (let index = 0; index < this.wide; index++) this.sums[start + index]! += row[index]! * weight;
  }

  finish(): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(this.sums.length);
    for (let index = 0; index < result.length; index++) result[index] = this.sums[index]! >> PRECISION_BITS;
    return result; // `from` with a function takes longer than all the rest
  }
}

function unchanged(size: number): Taps {
  const first = Int32Array.from({ length: size }, (_, index) => index);
  return { first, weights: Array.from(first, () => UNCHANGED) };
}

function whole({ width, height }: Size): Box {
  return { left: 0, top: 0, right: width, bottom: height };
}
