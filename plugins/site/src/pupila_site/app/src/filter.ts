/** The filter: a classifier that recognises images of the right kind. */

import { element, createElement } from './dom';
import { Model, type Runtime } from './model';
import { probabilityOf } from './probabilities';
import { shownScore } from './score';
import type { Filter } from './site';
import { text } from './texts';

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
  const warns = acceptance !== null && acceptance.probability < acceptance.filter.threshold;
  element('result').classList.toggle('doubtful', warns);
  element('warning').replaceChildren(...(warns ? [warningOf(acceptance)] : []));
}

function warningOf({ filter, probability }: Acceptance): HTMLElement {
  const score = shownScore(probability, filter.threshold);
  return createElement('p', text('filter', { score }), { role: 'alert', class: 'warning' });
}
