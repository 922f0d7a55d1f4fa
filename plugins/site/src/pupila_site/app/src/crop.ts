/** The crop: a square around what was found, which can be saved. */

import { type Picture, cut } from './decoding';
import { element } from './dom';
import { Latest } from './latest';
import type { Ellipse } from './location';
import { opaque } from './pixels';
import type { Size } from './resample';
import { squareAround } from './square';
import { decimal, text } from './texts';

const MOST_PIXELS = 1024; // of a side; a larger square is reduced

/** The canvas that shows a crop, with a sentence about it. */
export class CropCanvas {
  private readonly canvas = element<HTMLCanvasElement>('crop-image');
  private about: (size: Size) => string = () => '';

  constructor() {
    element('save').addEventListener('click', () => this.canvas.toBlob((image) => image && save(image)));
  }

  draw(rgb: Uint8Array, size: Size, about: (size: Size) => string): void {
    [this.canvas.width, this.canvas.height] = [size.width, size.height];
    this.canvas.getContext('2d')!.putImageData(opaque(rgb, size), 0, 0);
    this.about = about;
    this.rewrite();
    element('crop').hidden = false;
  }

  hide(): void {
    element('crop').hidden = true;
  }

  rewrite(): void {
    const { width, height } = this.canvas;
    element('crop-size').textContent = this.about({ width, height });
    this.canvas.setAttribute('aria-label', text('cropImage', { width, height }));
  }
}

interface Wanted {
  readonly picture: Picture;
  readonly ellipse: Ellipse;
}

/** The surroundings of an ellipse, in the image's own pixels. */
export class Crop {
  private readonly margin: number;
  private readonly canvas = new CropCanvas();
  private readonly latest = new Latest<Wanted>((wanted) => this.make(wanted));
  private shown: Picture | null = null;

  constructor(margin: number) {
    this.margin = margin;
  }

  show(picture: Picture, ellipse: Ellipse): void {
    this.shown = picture;
    void this.latest.ask({ picture, ellipse });
  }

  hide(): void {
    this.shown = null;
    this.latest.drop();
    this.canvas.hide();
  }

  rewrite(): void {
    this.canvas.rewrite();
  }

  private async make({ picture, ellipse }: Wanted): Promise<void> {
    const square = squareAround(picture, ellipse, this.margin);
    const side = Math.min(Math.max(Math.round(square.side), 1), MOST_PIXELS);
    const size = { width: side, height: side };
    const pixels = await cut(picture, square, size);
    if (pixels && this.shown === picture) this.canvas.draw(pixels, size, describe(this.margin));
  }
}

/** Say how large a crop is, and which part of the image it shows. */
export function describe(margin: number): (size: Size) => string {
  return (size) => text('cropSize', { ...size, margin: decimal(margin, 2) });
}

function save(image: Blob): void {
  const link = document.createElement('a');
  [link.href, link.download] = [URL.createObjectURL(image), 'crop.png'];
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
}
