/** Turns the raw output of a classifier into probabilities. */

import type { Classifier } from './site';

/** Return the probability of one class. */
export function probabilityOf(
  { kind, classes }: Classifier,
  values: ArrayLike<number>,
  name: string,
): number {
  return probabilities(kind, values)[classes.indexOf(name)]!;
}

export function probabilities(kind: Classifier['kind'], given: ArrayLike<number>): readonly number[] {
  const values = Array.from(given);
  if (kind === 'sigmoid') return [1 - values[0]!, values[0]!];
  return kind === 'logits' ? softmax(values) : values;
}

function softmax(logits: readonly number[]): number[] {
  const largest = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
