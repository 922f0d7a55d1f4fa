/** Shows the answer of a classifier: on a meter with the threshold's mark, and in words. */

import type { View } from './answering';
import { element, createElement } from './dom';
import { describeIntervals, figureList, interval, took } from './measured';
import { probabilityMeter } from './meter';
import { probabilityOf } from './probabilities';
import type { Answer } from './single';
import type { Diagnosis, Evaluated } from './site';
import { decimal, percent, text } from './texts';

export function diagnosisView(): View<Answer<Diagnosis>> {
  let shown: Answer<Diagnosis> | null = null;
  const rewrite = () => {
    if (shown) element('answer').replaceChildren(...describe(shown));
  };
  return {
    show(answer) {
      shown = answer;
      rewrite();
      element('result').scrollIntoView({ block: 'nearest' }); // a phone shows it below the image
    },
    rewrite,
    clear() {
      shown = null;
      element('answer').replaceChildren();
    },
  };
}

function describe(answer: Answer<Diagnosis>): HTMLElement[] {
  const { entry, values } = answer;
  const probability = probabilityOf(entry, values, entry.positive);
  return [...meterAndVerdict(entry, probability), took(answer), figures(entry)];
}

/** Return a probability on a meter, and on which side of the threshold it is. */
export function meterAndVerdict({ positive, threshold }: Evaluated, probability: number): HTMLElement[] {
  const isPositive = probability >= threshold;
  const verdict = text(isPositive ? 'above' : 'below', { threshold: percent(threshold) });
  return [
    ...probabilityMeter(positive, probability, threshold, verdict, isPositive),
    createElement('p', verdict, { class: 'verdict' }),
  ];
}

/** Metrics on the test images at the threshold; sensitivity is never shown without specificity. */
export function figures(entry: Evaluated): HTMLElement {
  const rows: [string, string][] = [
    [text('sensitivity'), interval(entry.sensitivity, percent)],
    [text('specificity'), interval(entry.specificity, percent)],
    [text('accuracy'), interval(entry.accuracy, percent)],
  ];
  if (entry.auc) rows.push([text('auc'), interval(entry.auc, (value) => decimal(value, 3))]);
  return createElement('div', [
    createElement('p', text('testedOn', { images: entry.images, threshold: percent(entry.threshold) }), { class: 'small' }),
    figureList(rows),
    createElement('p', `${describeThreshold(entry)} ${describeIntervals(entry)}`, { class: 'small' }),
  ], { id: 'figures' });
}

function describeThreshold({ chosenOn, chosenOnImages }: Evaluated): string {
  if (chosenOn) return text('shipped', { chosenOn });
  return text('chosen', { images: chosenOnImages ?? '' });
}
