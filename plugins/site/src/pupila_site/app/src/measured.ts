/** What was measured: metrics on the test images with intervals, and times of one answer. */

import type { Answer } from './single';
import { createElement } from './dom';
import type { Runtime } from './model';
import type { Estimate, ModelEntry, Tested } from './site';
import { decimal, text } from './texts';

export function figureList(rows: readonly (readonly [string, string])[]): HTMLElement {
  const cells = rows.flatMap(([name, value]) => [createElement('dt', name), createElement('dd', value)]);
  return createElement('dl', cells, { class: 'figures' });
}

export function interval({ value, low, high }: Estimate, format: (value: number) => string): string {
  return `${format(value)} (${format(low)} – ${format(high)})`;
}

export function describeIntervals({ byPatient }: Tested): string {
  return text(byPatient ? 'byPatient' : 'byImage');
}

/** Say how long the answer took, and in which runtime. */
export function took({ tookMs, picture, runtime }: Answer<ModelEntry>): HTMLElement {
  const times = text('took', { model: decimal(tookMs), decode: decimal(picture.tookMs, 0) });
  return createElement('p', `${times} · ${runtimeName(runtime)}`, { class: 'small', id: 'took' });
}

export function runtimeName({ version, threads }: Runtime): string {
  return text(threads > 1 ? 'runtimeThreads' : 'runtimeOne', { version, threads });
}
