/** Draws an answer: a meter with the threshold's mark, in words too, and the gate's doubt. */

import type { Picture } from './decoding';
import { element, made } from './dom';
import type { Runtime } from './model';
import type { Diagnosis, Estimate, Gate } from './site';
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
    made('p', `${took(result)} · ${runtimeName(runtime)}`, { class: 'small', id: 'took' }),
    figures(entry),
  );
}

function verdict({ threshold }: Diagnosis, probability: number): string {
  return text(probability >= threshold ? 'above' : 'below', { threshold: percent(threshold) });
}

/** At the threshold, on the test images: sensitivity never stands without specificity. */
function figures(entry: Diagnosis): HTMLElement {
  const rows: [string, string][] = [
    [text('sensitivity'), interval(entry.sensitivity, percent)],
    [text('specificity'), interval(entry.specificity, percent)],
    [text('accuracy'), interval(entry.accuracy, percent)],
  ];
  if (entry.auc) rows.push([text('auc'), interval(entry.auc, (value) => decimal(value, 3))]);
  const cells = rows.flatMap(([name, value]) => [made('dt', name, {}), made('dd', value, {})]);
  return made('div', [
    made('p', text('testedOn', { images: entry.images, threshold: percent(entry.threshold) }), { class: 'small' }),
    made('dl', cells, { class: 'figures' }),
    made('p', `${chosen(entry)} ${text(entry.byPatient ? 'byPatient' : 'byImage')}`, { class: 'small' }),
  ], { id: 'figures' });
}

function chosen({ chosenOn, chosenOnImages }: Diagnosis): string {
  if (chosenOn) return text('shipped', { chosenOn });
  return text('chosen', { images: chosenOnImages ?? '' });
}

function interval({ value, low, high }: Estimate, written: (value: number) => string): string {
  return `${written(value)} (${written(low)} – ${written(high)})`;
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
