/** The first tab: an image goes in, an answer comes out. */

import { type Picture, decode } from './decoding';
import { element, createElement, nextPaint } from './dom';
import { sentence } from './failure';
import { startIntake } from './intake';
import { Model, type Workbench } from './model';
import { type Result, nameImage, showPreview, showResult } from './result';
import type { Diagnosis, Filter, Site } from './site';
import { inEveryLanguage, text } from './texts';

export function startDiagnosis(site: Site, bench: Workbench): void {
  const { models, filter } = site;
  const chooser = element<HTMLSelectElement>('model');
  chooser.append(...models.map(({ name }, index) => createElement('option', name, { value: `${index}` })));
  element('models').hidden = models.length < 2;

  // on one thread, which leaves the others to the model
  const filterOpened = filter && bench.runtime.then(() => Model.open(filter, 1));
  const sizes = (entry: Diagnosis) => (filter ? [entry, filter] : [entry]);

  let latest: Blob | null = null;
  let shown: { picture: Picture; result: Result } | null = null;
  let turn = 0;

  /** A later request replaces an earlier one. */
  const answer = async () => {
    const mine = ++turn;
    const entry = models[Number(chooser.value)]!;
    shown = null;
    clear();
    say(() => text(latest ? 'working' : 'loading'));
    try {
      const filterModel = await filterOpened;
      if (!latest) await bench.use(entry, async () => {});
      const picture = latest && (await decode(latest, sizes(entry)));
      if (mine !== turn) return;
      if (!picture) return say(() => text('ready'));
      showPreview(picture);
      await nextPaint();
      const result = await run(entry, bench, filterModel, filter, picture);
      if (mine !== turn) return;
      shown = { picture, result };
      showResult(result, await bench.runtime);
      say(() => '');
      element('result').scrollIntoView({ block: 'nearest' }); // a phone shows it below the image
    } catch (error) {
      if (mine === turn) complain(() => sentence(error));
    }
  };
  chooser.addEventListener('change', answer);
  inEveryLanguage(async () => {
    if (!shown) return;
    nameImage(shown.picture);
    showResult(shown.result, await bench.runtime);
  });
  void answer();
  startIntake((image) => {
    latest = image;
    void answer();
  }, complain);
}

async function run(
  entry: Diagnosis,
  bench: Workbench,
  filterModel: Model | null,
  filter: Filter | null,
  { pictures: [pixels, filterPixels], tookMs: decodedMs }: Picture,
): Promise<Result> {
  const answer = await bench.use(entry, (model) => model.ask(pixels!, entry.positive));
  const accepted = filterModel && filter && (await filterModel.ask(filterPixels!, filter.accepts));
  const acceptance = accepted && filter && { filter, probability: accepted.probability };
  return { entry, ...answer, decodedMs, acceptance };
}

let currentStatus = () => text('loading');

function say(sentence: () => string): void {
  currentStatus = sentence;
  element('status').textContent = sentence();
  element('problem').replaceChildren();
}

/** Remove the answer, so that it never stands beside another image. */
function clear(): void {
  element('warning').replaceChildren();
  element('answer').replaceChildren();
  element('preview').hidden = true;
}

function complain(sentence: () => string): void {
  clear();
  say(() => '');
  element('problem').replaceChildren(createElement('p', sentence(), { role: 'alert', class: 'warning' }));
}

inEveryLanguage(() => {
  element('status').textContent = currentStatus();
});
