/** Shows where a locator found something, lets the visitor correct it, and shows the crop. */

import type { View } from './answering';
import { Crop } from './crop';
import { element, createElement } from './dom';
import { type Ellipse, type Location, canBeAbsent, locate } from './location';
import { describeIntervals, figureList, interval, took } from './measured';
import { probabilityMeter } from './meter';
import { Placing } from './placing';
import type { Answer } from './single';
import type { Figure, Locator } from './site';
import { finePercent, percent, text } from './texts';

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

/** Say whether it is there, and how sure the model is. */
function words(entry: Locator, found: Location): HTMLElement[] {
  const name = entry.classes[0]!;
  const threshold = percent(entry.presentFrom);
  const isThere = found.presence >= entry.presentFrom;
  const verdict = text(isThere ? 'found' : 'notThere', { name, threshold });
  const sure = canBeAbsent(entry)
    ? probabilityMeter(name, found.presence, entry.presentFrom, verdict)
    : [];
  const always = canBeAbsent(entry) ? [] : [createElement('p', text('alwaysFound'), { class: 'small' })];
  return [...sure, createElement('p', verdict, { class: 'verdict' }), ...always];
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
