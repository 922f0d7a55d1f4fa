/** Draws an answer: a meter with the threshold's mark, in words too, and the filter's warning. */

import type { Picture } from './decoding';
import { element, createElement } from './dom';
import type { Runtime } from './model';
import type { Diagnosis, Estimate, Filter } from './site';
import { decimal, percent, text } from './texts';

export interface Result {
  readonly entry: Diagnosis;
  readonly probability: number;
  readonly tookMs: number;
  readonly decodedMs: number;
  readonly acceptance: { readonly filter: Filter; readonly probability: number } | null;
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
  showWarning(result.acceptance);
  element('answer').replaceChildren(
    createElement('p', text('probability', { positive: entry.positive }), { class: 'label', id: 'asked' }),
    createElement('p', percent(probability), { class: 'value' }),
    meter(entry, probability),
    createElement('p', verdict(entry, probability), { class: 'verdict' }),
    createElement('p', `${describeTimes(result)} · ${runtimeName(runtime)}`, { class: 'small', id: 'took' }),
    figures(entry),
  );
}

function verdict({ threshold }: Diagnosis, probability: number): string {
  return text(probability >= threshold ? 'above' : 'below', { threshold: percent(threshold) });
}

/** Metrics on the test images at the threshold; sensitivity is never shown without specificity. */
function figures(entry: Diagnosis): HTMLElement {
  const rows: [string, string][] = [
    [text('sensitivity'), interval(entry.sensitivity, percent)],
    [text('specificity'), interval(entry.specificity, percent)],
    [text('accuracy'), interval(entry.accuracy, percent)],
  ];
  if (entry.auc) rows.push([text('auc'), interval(entry.auc, (value) => decimal(value, 3))]);
  const cells = rows.flatMap(([name, value]) => [createElement('dt', name, {}), createElement('dd', value, {})]);
  return createElement('div', [
    createElement('p', text('testedOn', { images: entry.images, threshold: percent(entry.threshold) }), { class: 'small' }),
    createElement('dl', cells, { class: 'figures' }),
    createElement('p', `${describeThreshold(entry)} ${text(entry.byPatient ? 'byPatient' : 'byImage')}`, { class: 'small' }),
  ], { id: 'figures' });
}

function describeThreshold({ chosenOn, chosenOnImages }: Diagnosis): string {
  if (chosenOn) return text('shipped', { chosenOn });
  return text('chosen', { images: chosenOnImages ?? '' });
}

function interval({ value, low, high }: Estimate, format: (value: number) => string): string {
  return `${format(value)} (${format(low)} – ${format(high)})`;
}

function describeTimes({ tookMs, decodedMs }: Result): string {
  return text('took', { model: decimal(tookMs), decode: decimal(decodedMs, 0) });
}

export function runtimeName({ version, threads }: Runtime): string {
  return text(threads > 1 ? 'runtimeThreads' : 'runtimeOne', { version, threads });
}

function meter(entry: Diagnosis, probability: number): HTMLElement {
  const bar = createElement('div', '', { class: 'bar' });
  const mark = createElement('div', '', { class: 'mark' });
  bar.style.inlineSize = `${100 * probability}%`;
  mark.style.insetInlineStart = `${100 * Math.min(entry.threshold, 1)}%`;
  return createElement('div', [bar, mark], {
    role: 'meter',
    class: probability >= entry.threshold ? 'meter above' : 'meter',
    'aria-labelledby': 'asked',
    'aria-valuemin': '0',
    'aria-valuemax': '100',
    'aria-valuenow': (100 * probability).toFixed(1),
    'aria-valuetext': `${percent(probability)}. ${verdict(entry, probability)}`,
  });
}

function showWarning(acceptance: Result['acceptance']): void {
  const warning = element('warning');
  warning.replaceChildren();
  if (!acceptance || acceptance.probability >= acceptance.filter.threshold) return;
  const { accepts, threshold } = acceptance.filter;
  const shares = { probability: percent(acceptance.probability), threshold: percent(threshold) };
  warning.append(createElement('p', text('filter', { accepts, ...shares }), { role: 'alert', class: 'warning' }));
}
