/** Shows what each stage of a chain said about a picture, and lets the visitor correct it. */

import type { View } from './answering';
import { CropCanvas, describe as describeCrop } from './crop';
import { figures, verdictAndScore } from './diagnosis';
import { createElement, element } from './dom';
import { sentence, showProblem } from './failure';
import { Latest } from './latest';
import { runtimeName } from './measured';
import { Placing } from './placing';
import { probabilityOf } from './probabilities';
import { shownScore } from './score';
import type { Chain, Verdicts } from './site';
import type { ChainAnswer, Classified, Kind, Stages } from './stages';
import { table } from './tables';
import { type Key, decimal, text } from './texts';

type Correction = (answer: ChainAnswer) => Promise<ChainAnswer>;

const KINDS = ['photograph', 'crop', 'other'] as const satisfies readonly Kind[];

export function chainView(stages: Stages, verdicts: Verdicts | null): View<ChainAnswer> {
  let shown: ChainAnswer | null = null;
  const crop = new CropCanvas();

  /** Answer again; the former answer stands until then, with its own crop. */
  const corrections = new Latest<Correction>(async (correct) => {
    const before = shown;
    if (!before) return;
    element('result').ariaBusy = 'true';
    try {
      const corrected = await correct(before);
      if (shown !== before) return;
      shown = corrected;
      if (corrected.kind !== before.kind) {
        showPlace(corrected, placing);
        drawKind(corrected);
      }
      draw(corrected, crop, placing.byHand, verdicts);
    } catch (error) {
      if (shown === before) showProblem(sentence(error));
    } finally {
      element('result').ariaBusy = 'false';
    }
  });
  const placing: Placing = new Placing((marked) =>
    corrections.ask((answer) => stages.place(marked, answer)),
  );
  for (const kind of KINDS)
    element(`is-${kind}`).addEventListener('change', () =>
      corrections.ask((answer) => stages.takeFor(kind, answer)),
    );

  const rewrite = () => {
    if (!shown) return;
    placing.rewrite();
    drawKind(shown);
    draw(shown, crop, placing.byHand, verdicts);
  };
  return {
    show(answer) {
      shown = answer;
      showPlace(answer, placing);
      rewrite();
      element('answer').scrollIntoView({ block: 'nearest' }); // a phone shows it below the image
    },
    rewrite,
    clear() {
      shown = null;
      corrections.drop();
      placing.clear();
      crop.hide();
      for (const id of ['kind', 'stages']) element(id).hidden = true;
      for (const id of ['kind-said', 'answer', 'tested']) element(id).replaceChildren();
    },
  };
}

/** Draw the ellipse on a photograph; there is none on a crop. */
function showPlace({ entry, picture, kind, located }: ChainAnswer, placing: Placing): void {
  const name = entry.locator.classes[0]!;
  if (kind === 'photograph' && located) placing.show({ name, image: picture.original, ...located });
  else placing.clear();
}

/** Apart from the rest, so that screen readers do not say it again with each correction. */
function drawKind(answer: ChainAnswer): void {
  element<HTMLInputElement>(`is-${answer.kind}`).checked = true;
  element('kind-said').replaceChildren(aboutKind(answer));
  element('kind').hidden = false;
}

function draw(
  answer: ChainAnswer,
  crop: CropCanvas,
  byHand: boolean,
  verdicts: Verdicts | null,
): void {
  const { entry, classified } = answer;
  element('answer').replaceChildren(...words(answer, verdicts));
  if (classified) {
    const about = classified.square ? describeCrop(entry.margin) : () => text('uncropped');
    crop.draw(classified.pixels, entry.classifier, about);
  } else crop.hide();
  element('steps').replaceChildren(...table([text('stage'), text('said'), text('ms')], rows(answer, byHand)));
  element('stages-took').textContent = took(answer);
  element('stages').hidden = false;
  element('tested').replaceChildren(figures(entry));
}

/** Say what the filter takes the picture for, and what follows. */
function aboutKind({ kind, filtered }: ChainAnswer): HTMLElement {
  const said = filtered ? text('filterSaid', { name: filtered.name }) : text('noFilter');
  const follows = { photograph: '', crop: text('notCropped'), other: text('turnedAway') }[kind];
  const overruled = kind === (filtered?.kind ?? 'photograph') ? '' : text('overruled');
  const words = [said, overruled, follows].filter(Boolean).join(' ');
  return createElement('p', words, kind === 'other' ? { class: 'warning' } : {});
}

/** Return the classifier's verdict and score, or why there is none. */
function words(
  { entry, kind, classified }: ChainAnswer,
  verdicts: Verdicts | null,
): HTMLElement[] {
  if (classified) {
    const output = outputOf(entry, classified);
    return [...verdictAndScore(entry, output, verdicts), ...aboutPixels(entry, classified)];
  }
  const name = entry.locator.classes[0]!;
  const missing = kind === 'photograph' ? [text('notThere', { name }), text('markIt')] : [];
  return [createElement('p', [text('noAnswer'), ...missing].join(' '), { class: 'verdict' })];
}

/** Warn if the crop has fewer pixels in the picture than the classifier reads, and so is blurred. */
function aboutPixels({ classifier }: Chain, { square }: Classified): HTMLElement[] {
  if (!square || square.side >= Math.min(classifier.width, classifier.height)) return [];
  const sizes = { side: decimal(square.side, 0), width: classifier.width, height: classifier.height };
  return [createElement('p', text('enlarged', sizes), { class: 'warning' })];
}

/** Return what each stage said, and its time. */
function rows(answer: ChainAnswer, byHand: boolean): string[][] {
  const { entry, kind, filtered, classified } = answer;
  const located = kind === 'photograph' ? answer.located : null;
  const sure = located && shownScore(located.found.presence, entry.presentFrom);
  const score = classified && shownScore(outputOf(entry, classified), entry.threshold);
  const said = (name: string, given: number | null) =>
    given === null ? null : text('stageAnswer', { name, score: given });
  const filterRow = row('filterStage', filtered && filtered.name, filtered?.tookMs);
  return [
    ...(entry.filter ? [filterRow] : []),
    byHand
      ? row('locatorStage', text('byHand'))
      : row('locatorStage', said(entry.locator.classes[0]!, sure), located?.tookMs),
    row('cropStage', classified && describeCut(entry, classified), classified?.cropMs),
    row('classifierStage', said(entry.positive, score), classified?.tookMs),
  ];
}

function row(stage: Key, said: string | null, ms?: number): string[] {
  return [text(stage), said ?? text('notAsked'), ms === undefined ? '–' : decimal(ms)];
}

function describeCut({ classifier }: Chain, { square }: Classified): string {
  const { width, height } = classifier;
  if (!square) return text('notCut', { width, height });
  return text('cropped', { side: decimal(square.side), width, height });
}

function outputOf({ classifier, positive }: Chain, { values }: Classified): number {
  return probabilityOf(classifier, values, positive);
}

/** Say how long all stages took, and in which runtime. */
function took({ kind, filtered, located, classified, picture, runtime }: ChainAnswer): string {
  const locating = kind === 'photograph' ? located?.tookMs : 0;
  const times = [filtered?.tookMs, locating, classified?.cropMs, classified?.tookMs];
  const total = times.reduce((sum: number, time) => sum + (time ?? 0), 0);
  const shares = { total: decimal(total), decode: decimal(picture.tookMs, 0) };
  return `${text('tookAll', shares)} · ${runtimeName(runtime)}`;
}
