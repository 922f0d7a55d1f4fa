/** Shows where a locator found something, lets the visitor correct it, and shows the crop. */

import type { View } from './answering';
import { Crop } from './crop';
import { element, createElement } from './dom';
import { type Ellipse, type Location, canBeAbsent, locate } from './location';
import { describeIntervals, figureList, interval, took } from './measured';
import { Placing } from './placing';
import { scoreDetails } from './score';
import type { Answer } from './single';
import type { Figure, Locator } from './site';
import { finePercent, text } from './texts';

const FIGURES = {
  found: 'foundFigure',
  error: 'errorFigure',
  error_p95: 'errorP95Figure',
  within_half: 'withinHalfFigure',
  size_error: 'sizeErrorFigure',
  absent: 'absentFigure',
} as const satisfies Record<Figure['name'], string>;

interface Shown {
  readonly answer: Answer<Locator>;
  readonly found: Location;
}

export function locatorView(margin: number): View<Answer<Locator>> {
  let shown: Shown | null = null;
  const crop = new Crop(margin);
  const cropAround = (marked: Ellipse | null) => {
    if (shown && marked) crop.show(shown.answer.picture, marked);
    else crop.hide();
  };
  const placing = new Placing(cropAround);

  const rewrite = () => {
    if (!shown) return;
    const { answer, found } = shown;
    element('answer').replaceChildren(...words(answer.entry, found));
    element('tested').replaceChildren(took(answer), ...figures(answer.entry));
    placing.rewrite();
    crop.rewrite();
  };
  return {
    show(answer) {
      const { entry, picture } = answer;
      const found = locate(entry, answer.values)[0]!;
      const isThere = found.presence >= entry.presentFrom;
      shown = { answer, found };
      rewrite();
      placing.show({ name: entry.classes[0]!, image: picture.original, found, isThere });
      cropAround(isThere ? found : null);
      element('stage').scrollIntoView({ block: 'nearest' });
    },
    rewrite,
    clear() {
      shown = null;
      placing.clear();
      crop.hide();
      for (const id of ['answer', 'tested']) element(id).replaceChildren();
    },
  };
}

/** Say whether it is there, and give the score of that to be unfolded. */
function words(entry: Locator, found: Location): HTMLElement[] {
  const name = entry.classes[0]!;
  const isThere = found.presence >= entry.presentFrom;
  const verdict = createElement('p', text(isThere ? 'found' : 'notThere', { name }), { class: 'verdict' });
  const more = canBeAbsent(entry)
    ? scoreDetails(name, found.presence, entry.presentFrom)
    : createElement('p', text('alwaysFound'), { class: 'small' });
  return [verdict, more];
}

function figures(entry: Locator): HTMLElement[] {
  const rows = entry.figures.map(
    (figure) => [text(FIGURES[figure.name]), interval(figure, finePercent)] as const,
  );
  return [
    createElement('p', text('testedOnImages', { images: entry.images }), { class: 'small' }),
    figureList(rows),
    createElement('p', describeIntervals(entry), { class: 'small' }),
  ];
}
