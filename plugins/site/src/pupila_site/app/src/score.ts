/** A score on demand: where an output lies between 0 and 100, with the threshold at 50. */

import { createElement } from './dom';
import { text } from './texts';

const MIDDLE = 50;
const WHOLE = 100;

/** Whether the score is open; it stays as the visitor left it. */
let isOpen = false;

/** Return 0 to 50 below the threshold and 50 to 100 from it on, linear in the output on each side. */
export function scoreOf(output: number, threshold: number): number {
  if (output < threshold) return (MIDDLE * output) / threshold;
  if (threshold >= 1) return MIDDLE;
  return MIDDLE + ((WHOLE - MIDDLE) * (output - threshold)) / (1 - threshold);
}

/** Return a score as it is shown; rounded down, so that 50 is never below the threshold. */
export function shownScore(output: number, threshold: number): number {
  return Math.floor(scoreOf(output, threshold));
}

/** Return the score of an output for a name, on a meter, to be unfolded. */
export function scoreDetails(name: string, output: number, threshold: number): HTMLElement {
  const shown = String(shownScore(output, threshold));
  const details = createElement(
    'details',
    [
      createElement('summary', text('score')),
      createElement('p', text('scoreFor', { name }), { class: 'label', id: 'asked' }),
      createElement('p', [createElement('data', shown, { value: String(output) })], { class: 'value' }),
      meter(scoreOf(output, threshold), shown),
      createElement('p', text('scoreNote'), { class: 'small' }),
    ],
    { class: 'score' },
  );
  details.open = isOpen;
  details.addEventListener('toggle', () => {
    isOpen = details.open;
  });
  return details;
}

function meter(score: number, shown: string): HTMLElement {
  const bar = createElement('div', '', { class: 'bar' });
  const mark = createElement('div', '', { class: 'mark' });
  bar.style.inlineSize = `${score}%`;
  mark.style.insetInlineStart = `${MIDDLE}%`;
  return createElement('div', [bar, mark], {
    role: 'meter',
    class: score < MIDDLE ? 'meter' : 'meter alarming',
    'aria-labelledby': 'asked',
    'aria-valuemin': '0',
    'aria-valuemax': String(WHOLE),
    'aria-valuenow': shown,
  });
}
