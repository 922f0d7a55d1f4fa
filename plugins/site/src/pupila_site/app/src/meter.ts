/** A probability as a large number and on a meter with the threshold's mark, and what it means. */

import { createElement } from './dom';
import { percent, text } from './texts';

export function probabilityMeter(
  name: string,
  probability: number,
  threshold: number,
  verdict: string,
  alarming = false,
): HTMLElement[] {
  const bar = createElement('div', '', { class: 'bar' });
  const mark = createElement('div', '', { class: 'mark' });
  bar.style.inlineSize = `${100 * probability}%`;
  mark.style.insetInlineStart = `${100 * Math.min(threshold, 1)}%`;
  const meter = createElement('div', [bar, mark], {
    role: 'meter',
    class: alarming ? 'meter alarming' : 'meter',
    'aria-labelledby': 'asked',
    'aria-valuemin': '0',
    'aria-valuemax': '100',
    'aria-valuenow': (100 * probability).toFixed(1),
    'aria-valuetext': `${percent(probability)}. ${verdict}`,
  });
  return [
    createElement('p', text('probability', { positive: name }), { class: 'label', id: 'asked' }),
    createElement('p', percent(probability), { class: 'value' }),
    meter,
  ];
}
