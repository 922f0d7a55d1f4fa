/** Shows the answer of a classifier: the verdict at its threshold first, its score on demand. */

import type { View } from './answering';
import { element, createElement } from './dom';
import { describeIntervals, figureList, interval, took } from './measured';
import { probabilityOf } from './probabilities';
import { scoreDetails } from './score';
import type { Answer } from './single';
import type { Diagnosis, Evaluated, Verdicts } from './site';
import { decimal, percent, text } from './texts';

export function diagnosisView(verdicts: Verdicts | null): View<Answer<Diagnosis>> {
  let shown: Answer<Diagnosis> | null = null;
  const rewrite = () => {
    if (shown) element('answer').replaceChildren(...describe(shown, verdicts));
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

function describe(answer: Answer<Diagnosis>, verdicts: Verdicts | null): HTMLElement[] {
  const { entry, values } = answer;
  const probability = probabilityOf(entry, values, entry.positive);
  return [...verdictAndScore(entry, probability, verdicts), took(answer), figures(entry)];
}

/** Say on which side of the threshold an output is, and give its score to be unfolded. */
export function verdictAndScore(
  { positive, threshold }: Evaluated,
  output: number,
  verdicts: Verdicts | null,
): HTMLElement[] {
  const isPositive = output >= threshold;
  const byDefault = text(isPositive ? 'signs' : 'noSigns', { positive });
  const verdict = verdicts?.[isPositive ? 0 : 1] ?? byDefault;
  return [
    createElement('p', verdict, { class: isPositive ? 'verdict alarming' : 'verdict' }),
    scoreDetails(positive, output, threshold),
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
    createElement('p', text('testedOn', { images: entry.images }), { class: 'small' }),
    figureList(rows),
    createElement('p', `${describeThreshold(entry)} ${describeIntervals(entry)}`, { class: 'small' }),
  ], { id: 'figures' });
}

function describeThreshold({ chosenOn, chosenOnImages }: Evaluated): string {
  if (chosenOn) return text('shipped', { chosenOn });
  return text('chosen', { images: chosenOnImages ?? '' });
}
