/** The filter: a classifier that recognises images of the right kind. */

import { element, createElement } from './dom';
import { Model, type Runtime } from './model';
import { probabilityOf } from './probabilities';
import type { Filter } from './site';
import { percent, text } from './texts';

export interface Acceptance {
  readonly filter: Filter;
  readonly probability: number;
}

type Ask = (pixels: Uint8Array | undefined) => Promise<Acceptance | null>;

/** Open a filter, and return how to ask it; without one, the answer is always null. */
export async function openFilter(filter: Filter | null, runtime: Promise<Runtime>): Promise<Ask> {
  if (!filter) return async () => null;
  await runtime;
  const model = await Model.open(filter, 1); // one thread leaves the others to the model
  return async (pixels) => {
    const { values } = await model.run(pixels!);
    return { filter, probability: probabilityOf(filter, values, filter.accepts) };
  };
}

/** Warn of an image that the filter does not accept; remove an earlier warning. */
export function showWarning(acceptance: Acceptance | null): void {
  const warning = element('warning');
  warning.replaceChildren();
  if (!acceptance || acceptance.probability >= acceptance.filter.threshold) return;
  const { accepts, threshold } = acceptance.filter;
  const shares = { probability: percent(acceptance.probability), threshold: percent(threshold) };
  warning.append(createElement('p', text('filter', { accepts, ...shares }), { role: 'alert', class: 'warning' }));
}
