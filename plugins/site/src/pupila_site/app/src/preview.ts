/** Shows the image on its stage, over which something can be drawn. */

import type { Picture } from './decoding';
import { element } from './dom';
import type { Size } from './resample';
import { text } from './texts';

export function showPreview(picture: Picture): void {
  const { preview } = picture;
  const canvas = element<HTMLCanvasElement>('preview');
  [canvas.width, canvas.height] = [preview.width, preview.height];
  canvas.getContext('bitmaprenderer')!.transferFromImageBitmap(preview);
  const stage = element('stage');
  stage.style.setProperty('--ratio', `${picture.width / picture.height}`);
  stage.hidden = false;
  nameImage(picture.original);
}

export function nameImage({ width, height }: Size): void {
  element('preview').setAttribute('aria-label', text('image', { width, height }));
}

export function hidePreview(): void {
  element('stage').hidden = true;
}
