/** Draws an answer: a meter with the threshold's mark, in words too, and the gate's doubt. */

import type { Picture } from './decoding';
import { element, made } from './dom';
import type { Runtime } from './model';
import type { Diagnosis, Gate } from './site';
import { decimal, percent, text } from './texts';

export interface Result {
  readonly entry: Diagnosis;
  readonly probability: number;
  readonly tookMs: number;
  readonly decodedMs: number;
  readonly doubt: { readonly gate: Gate; readonly probability: number } | null;
}

export function showPreview({ preview, width, height }: Picture): void {
  const canvas = element<HTMLCanvasElement>('preview');
  [canvas.width, canvas.height] = [preview.width, preview.height];
  canvas.getContext('bitmaprenderer')!.transferFromImageBitmap(preview);
  canvas.hidden = false;
  nameImage({ width, height });
}

export function nameImage(size: { width: number; height: number }): void {
  element('preview').setAttribute('aria-label', text('image', size));
}

export function showResult(result: Result, runtime: Runtime): void {
  const { entry, probability } = result;
  showDoubt(result.doubt);
  element('answer').replaceChildren(
    made('p', text('probability', { positive: entry.positive }), { class: 'label', id: 'asked' }),
    made('p', percent(probability), { class: 'value' }),
    meter(entry, probability),
    made('p', verdict(entry, probability), { class: 'verdict' }),
    made('p', thresholdNote(entry), { class: 'small' }),
    made('p', `${took(result)} · ${runtimeName(runtime)}`, { class: 'small', id: 'took' }),
  );
}

function verdict({ threshold }: Diagnosis, probability: number): string {
  return text(probability >= threshold ? 'above' : 'below', { threshold: percent(threshold) });
}

function thresholdNote({ images, sensitivity, specificity }: Diagnosis): string {
  const shares = { sensitivity: percent(sensitivity), specificity: percent(specificity) };
  return text('thresholdNote', { images, ...shares });
}

function took({ tookMs, decodedMs }: Result): string {
  return text('took', { model: decimal(tookMs), decode: decimal(decodedMs, 0) });
}

export function runtimeName({ version, threads }: Runtime): string {
  return text(threads > 1 ? 'runtimeThreads' : 'runtimeOne', { version, threads });
}

function meter(entry: Diagnosis, probability: number): HTMLElement {
  const bar = made('div', '', { class: 'bar' });
  const mark = made('div', '', { class: 'mark' });
  bar.style.inlineSize = `${100 * probability}%`;
  mark.style.insetInlineStart = `${100 * Math.min(entry.threshold, 1)}%`;
  return made('div', [bar, mark], {
    role: 'meter',
    class: probability >= entry.threshold ? 'meter above' : 'meter',
    'aria-labelledby': 'asked',
    'aria-valuemin': '0',
    'aria-valuemax': '100',
    'aria-valuenow': (100 * probability).toFixed(1),
    'aria-valuetext': `${percent(probability)}. ${verdict(entry, probability)}`,
  });
}

function showDoubt(doubt: Result['doubt']): void {
  const place = element('doubt');
  place.replaceChildren();
  if (!doubt || doubt.probability >= doubt.gate.threshold) return;
  const { accepts, threshold } = doubt.gate;
  const shares = { probability: percent(doubt.probability), threshold: percent(threshold) };
  place.append(made('p', text('gate', { accepts, ...shares }), { role: 'alert', class: 'warning' }));
}
