/** The first tab: an image goes in, an answer comes out. */

import { type Picture, decode } from './decoding';
import { element, made, painted } from './dom';
import { sentence } from './failure';
import { startIntake } from './intake';
import { Model, type Workbench } from './model';
import { type Result, nameImage, showPreview, showResult } from './result';
import type { Diagnosis, Gate, Site } from './site';
import { inEveryLanguage, text } from './texts';

export function startDiagnosis(site: Site, bench: Workbench): void {
  const { models, gate } = site;
  const chooser = element<HTMLSelectElement>('model');
  chooser.append(...models.map(({ name }, place) => made('option', name, { value: `${place}` })));
  element('models').hidden = models.length < 2;

  // on one thread, which leaves all others to the model
  const gateOpened = gate && bench.runtime.then(() => Model.open(gate, 1));
  const sizes = (entry: Diagnosis) => (gate ? [entry, gate] : [entry]);

  let latest: Blob | null = null;
  let shown: { picture: Picture; result: Result } | null = null;
  let turn = 0;

  /** What is asked for later overtakes what was asked before. */
  const answer = async () => {
    const mine = ++turn;
    const entry = models[Number(chooser.value)]!;
    shown = null;
    clear();
    say(() => text(latest ? 'working' : 'loading'));
    try {
      const gateModel = await gateOpened;
      if (!latest) await bench.use(entry, async () => {});
      const picture = latest && (await decode(latest, sizes(entry)));
      if (mine !== turn) return;
      if (!picture) return say(() => text('ready'));
      showPreview(picture);
      await painted();
      const result = await asked(entry, bench, gateModel, gate, picture);
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

async function asked(
  entry: Diagnosis,
  bench: Workbench,
  gateModel: Model | null,
  gate: Gate | null,
  { pictures: [pixels, gatePixels], tookMs: decodedMs }: Picture,
): Promise<Result> {
  const found = await bench.use(entry, (model) => model.ask(pixels!, entry.positive));
  const doubted = gateModel && gate && (await gateModel.ask(gatePixels!, gate.accepts));
  const doubt = doubted && gate && { gate, probability: doubted.probability };
  return { entry, ...found, decodedMs, doubt };
}

let said = () => text('loading');

function say(sentence: () => string): void {
  said = sentence;
  element('status').textContent = sentence();
  element('problem').replaceChildren();
}

/** Take the answer away: none may ever stand beside another image than its own. */
function clear(): void {
  element('doubt').replaceChildren();
  element('answer').replaceChildren();
  element('preview').hidden = true;
}

function complain(sentence: () => string): void {
  clear();
  say(() => '');
  element('problem').replaceChildren(made('p', sentence(), { role: 'alert', class: 'warning' }));
}

inEveryLanguage(() => {
  element('status').textContent = said();
});
